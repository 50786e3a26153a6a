// The level that LIVEPEER_UPSCALE_CPU asks for, for all tests of this program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "kernels/cpu_level.h"

namespace livepeer {
namespace {

using kernels::CpuLevel;

/// Skips all tests where the processor does not have the level.
class AskedLevel : public testing::Environment {
 public:
  void SetUp() override {
    kernels::cap_library();
    const char *asked = std::getenv("LIVEPEER_UPSCALE_CPU");
    const std::string level = kernels::name_of(kernels::cpu_level());
    if (asked && level != asked) GTEST_SKIP() << "this processor has " << level << ", no " << asked;
  }
};

const testing::Environment *const environment = testing::AddGlobalTestEnvironment(new AskedLevel);

TEST(CpuLevelTest, NamesAreThoseOfTheVariable) {
  for (const auto &[level, name] : {std::pair(CpuLevel::plain, "plain"),
                                    {CpuLevel::avx2, "avx2"},
                                    {CpuLevel::avx512, "avx512"},
                                    {CpuLevel::avx512_bf16, "avx512-bf16"},
                                    {CpuLevel::amx, "amx"}})
    EXPECT_STREQ(kernels::name_of(level), name);
}

TEST(CpuLevelTest, LoopsRunAtTheLevelOrBelow) {
  const CpuLevel used = kernels::at_loop_level([](auto level) { return level(); });
  EXPECT_EQ(used, std::min(kernels::cpu_level(), CpuLevel::avx512));
}

}  // namespace
}  // namespace livepeer
