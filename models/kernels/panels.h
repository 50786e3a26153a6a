#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <cstdint>

/// Weights are packed in panels, one for each block of outputs, as many at a time as the last-level
/// cache holds: they are read again for every part of the input.
namespace livepeer::kernels {

/// How many of `blocks`, whose panels have `panel_bytes` each, fit into `bytes`; at least one.
inline int64_t blocks_at_once(int64_t blocks, int64_t panel_bytes, int64_t bytes) {
  return std::clamp<int64_t>(bytes / panel_bytes, 1, blocks);
}

/// How many of `count` pieces to work on at a time, at most `most`, so that each thread gets as
/// many.
inline int64_t equal_step(int64_t count, int64_t most) {
  const int64_t threads = at::get_num_threads(),
                rounds = (count + threads * most - 1) / (threads * most);
  return (count + rounds * threads - 1) / (rounds * threads);
}

/// Calls pack() and then compute() for `step` blocks of `work` at a time, out of `blocks`.
template <typename Work, typename Pack, typename Compute>
void for_panels(Work &work, int64_t blocks, int64_t step, Pack pack, Compute compute) {
  for (work.first_block = 0; work.first_block < blocks; work.first_block += work.blocks) {
    work.blocks = std::min(step, blocks - work.first_block);
    pack();
    compute();
  }
}

}  // namespace livepeer::kernels
