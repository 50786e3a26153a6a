#pragma once

#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

namespace livepeer::test {

/// Counts how often the program asks operator new for a large block, on any thread. One at a time.
/// Include it once in a program: it replaces that operator.
class LargeBlocks {
 public:
  explicit LargeBlocks(size_t least) {
    count_ = 0;
    least_ = least;
  }
  ~LargeBlocks() { least_ = std::numeric_limits<size_t>::max(); }
  LargeBlocks(const LargeBlocks &) = delete;
  LargeBlocks &operator=(const LargeBlocks &) = delete;

  int count() const { return count_; }
  static void asked_for(size_t size) {
    if (size >= least_) ++count_;
  }

 private:
  inline static std::atomic<size_t> least_{std::numeric_limits<size_t>::max()};
  inline static std::atomic<int> count_{0};
};

}  // namespace livepeer::test

void *operator new(size_t size) {
  livepeer::test::LargeBlocks::asked_for(size);
  if (void *block = std::malloc(size > 0 ? size : 1)) return block;
  throw std::bad_alloc();
}

void operator delete(void *block) noexcept { std::free(block); }
void operator delete(void *block, size_t) noexcept { std::free(block); }
