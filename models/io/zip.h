#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "io/file.h"

namespace livepeer {

/// Where the bytes of an archive's entry lie in the file.
struct ZipEntry {
  uint64_t offset;
  uint64_t bytes;
};

/// The entries of a zip archive (also zip64), all of which must be stored: nothing is ever
/// unpacked, so nothing can grow. The directory is checked against the file and against the
/// headers of the entries, no two of which may share a byte or a name. Throws FormatError.
std::map<std::string, ZipEntry> read_zip(const RegularFile &file);

}  // namespace livepeer
