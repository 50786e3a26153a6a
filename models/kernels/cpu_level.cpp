#include "kernels/cpu_level.h"

#include <dlfcn.h>
#include <link.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string>

#include "runtime/log.h"

namespace livepeer::kernels {
namespace {

constexpr const char *kNames[] = {"plain", "avx2", "avx512", "avx512-bf16", "amx"};

#if defined(__x86_64__)
/// Registers EAX to EDX of CPUID.
struct CpuId {
  CpuId(unsigned leaf, unsigned subleaf) {
    __asm__("cpuid" : "=a"(a), "=b"(b), "=c"(c), "=d"(d) : "a"(leaf), "c"(subleaf));
  }
  unsigned a, b, c, d;
};

/// The kernel gives the tiles' registers to a process that asks for them.
bool may_use_amx() {
  constexpr unsigned bf16 = 1U << 22, tiles = 1U << 24, int8 = 1U << 25, all = bf16 | tiles | int8;
  constexpr long request = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  return (CpuId(7, 0).d & all) == all && syscall(SYS_arch_prctl, request, tile_data) == 0;
}

CpuLevel level_of_processor() {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return CpuLevel::plain;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512vl"))
    return CpuLevel::avx2;
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vnni"))
    return CpuLevel::avx512;
  return may_use_amx() ? CpuLevel::amx : CpuLevel::avx512_bf16;
}
#else
CpuLevel level_of_processor() { return CpuLevel::plain; }
#endif

std::optional<CpuLevel> read_variable() {
  const char *name = std::getenv("LIVEPEER_UPSCALE_CPU");
  if (!name || !*name) return std::nullopt;
  for (size_t i = 0; i < std::size(kNames); ++i)
    if (std::strcmp(name, kNames[i]) == 0) return CpuLevel(i);
  log(LogLevel::warning, std::string("LIVEPEER_UPSCALE_CPU=") + name +
                             " is not known and counts for nothing; set it to plain, avx2, avx512, "
                             "avx512-bf16 or amx");
  return std::nullopt;
}

/// What the environment allows at most.
std::optional<CpuLevel> most_allowed() {
  static const std::optional<CpuLevel> level = read_variable();
  return level;
}

/// A function of oneDNN, where that is a library of its own.
void *find_in_onednn(const char *function) {
  std::string path;
  dl_iterate_phdr(
      [](dl_phdr_info *info, size_t, void *found) {
        if (!std::strstr(info->dlpi_name, "libdnnl.so")) return 0;
        *static_cast<std::string *>(found) = info->dlpi_name;
        return 1;
      },
      &path);
  void *library = path.empty() ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  return library ? dlsym(library, function) : nullptr;
}

}  // namespace

CpuLevel cpu_level() {
  static const CpuLevel level =
      std::min(level_of_processor(), most_allowed().value_or(CpuLevel::amx));
  return level;
}

std::string cpu_level_and_why() {
  const bool is_set = cpu_level() < level_of_processor();
  return std::string(name_of(cpu_level())) + (is_set ? " (LIVEPEER_UPSCALE_CPU)" : " (processor)");
}

const char *name_of(CpuLevel level) { return kNames[size_t(level)]; }

void cap_library() {
  const std::optional<CpuLevel> most = most_allowed();
  if (!most || *most == CpuLevel::amx) return;
  // Of dnnl_cpu_isa_t: SSE4.1, AVX2, AVX-512 for servers, and that with BF16.
  constexpr int isas[] = {0x1, 0x7, 0x27, 0xe7};
  constexpr int success = 0;
  const auto cap = reinterpret_cast<int (*)(int)>(find_in_onednn("dnnl_set_max_cpu_isa"));
  if (!cap || cap(isas[size_t(*most)]) != success)
    log(LogLevel::warning,
        "LIVEPEER_UPSCALE_CPU cannot be told to oneDNN; set DNNL_MAX_CPU_ISA, too");
}

}  // namespace livepeer::kernels
