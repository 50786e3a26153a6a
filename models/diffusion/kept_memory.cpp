#include "diffusion/kept_memory.h"

#ifdef __linux__
#include <c10/core/CPUAllocator.h>
#include <sys/mman.h>
#include <torch/version.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <mutex>
#include <new>
#endif

namespace livepeer {

#ifdef __linux__
namespace {

/// Smaller blocks are left to libtorch. The C library itself maps blocks from here on one by one.
constexpr size_t least_bytes = 128 << 10;
constexpr size_t page = 4096, huge_page = 2 << 20;

/// How many KeptMemory::Use this thread has.
thread_local int uses = 0;

/// libtorch's allocator of CPU memory.
class BlockCache final : public c10::Allocator {
 public:
  /// Never destroyed: tensors may outlive everything else.
  static BlockCache &instance() {
    static auto &cache = *new BlockCache;
    return cache;
  }

#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 3)
  c10::DataPtr allocate(size_t bytes) override { return provide(bytes); }
#else
  c10::DataPtr allocate(size_t bytes) const override { return instance().provide(bytes); }
#endif
#if TORCH_VERSION_MAJOR >= 2
  void copy_data(void *to, const void *from, size_t bytes) const
#if TORCH_VERSION_MINOR >= 2 || TORCH_VERSION_MAJOR > 2
      override
#endif
  {
    std::memcpy(to, from, bytes);
  }
#endif

  c10::DeleterFnPtr raw_deleter() const override { return &BlockCache::release; }

  void add_user() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++users_;
  }

  void remove_user() {
    const std::lock_guard<std::mutex> lock(mutex_);
    --users_;
    make_room(0);
    peak_ = live_;
  }

 private:
  /// Addresses and sizes.
  using Blocks = std::map<char *, size_t>;

  BlockCache() : libtorchs_(c10::GetCPUAllocator()) { c10::SetCPUAllocator(this); }

  c10::DataPtr provide(size_t bytes) {
    if (bytes < least_bytes || uses == 0) return libtorchs_->allocate(bytes);
    void *const start = take((bytes + page - 1) / page * page);
    return {start, start, &BlockCache::release, c10::Device(c10::DeviceType::CPU)};
  }

  /// Of any block, also one that libtorch's own allocator gave out before there was this one.
  static void release(void *start) {
    auto &cache = instance();
    if (!cache.give_back(start)) cache.libtorchs_->raw_deleter()(start);
  }

  void *take(size_t bytes) {
    const std::lock_guard<std::mutex> lock(mutex_);
    char *start = find(bytes);
    if (!start) {
      make_room(std::max(peak_, live_ + bytes) - live_ - bytes);
      start = map(bytes);
    }
    in_use_[start] = bytes;
    live_ += bytes;
    peak_ = std::max(peak_, live_);
    return start;
  }

  /// Whether it was one of ours.
  bool give_back(void *start) {
    if (reinterpret_cast<size_t>(start) % page != 0) return false;
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto used = in_use_.find(static_cast<char *>(start));
    if (used == in_use_.end()) return false;
    live_ -= used->second;
    keep(used->first, used->second);
    in_use_.erase(used);
    make_room(users_ > 0 ? peak_ - live_ : 0);
    return true;
  }

  /// Neighbours become one block, so that large ones can be had from what small ones leave.
  void keep(char *start, size_t bytes) {
    kept_ += bytes;
    auto next = blocks_.lower_bound(start);
    if (next != blocks_.end() && start + bytes == next->first) {
      bytes += next->second;
      next = blocks_.erase(next);
    }
    if (next != blocks_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == start) {
        before->second += bytes;
        return;
      }
    }
    blocks_[start] = bytes;
  }

  /// The smallest kept block of at least `bytes`, or blocks_.end().
  Blocks::iterator smallest(size_t bytes) {
    auto best = blocks_.end();
    for (auto i = blocks_.begin(); i != blocks_.end(); ++i)
      if (i->second >= bytes && (best == blocks_.end() || i->second < best->second)) best = i;
    return best;
  }

  /// Of a kept block that is large enough; or null.
  char *find(size_t bytes) {
    const auto block = smallest(bytes);
    if (block == blocks_.end()) return nullptr;
    char *const start = block->first;
    shrink(block, bytes, start + bytes);
    return start;
  }

  /// Takes `bytes` away from a kept block, which then begins at `start`.
  void shrink(Blocks::iterator block, size_t bytes, char *start) {
    const size_t left = block->second - bytes;
    blocks_.erase(block);
    if (left > 0) blocks_[start] = left;
    kept_ -= bytes;
  }

  /// Gives kept memory back to the system, small blocks first, until no more than `bytes` are kept.
  void make_room(size_t bytes) {
    while (kept_ > bytes) {
      const auto block = smallest(0);
      char *const start = block->first;
      const size_t excess = std::min(block->second, kept_ - bytes);
      munmap(start + block->second - excess, excess);
      shrink(block, excess, start);
    }
  }

  static char *map(size_t bytes) {
    const bool huge = bytes >= 2 * huge_page;
    const size_t mapped = huge ? bytes + huge_page : bytes;
    void *const start =
        mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) throw std::bad_alloc();
    auto *const first = static_cast<char *>(start);
    if (!huge) return first;
    // From a huge page's border on.
    const size_t before = (huge_page - reinterpret_cast<size_t>(start) % huge_page) % huge_page;
    if (before > 0) munmap(first, before);
    if (before < huge_page) munmap(first + before + bytes, huge_page - before);
    madvise(first + before, bytes, MADV_HUGEPAGE);
    return first + before;
  }

  c10::Allocator *const libtorchs_;
  std::mutex mutex_;
  Blocks in_use_;
  Blocks blocks_;  ///< kept; never two that touch
  size_t live_ = 0, kept_ = 0, peak_ = 0;
  int users_ = 0;
};

}  // namespace

KeptMemory::KeptMemory() { BlockCache::instance().add_user(); }
KeptMemory::~KeptMemory() { BlockCache::instance().remove_user(); }
KeptMemory::Use::Use() { ++uses; }
KeptMemory::Use::~Use() { --uses; }

#else

KeptMemory::KeptMemory() = default;
KeptMemory::~KeptMemory() = default;
KeptMemory::Use::Use() = default;
KeptMemory::Use::~Use() = default;

#endif

}  // namespace livepeer
