// What of the machine a process may use, read from trees that stand in for the system's files.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "runtime/cgroup.h"
#include "runtime/log.h"
#include "runtime/machine.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t MiB = 1 << 20;

class MachineTest : public testing::Test {
 protected:
  MachineTest() {
    std::string name = (fs::temp_directory_path() / "machine-XXXXXX").string();
    root_ = mkdtemp(name.data());
    set_log_sink([this](LogLevel level, const std::string &line) {
      if (level == LogLevel::warning) warnings_.push_back(line);
    });
    write("/proc/meminfo", "MemTotal: 16777216 kB\nMemAvailable: 8388608 kB\n");
  }
  ~MachineTest() override {
    set_log_sink({});
    fs::remove_all(root_);
  }

  void write(const std::string &path, const std::string &text) const {
    fs::create_directories(fs::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void version_2(const std::string &group, const std::string &mounted = "/") const {
    write("/proc/self/cgroup", "0::" + group + "\n");
    write("/proc/self/mountinfo",
          "22 1 0:20 / / rw - ext4 /dev/sda rw\n"
          "30 22 0:26 " +
              mounted + " /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n");
  }
  void version_1(const std::string &group, const std::string &mounted = "/") const {
    write("/proc/self/cgroup",
          "5:cpu,cpuacct:" + group + "\n4:memory:" + group + "\n0::/user.slice\n");
    write("/proc/self/mountinfo",
          "31 22 0:27 " + mounted +
              " /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
              "32 22 0:28 " +
              mounted + " /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n");
  }
  void memory_2(const std::string &group, const std::string &max, uint64_t current,
                uint64_t inactive) const {
    write("/sys/fs/cgroup" + group + "/memory.max", max + "\n");
    write("/sys/fs/cgroup" + group + "/memory.current", std::to_string(current) + "\n");
    write("/sys/fs/cgroup" + group + "/memory.stat",
          "anon 5\ninactive_file " + std::to_string(inactive) + "\nactive_file 7\n");
  }

  std::string root_;
  std::vector<std::string> warnings_;
};

TEST_F(MachineTest, WithoutGroupsTheSystemDecides) {
  EXPECT_EQ(available_memory(root_), 8192 * MiB);
  EXPECT_GE(available_processors(root_), 1U);
  EXPECT_FALSE(cgroup_processors(root_));
}

TEST_F(MachineTest, WithoutAnyFileNothingIsKnown) {
  fs::remove_all(root_ + "/proc");
  EXPECT_EQ(available_memory(root_), 0U);
}

TEST_F(MachineTest, LimitLessWhatIsUsed) {
  version_2("/app");
  memory_2("/app", std::to_string(512 * MiB), 300 * MiB, 100 * MiB);
  EXPECT_EQ(available_memory(root_), 312 * MiB);
}

TEST_F(MachineTest, TheTightestOfAllGroupsAbove) {
  version_2("/a/b/c");
  memory_2("/a/b/c", "max", 10 * MiB, 0);
  memory_2("/a/b", std::to_string(900 * MiB), 100 * MiB, 0);
  memory_2("/a", std::to_string(1000 * MiB), 990 * MiB, 200 * MiB);
  EXPECT_EQ(available_memory(root_), 210 * MiB);
}

TEST_F(MachineTest, AGroupThatIsFullLeavesNextToNothing) {
  version_2("/app");
  memory_2("/app", std::to_string(100 * MiB), 120 * MiB, 1 * MiB);
  EXPECT_EQ(available_memory(root_), 1U);
}

TEST_F(MachineTest, TheSystemMayHaveLess) {
  version_2("/app");
  memory_2("/app", std::to_string(uint64_t(1) << 40), 0, 0);
  EXPECT_EQ(available_memory(root_), 8192 * MiB);
}

TEST_F(MachineTest, AContainerSeesItsGroupAsTheTop) {
  version_2("/");
  memory_2("", std::to_string(256 * MiB), 56 * MiB, 0);
  EXPECT_EQ(available_memory(root_), 200 * MiB);
  version_2("/docker/4711", "/docker/4711");
  EXPECT_EQ(available_memory(root_), 200 * MiB);
  version_2("/../../elsewhere");
  EXPECT_EQ(available_memory(root_), 200 * MiB);
}

TEST_F(MachineTest, VersionOne) {
  version_1("/docker/4711");
  const std::string memory = "/sys/fs/cgroup/memory";
  write(memory + "/memory.limit_in_bytes", "9223372036854771712\n");
  write(memory + "/memory.usage_in_bytes", "1\n");
  write(memory + "/docker/4711/memory.limit_in_bytes", std::to_string(512 * MiB));
  write(memory + "/docker/4711/memory.usage_in_bytes", std::to_string(500 * MiB));
  write(memory + "/docker/4711/memory.stat",
        "inactive_file 1\ntotal_inactive_file " + std::to_string(88 * MiB) + "\n");
  EXPECT_EQ(available_memory(root_), 100 * MiB);
  const std::string cpu = "/sys/fs/cgroup/cpu,cpuacct/docker";
  write(cpu + "/4711/cpu.cfs_quota_us", "-1\n");
  write(cpu + "/4711/cpu.cfs_period_us", "100000\n");
  EXPECT_FALSE(cgroup_processors(root_));
  write(cpu + "/cpu.cfs_quota_us", "250000\n");
  write(cpu + "/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(cgroup_processors(root_), 3U);
  EXPECT_TRUE(warnings_.empty());
}

TEST_F(MachineTest, AQuotaOfProcessors) {
  version_2("/a/b");
  write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
  EXPECT_FALSE(cgroup_processors(root_));
  write("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
  EXPECT_EQ(cgroup_processors(root_), 1U);
  EXPECT_EQ(available_processors(root_), 1U);
  write("/sys/fs/cgroup/a/cpu.max", "150000 100000\n");
  EXPECT_EQ(cgroup_processors(root_), 2U);
}

TEST_F(MachineTest, WhatMakesNoSenseIsToldAndCountsForNothing) {
  version_2("/app");
  memory_2("/app", "plenty", 0, 0);
  EXPECT_EQ(available_memory(root_), 8192 * MiB);
  ASSERT_EQ(warnings_.size(), 1U);
  EXPECT_NE(warnings_[0].find("memory.max holds 'plenty'"), std::string::npos) << warnings_[0];
  memory_2("/app", "", 0, 0);
  EXPECT_EQ(available_memory(root_), 8192 * MiB);
  write("/sys/fs/cgroup/app/cpu.max", "99999999999999999999999 100000\n");
  EXPECT_FALSE(cgroup_processors(root_));
  EXPECT_GE(warnings_.size(), 3U);
}

TEST_F(MachineTest, SpacesInPaths) {
  write("/proc/self/cgroup", "0::/my app\n");
  write("/proc/self/mountinfo", "30 22 0:26 / /sys/fs/control\\040groups rw - cgroup2 x rw\n");
  write("/sys/fs/control groups/my app/memory.max", std::to_string(64 * MiB));
  write("/sys/fs/control groups/my app/memory.current", "0");
  EXPECT_EQ(available_memory(root_), 64 * MiB);
}

}  // namespace
}  // namespace livepeer
