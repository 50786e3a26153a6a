#pragma once

#include <cstdint>

namespace livepeer {

/// Bytes of main memory that can be had without swapping; 0 where the system does not tell.
uint64_t available_memory();
/// Most bytes of main memory that this process has held; 0 where the system does not tell.
uint64_t peak_memory();

}  // namespace livepeer
