#pragma once

#include <cstdint>
#include <string>

namespace livepeer {

/// An open regular file. Devices, pipes, folders and symlink loops are refused instead of read
/// (opening a pipe would wait for its writer).
class RegularFile {
 public:
  /// Opens `path` for reading; `what` is the subject of the error sentence ("Weights file").
  /// Throws Error{not_found} where nothing is there, Error{open_read} for everything else.
  RegularFile(const std::string &path, const std::string &what);
  ~RegularFile();
  RegularFile(const RegularFile &) = delete;
  RegularFile &operator=(const RegularFile &) = delete;

  /// Size now, in bytes.
  uint64_t size() const;
  /// `bytes` bytes from `offset` on into `buffer`; fewer where the file ends. Returns how many.
  /// Throws Error{open_read}.
  size_t read(void *buffer, size_t bytes, uint64_t offset) const;

 private:
  std::string path_, what_;
  int descriptor_ = -1;
};

/// Tells files and their versions apart: the canonical path, size, inode and time of change.
std::string file_identity(const std::string &path);

/// The whole file as bytes. Throws as RegularFile does, and Error{open_read} above `max_bytes`.
std::string read_text(const std::string &path, const std::string &what, uint64_t max_bytes);

}  // namespace livepeer
