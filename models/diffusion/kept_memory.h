#pragma once

namespace livepeer {

/// While one lives, the memory of large tensors on the CPU is kept for the next ones, process-wide.
/// A frame's tensors are megabytes each; the C library gives such blocks back to the kernel at
/// once, to get them again page by page for the next operator, which took a seventh of the time.
/// Kept memory never makes the process larger than the tensors alone once made it. What is kept is
/// given back when one of these goes. On other systems than Linux it does nothing.
class KeptMemory {
 public:
  KeptMemory();
  ~KeptMemory();
  KeptMemory(const KeptMemory &) = delete;
  KeptMemory &operator=(const KeptMemory &) = delete;
};

}  // namespace livepeer
