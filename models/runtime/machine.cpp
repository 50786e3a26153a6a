#include "runtime/machine.h"

#include <sched.h>

#include <algorithm>
#include <fstream>
#include <thread>

#include "runtime/cgroup.h"

namespace livepeer {
namespace {

/// The number of KiB after `key` in one of Linux's /proc files, in bytes.
uint64_t read_kib(const std::string &path, const std::string &key) {
  std::ifstream file(path);
  std::string word;
  uint64_t kib = 0;
  while (file >> word)
    if (word == key && file >> kib) return kib * 1024;
  return 0;
}

/// Processors that the calling thread may run on.
unsigned allowed_processors() {
  cpu_set_t allowed;
  // A machine with more of them than fit is asked for all it has.
  if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
    return std::thread::hardware_concurrency();
  return unsigned(CPU_COUNT(&allowed));
}

}  // namespace

uint64_t available_memory(const std::string &root) {
  const uint64_t system = read_kib(root + "/proc/meminfo", "MemAvailable:");
  const std::optional<uint64_t> group = cgroup_memory(root);
  if (!group) return system;
  // 0 says that nothing is known.
  const uint64_t left = std::max<uint64_t>(*group, 1);
  return system == 0 ? left : std::min(system, left);
}

unsigned available_processors(const std::string &root) {
  const unsigned allowed = std::max(allowed_processors(), 1U);
  return std::min(allowed, cgroup_processors(root).value_or(allowed));
}

uint64_t peak_memory() { return read_kib("/proc/self/status", "VmHWM:"); }

}  // namespace livepeer
