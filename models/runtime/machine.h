#pragma once

#include <cstdint>
#include <string>

namespace livepeer {

/// What of the machine this process may use. `root` is put in front of the system's paths, for a
/// tree that stands in for /proc and /sys.

/// Bytes of main memory that can be had without swapping: of the system's, and within the control
/// groups of this process and those above them. 0 where the system does not tell.
uint64_t available_memory(const std::string &root = {});

/// How many processors can be kept busy: those that this process may run on, or what the quota of
/// its control groups comes to, rounded up. At least 1.
unsigned available_processors(const std::string &root = {});

/// Most bytes of main memory that this process has held; 0 where the system does not tell.
uint64_t peak_memory();

}  // namespace livepeer
