#pragma once

#include <string>

#include "job_file.h"
#include "options.h"

namespace upscale_file {

/// Whether an interrupted job lies beside the output.
bool is_unfinished(const std::string &output);

/// The folder beside an output in which its unfinished job lies. There is one job in it at a time.
class JobFolder {
 public:
  /// Makes the folder, or with --resume finds it. Throws Failure where an output or another job is
  /// in the way, or where nothing can be written.
  JobFolder(const std::string &output, const Options &options);
  /// Removes the folder unless there is a job in it.
  ~JobFolder();
  bool resumes() const { return resumes_; }
  const std::string &path() const { return path_; }
  std::string fragment(uint64_t number) const;
  std::string partial_fragment() const { return path_ + "/partial"; }
  std::string job_file() const { return path_ + "/job.json"; }
  /// How many fragments of `frames` frames are complete, from the first on.
  uint64_t complete_fragments(uint64_t frames) const;
  /// Only what is a job's own; anything else stays, and the folder with it.
  void remove();

 private:
  void make();

  const std::string output_, path_;
  bool resumes_ = false;
  int lock_ = -1;
};

}  // namespace upscale_file
