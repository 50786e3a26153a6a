#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace livepeer {

/// The limits of this process's control groups, of both versions, and of all groups above them. A
/// file that is there and makes no sense is told of in the log, and counts for nothing. `root`: as
/// in machine.h.

/// Bytes that are left below the tightest limit, pages of files that nobody uses counted as left;
/// none where there is no limit.
std::optional<uint64_t> cgroup_memory(const std::string &root = {});

/// Processors that the tightest quota comes to, rounded up; none where there is no quota.
std::optional<unsigned> cgroup_processors(const std::string &root = {});

}  // namespace livepeer
