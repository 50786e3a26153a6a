#pragma once

#include <string>
#include <type_traits>

/// Which of the processor's instructions are used.
namespace livepeer::kernels {

/// Each has what those before it have. avx2: AVX2 and FMA (x86-64-v3). avx512: F, BW, CD, DQ and VL
/// (x86-64-v4). avx512_bf16: BF16 and VNNI. amx: AMX's tiles of bfloat16 and int8, as the system
/// lets this process use them.
enum class CpuLevel { plain, avx2, avx512, avx512_bf16, amx };

/// That of this processor, or of the environment's LIVEPEER_UPSCALE_CPU where that is lower. Found
/// at the first call; a name that is not known is told of in the log, and counts for nothing.
CpuLevel cpu_level();

/// As in LIVEPEER_UPSCALE_CPU: plain, avx2, avx512, avx512-bf16, amx.
const char *name_of(CpuLevel level);

/// The name of cpu_level(), and behind it in brackets what set it: the processor or the variable.
std::string cpu_level_and_why();

/// Where LIVEPEER_UPSCALE_CPU is set: keeps oneDNN within that level as well. To be called before
/// oneDNN is used; the log says where it cannot be told.
void cap_library();

/// Calls `function` with the level, as a constant, that loops without intrinsics are compiled for.
template <typename Function>
auto at_loop_level(Function function) {
#if defined(__x86_64__)
  if (cpu_level() >= CpuLevel::avx512)
    return function(std::integral_constant<CpuLevel, CpuLevel::avx512>());
  if (cpu_level() >= CpuLevel::avx2)
    return function(std::integral_constant<CpuLevel, CpuLevel::avx2>());
#endif
  return function(std::integral_constant<CpuLevel, CpuLevel::plain>());
}

}  // namespace livepeer::kernels
