#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace upscale_file {

/// What a job that is interrupted is taken up again by.
struct Job {
  std::string input;  ///< fingerprint
  std::map<std::string, std::string>
      settings;       ///< what decides how frames look, by option or property
  std::string model;  ///< fingerprint; empty until it is loaded
  std::string encoder;
  int64_t seed = 0;
  uint64_t fragment_frames = 0;  ///< 0: not known yet
  std::string partial_output;    ///< fingerprint of an output that is a part; empty: there is none
};

/// Replaces the file at once, or not at all. Throws Failure.
void write_job(const std::string &path, const Job &job);
/// Throws Failure where it is none.
Job read_job(const std::string &path);
/// Throws Failure that names what is not the same in both.
void check_same(const Job &before, const Job &now);

}  // namespace upscale_file
