#include "runtime/memory.h"

#include <fstream>
#include <string>

namespace livepeer {
namespace {

/// The number of KiB after `key` in one of Linux's /proc files, in bytes.
uint64_t read_kib(const char *path, const std::string &key) {
  std::ifstream file(path);
  std::string word;
  uint64_t kib = 0;
  while (file >> word)
    if (word == key && file >> kib) return kib * 1024;
  return 0;
}

}  // namespace

uint64_t available_memory() { return read_kib("/proc/meminfo", "MemAvailable:"); }

uint64_t peak_memory() { return read_kib("/proc/self/status", "VmHWM:"); }

}  // namespace livepeer
