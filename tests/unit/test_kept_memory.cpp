#include "diffusion/kept_memory.h"

#include <gtest/gtest.h>
#include <torch/types.h>
#include <unistd.h>

#include <fstream>
#include <optional>
#include <thread>

// Memory of large tensors is kept, shared out and given back.

namespace livepeer {
namespace {

constexpr int64_t mebibyte = 1 << 20;

torch::Tensor block(int64_t mebibytes) {
  return torch::ones({mebibytes * mebibyte}, torch::kByte);  // written, so that it is resident
}

const uint8_t *start(const torch::Tensor &tensor) { return tensor.data_ptr<uint8_t>(); }

int64_t resident_bytes() {
  int64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

TEST(KeptMemory, SmallBlocksComeFromLargeOnesAndBecomeLargeAgain) {
  const KeptMemory keep;
  const KeptMemory::Use use;
  auto whole = block(24);
  const uint8_t *const first = start(whole);
  whole.reset();
  auto left = block(9), right = block(15);
  EXPECT_EQ(start(left), first);
  EXPECT_EQ(start(right), first + 9 * mebibyte);
  left.fill_(2);
  EXPECT_TRUE(right.eq(1).all().item<bool>());
  left.reset();
  right.reset();
  EXPECT_EQ(start(block(24)), first);
}

TEST(KeptMemory, IsGivenBackWithItsLastUser) {
  std::optional<KeptMemory> keep(std::in_place), other(std::in_place);
  const KeptMemory::Use use;
  block(96);
  const int64_t kept = resident_bytes();
  other.reset();
  keep.reset();
  EXPECT_LT(resident_bytes(), kept - 90 * mebibyte);
}

TEST(KeptMemory, TensorsOutliveIt) {
  torch::Tensor tensor;
  {
    const KeptMemory keep;
    const KeptMemory::Use use;
    tensor = block(8);
  }
  EXPECT_EQ(tensor.sum().item<int64_t>(), 8 * mebibyte);
}

TEST(KeptMemory, WhoDoesNotUseItGetsLibtorchsOwn) {
  const auto deleter = [] { return block(8).storage().data_ptr().get_deleter(); };
  const KeptMemory keep;
  const auto others = deleter();
  const auto small = torch::ones({1}).storage().data_ptr().get_deleter();
  EXPECT_EQ(others, small);
  {
    const KeptMemory::Use use;
    EXPECT_NE(deleter(), others);
    std::thread([&] { EXPECT_EQ(deleter(), others); }).join();
  }
  EXPECT_EQ(deleter(), others);
  auto foreign = block(8);
  const KeptMemory::Use use;
  foreign.reset();  // given back to where it came from
  EXPECT_NE(deleter(), others);
}

}  // namespace
}  // namespace livepeer
