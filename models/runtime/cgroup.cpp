#include "runtime/cgroup.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <vector>

#include "runtime/log.h"

namespace fs = std::filesystem;

namespace livepeer {
namespace {

/// Values of version 1 from here on mean that there is no limit.
constexpr uint64_t no_limit = uint64_t(1) << 62;

bool lists(const std::string &names, const std::string &name) {
  return ("," + names + ",").find("," + name + ",") != std::string::npos;
}

/// A line of /proc/self/mountinfo about control groups.
struct Mount {
  std::string root;   ///< the group that is mounted
  std::string point;  ///< where
  std::string type, options;
};

/// Spaces in paths are written as \040, and so on.
std::string without_escapes(const std::string &text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool escaped = text[i] == '\\' && i + 3 < text.size();
    result += escaped ? char(std::stoi(text.substr(i + 1, 3), nullptr, 8)) : text[i];
    if (escaped) i += 3;
  }
  return result;
}

std::vector<Mount> read_mounts(const std::string &root) {
  std::vector<Mount> mounts;
  std::ifstream file(root + "/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word, source;
    Mount mount;
    words >> word >> word >> word >> mount.root >> mount.point;
    while (words >> word && word != "-") {
    }
    words >> mount.type >> source >> mount.options;
    if (!words || mount.type.rfind("cgroup", 0) != 0) continue;
    mount.root = without_escapes(mount.root);
    mount.point = without_escapes(mount.point);
    mounts.push_back(mount);
  }
  return mounts;
}

/// The folders of a controller's group and of those above it; `version` 1 or 2.
std::vector<fs::path> folders(const std::string &root, const std::string &controller, int version) {
  std::string group;
  std::ifstream file(root + "/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string names = line.substr(first + 1, second - first - 1);
    if (version == 2 ? names.empty() : lists(names, controller)) group = line.substr(second + 1);
  }
  std::vector<fs::path> result;
  if (group.empty()) return result;
  for (const Mount &mount : read_mounts(root)) {
    if (mount.type != (version == 2 ? "cgroup2" : "cgroup")) continue;
    if (version == 1 && !lists(mount.options, controller)) continue;
    const fs::path top = root + mount.point;
    // A container may see its own group as the top, under either name.
    std::string below;
    if (mount.root == "/")
      below = group;
    else if (group.rfind(mount.root, 0) == 0)
      below = group.substr(mount.root.size());
    if (below.find("..") != std::string::npos) below.clear();
    for (fs::path part = fs::path(below).relative_path(); !part.empty(); part = part.parent_path())
      result.push_back(top / part);
    result.push_back(top);
    break;
  }
  return result;
}

/// The words of a file; none where it is not there, as at the top of the groups.
std::vector<std::string> read_words(const fs::path &path) {
  std::error_code unused;
  if (!fs::exists(path, unused)) return {};
  std::ifstream file(path);
  std::vector<std::string> words;
  for (std::string word; file >> word;) words.push_back(word);
  if (words.empty())
    log(LogLevel::warning, path.string() + " cannot be read; its limit counts for nothing");
  return words;
}

std::optional<uint64_t> number(const fs::path &path, const std::string &word) {
  if (!word.empty() && word.find_first_not_of("0123456789") == std::string::npos) try {
      return std::stoull(word);
    } catch (const std::out_of_range &) {
    }
  log(LogLevel::warning,
      path.string() + " holds '" + word + "', which is no number; its limit counts for nothing");
  return std::nullopt;
}

/// The number in a file of one word; none where there is no file, no limit, or no number.
std::optional<uint64_t> read_limit(const fs::path &path) {
  const std::vector<std::string> words = read_words(path);
  if (words.empty() || words[0] == "max" || words[0] == "-1") return std::nullopt;
  return number(path, words[0]);
}

struct MemoryFiles {
  const char *limit, *usage, *unused;
};

std::optional<uint64_t> memory_left(const fs::path &folder, const MemoryFiles &names) {
  const std::optional<uint64_t> limit = read_limit(folder / names.limit);
  if (!limit || *limit >= no_limit) return std::nullopt;
  const std::optional<uint64_t> usage = read_limit(folder / names.usage);
  if (!usage) return std::nullopt;
  uint64_t unused = 0;
  const std::vector<std::string> stat = read_words(folder / "memory.stat");
  for (size_t i = 0; i + 1 < stat.size(); i += 2)
    if (stat[i] == names.unused) unused = number(folder / "memory.stat", stat[i + 1]).value_or(0);
  const uint64_t used = *usage - std::min(*usage, unused);
  return *limit - std::min(*limit, used);
}

std::optional<unsigned> processors(std::optional<uint64_t> quota, std::optional<uint64_t> period) {
  if (!quota || !period || *quota == 0 || *period == 0) return std::nullopt;
  return unsigned((*quota + *period - 1) / *period);
}

template <typename Value>
void keep_least(std::optional<Value> &least, std::optional<Value> value) {
  if (value && (!least || *value < *least)) least = value;
}

}  // namespace

std::optional<uint64_t> cgroup_memory(const std::string &root) {
  constexpr MemoryFiles version_1{"memory.limit_in_bytes", "memory.usage_in_bytes",
                                  "total_inactive_file"};
  constexpr MemoryFiles version_2{"memory.max", "memory.current", "inactive_file"};
  std::optional<uint64_t> least;
  for (const fs::path &folder : folders(root, "memory", 1))
    keep_least(least, memory_left(folder, version_1));
  for (const fs::path &folder : folders(root, "memory", 2))
    keep_least(least, memory_left(folder, version_2));
  return least;
}

std::optional<unsigned> cgroup_processors(const std::string &root) {
  std::optional<unsigned> least;
  for (const fs::path &folder : folders(root, "cpu", 1))
    keep_least(least, processors(read_limit(folder / "cpu.cfs_quota_us"),
                                 read_limit(folder / "cpu.cfs_period_us")));
  for (const fs::path &folder : folders(root, "cpu", 2)) {
    const fs::path file = folder / "cpu.max";
    const std::vector<std::string> words = read_words(file);
    if (words.size() == 2 && words[0] != "max")
      keep_least(least, processors(number(file, words[0]), number(file, words[1])));
  }
  return least;
}

}  // namespace livepeer
