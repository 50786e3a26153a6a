#include "io/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "runtime/error.h"

namespace livepeer {
namespace {

[[noreturn]] void refuse(const std::string &what, const std::string &path, int error) {
  const std::string reason = std::strerror(error);
  if (error == ENOENT || error == ENOTDIR)
    throw Error(ErrorKind::not_found,
                what + " " + path + " does not exist; complete the folder or correct its path.",
                path + ": " + reason);
  throw Error(ErrorKind::open_read,
              what + " " + path + " cannot be read (" + reason +
                  "); check its permissions and links, or fetch it again.",
              path + ": " + reason);
}

}  // namespace

RegularFile::RegularFile(const std::string &path, const std::string &what)
    : path_(path), what_(what) {
  descriptor_ = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor_ < 0) refuse(what, path, errno);
  struct stat status;
  if (::fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode)) return;
  ::close(descriptor_);
  throw Error(ErrorKind::open_read,
              what + " " + path + " is not a regular file; put the real file in its place.", path);
}

RegularFile::~RegularFile() { ::close(descriptor_); }

uint64_t RegularFile::size() const {
  struct stat status;
  if (::fstat(descriptor_, &status) != 0) refuse(what_, path_, errno);
  return uint64_t(status.st_size);
}

size_t RegularFile::read(void *buffer, size_t bytes, uint64_t offset) const {
  size_t done = 0;
  while (done < bytes) {
    const ssize_t count = ::pread(descriptor_, static_cast<char *>(buffer) + done, bytes - done,
                                  off_t(offset + done));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) refuse(what_, path_, errno);
    if (count == 0) break;
    done += size_t(count);
  }
  return done;
}

std::string file_identity(const std::string &path) {
  std::error_code ignored;
  std::string identity = std::filesystem::weakly_canonical(path, ignored);
  struct stat status;
  if (::stat(path.c_str(), &status) == 0)
    for (const int64_t number : {int64_t(status.st_size), int64_t(status.st_ino),
                                 int64_t(status.st_mtim.tv_sec), int64_t(status.st_mtim.tv_nsec)})
      identity += "|" + std::to_string(number);
  return identity;
}

std::string read_text(const std::string &path, const std::string &what, uint64_t max_bytes) {
  const RegularFile file(path, what);
  const uint64_t size = file.size();
  if (size > max_bytes)
    throw Error(ErrorKind::open_read,
                what + " " + path + " has " + std::to_string(size) + " bytes, more than the " +
                    std::to_string(max_bytes) + " such a file may have. Fetch it again.",
                path);
  std::string text(size, '\0');
  text.resize(file.read(text.data(), text.size(), 0));
  return text;
}

}  // namespace livepeer
