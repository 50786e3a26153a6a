#include "job_folder.h"

#include <fcntl.h>
#include <glib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "failure.h"
#include "input.h"
#include "packets.h"
#include "text.h"

namespace upscale_file {

JobFolder::JobFolder(const std::string &output, const Options &options)
    : output_(output), path_(output + ".part") {
  const bool there = g_file_test(job_file().c_str(), G_FILE_TEST_EXISTS);
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
  if (lock_ >= 0) close(lock_);
}

void JobFolder::make() {
  if (g_mkdir_with_parents(path_.c_str(), 0777) != 0)
    throw Failure("'" + shown(path_) + "' cannot be written: " + std::strerror(errno));
  lock_ = open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (lock_ < 0 || flock(lock_, LOCK_EX | LOCK_NB) != 0)
    throw Failure("another process works on '" + shown(path_) + "'");
  if (!resumes_)
    for (const auto &entry : std::filesystem::directory_iterator(path_))
      std::filesystem::remove(entry.path());
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
  std::filesystem::remove(job_file(), none);
  std::filesystem::remove_all(path_, none);
}

}  // namespace upscale_file
