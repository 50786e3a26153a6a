#pragma once

namespace livepeer {

/// While one lives, the memory of large tensors on the CPU is kept for the next ones, process-wide,
/// if the thread that allocates them has a Use: all others, an application's that uses libtorch
/// itself among them, get what they would without. A frame's tensors are megabytes each; the C
/// library gives such blocks back to the kernel at once, to get them again page by page for the
/// next operator, which took a seventh of the time. Kept memory never makes the process larger than
/// the tensors alone once made it. What is kept is given back when one of these goes. On other
/// systems than Linux it does nothing.
class KeptMemory {
 public:
  KeptMemory();
  ~KeptMemory();
  KeptMemory(const KeptMemory &) = delete;
  KeptMemory &operator=(const KeptMemory &) = delete;

  /// For as long as it lives, this thread's tensors come from kept memory, and return to it.
  class Use {
   public:
    Use();
    ~Use();
    Use(const Use &) = delete;
    Use &operator=(const Use &) = delete;
  };
};

}  // namespace livepeer
