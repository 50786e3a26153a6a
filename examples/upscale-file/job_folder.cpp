#include "job_folder.h"

#include <fcntl.h>
#include <glib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <regex>
#include <vector>

#include "failure.h"
#include "input.h"
#include "packets.h"
#include "text.h"

namespace upscale_file {
namespace {

namespace fs = std::filesystem;

/// What a job writes, and what a crash leaves of it.
bool is_ours(const fs::path &file) {
  static const std::regex names(
      "job\\.json(\\..{6})?|unfinished|(partial|stream-[0-9]+|[0-9]{6,}\\.fragment)(\\.new)?");
  std::error_code none;
  return std::regex_match(file.filename().string(), names) &&
         fs::symlink_status(file, none).type() == fs::file_type::regular;
}

std::vector<fs::path> files_in(const std::string &folder) {
  std::error_code error;
  std::vector<fs::path> files;
  for (fs::directory_iterator at(folder, error); !error && at != fs::directory_iterator();
       at.increment(error))
    files.push_back(at->path());
  if (error) throw Failure("'" + shown(folder) + "' cannot be read: " + error.message());
  return files;
}

}  // namespace

bool is_unfinished(const std::string &output) {
  return g_file_test((output + ".part/job.json").c_str(), G_FILE_TEST_EXISTS);
}

JobFolder::JobFolder(const std::string &output, const Options &options)
    : output_(output), path_(output + ".part") {
  const bool there = is_unfinished(output);
  const bool output_there = g_file_test(output.c_str(), G_FILE_TEST_EXISTS);
  if (options.resume && there) {
    const Job job = read_job(job_file());
    if (output_there && file_fingerprint(output) != job.partial_output)
      throw Failure(
          "'" + shown(output) +
          "' is not what the interrupted job wrote: move it away, or begin anew with --overwrite");
    resumes_ = true;
  } else if (options.resume && output_there) {
    throw Failure("there is nothing to resume: '" + shown(output) + "' is complete");
  } else if (!options.overwrite && there) {
    throw Failure("an unfinished job lies in '" + shown(path_) +
                  "': go on with --resume, or begin anew with --overwrite");
  } else if (!options.overwrite && output_there) {
    throw Failure("'" + shown(output) + "' exists: --overwrite replaces it");
  }
  make();
}

JobFolder::~JobFolder() {
  // Without a job there is nothing to go on with.
  if (!g_file_test(job_file().c_str(), G_FILE_TEST_EXISTS)) remove();
  if (lock_ >= 0) close(lock_);
}

void JobFolder::make() {
  if (g_mkdir_with_parents(path_.c_str(), 0777) != 0)
    throw Failure("'" + shown(path_) + "' cannot be written: " + std::strerror(errno));
  lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (lock_ < 0) throw Failure("'" + shown(path_) + "' cannot be used: " + std::strerror(errno));
  if (flock(lock_, LOCK_EX | LOCK_NB) != 0)
    throw Failure("another process works on '" + shown(path_) + "'");
  if (resumes_) return;
  const std::vector<fs::path> before = files_in(path_);
  for (const fs::path &file : before)
    if (!is_ours(file))
      throw Failure("'" + shown(path_) + "' holds '" + shown(file.filename().string()) +
                    "', which is no part of a job: move it away");
  std::error_code error;
  for (const fs::path &file : before)
    if (!fs::remove(file, error) && error)
      throw Failure("'" + shown(file.string()) + "' cannot be removed: " + error.message());
}

std::string JobFolder::fragment(uint64_t number) const {
  g_autofree char *name =
      g_strdup_printf("%s/%06" G_GUINT64_FORMAT ".fragment", path_.c_str(), number);
  return name;
}

uint64_t JobFolder::complete_fragments(uint64_t frames) const {
  uint64_t number = 0;
  try {
    while (g_file_test(fragment(number).c_str(), G_FILE_TEST_EXISTS) &&
           PacketReader(fragment(number)).frames() == frames)
      number++;
  } catch (const Failure &) {
    // What cannot be read is made again.
  }
  return number;
}

void JobFolder::remove() {
  std::error_code none;
  // Whatever is left without it is no job.
  fs::remove(job_file(), none);
  for (fs::directory_iterator at(path_, none); at != fs::directory_iterator(); at.increment(none))
    if (is_ours(at->path())) fs::remove(at->path(), none);
  fs::remove(path_, none);
}

}  // namespace upscale_file
