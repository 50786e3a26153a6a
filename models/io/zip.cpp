#include "io/zip.h"

#include <algorithm>
#include <vector>

#include "io/byte_reader.h"

namespace livepeer {
namespace {

constexpr uint32_t entry_signature = 0x02014b50, local_signature = 0x04034b50,
                   end_signature = 0x06054b50, end64_signature = 0x06064b50,
                   locator_signature = 0x07064b50;
constexpr uint64_t end_bytes = 22, end64_bytes = 56, locator_bytes = 20, local_bytes = 30;
// A training checkpoint of thousands of tensors has some 100 bytes for each.
constexpr uint64_t max_directory_bytes = 16 << 20;
constexpr uint32_t in_zip64 = 0xffffffff;

/// `bytes` bytes at `offset`.
std::string read_at(const RegularFile &file, uint64_t offset, uint64_t bytes) {
  std::string text(size_t(bytes), '\0');
  if (file.read(text.data(), text.size(), offset) != text.size())
    throw FormatError("is truncated: it changed while it was being read");
  return text;
}

struct Directory {
  uint64_t entries, offset, bytes;
};

Directory find_directory(const RegularFile &file, uint64_t size) {
  if (size < end_bytes) throw FormatError("is too short to be a zip archive");
  const std::string end = read_at(file, size - end_bytes, end_bytes);
  ByteReader reader(end);
  // Nothing of torch's writes a comment behind, so that the end can only be here.
  if (reader.number<uint32_t>() != end_signature)
    throw FormatError("is truncated: the end of its zip archive is missing");
  if (reader.number<uint32_t>() != 0) throw FormatError("is one of several parts of a zip archive");
  reader.take(2);
  Directory directory{reader.number<uint16_t>(), 0, reader.number<uint32_t>()};
  directory.offset = reader.number<uint32_t>();
  uint64_t directory_end = size - end_bytes;

  if (size >= end_bytes + locator_bytes + end64_bytes) {
    const std::string locator = read_at(file, size - end_bytes - locator_bytes, locator_bytes);
    ByteReader located(locator);
    if (located.number<uint32_t>() == locator_signature) {
      located.take(4);
      directory_end = located.number<uint64_t>();
      if (directory_end != size - end_bytes - locator_bytes - end64_bytes)
        throw FormatError("has a zip archive whose end is not where it says");
      const std::string end64 = read_at(file, directory_end, end64_bytes);
      ByteReader wide(end64);
      if (wide.number<uint32_t>() != end64_signature)
        throw FormatError("has a zip archive whose end has no signature");
      wide.take(28);
      directory.entries = wide.number<uint64_t>();
      directory.bytes = wide.number<uint64_t>();
      directory.offset = wide.number<uint64_t>();
    }
  }
  if (directory.bytes > max_directory_bytes)
    throw FormatError("has a zip archive with a directory of " + std::to_string(directory.bytes) +
                      " bytes (at most " + std::to_string(max_directory_bytes) + " are taken)");
  if (directory.offset > directory_end || directory_end - directory.offset != directory.bytes)
    throw FormatError("has a zip archive whose directory is not where it says");
  return directory;
}

struct Found {
  std::string name;
  uint64_t header, offset, bytes;
};

/// Sizes and place of an entry that do not fit into 32 bits stand in its extra field 1, in order.
void read_zip64(std::string_view extra, uint64_t &bytes, uint64_t &stored, uint64_t &header) {
  ByteReader fields(extra);
  while (fields.remaining() >= 4) {
    const auto id = fields.number<uint16_t>();
    const auto length = fields.number<uint16_t>();
    ByteReader field(fields.take(length));
    if (id != 1) continue;
    for (uint64_t *value : {&bytes, &stored, &header})
      if (*value == in_zip64) *value = field.number<uint64_t>();
    return;
  }
}

Found read_entry(ByteReader &directory) {
  if (directory.number<uint32_t>() != entry_signature)
    throw FormatError("has a zip archive whose directory holds something else");
  directory.take(4);
  const auto flags = directory.number<uint16_t>();
  const auto method = directory.number<uint16_t>();
  directory.take(8);
  uint64_t stored = directory.number<uint32_t>();
  uint64_t bytes = directory.number<uint32_t>();
  const auto name_bytes = directory.number<uint16_t>();
  const auto extra_bytes = directory.number<uint16_t>();
  const auto comment_bytes = directory.number<uint16_t>();
  directory.take(8);
  uint64_t header = directory.number<uint32_t>();
  std::string name(directory.take(name_bytes));
  read_zip64(directory.take(extra_bytes), bytes, stored, header);
  directory.take(comment_bytes);
  if (flags & 1) throw FormatError("has an encrypted zip archive");
  if (method != 0) throw FormatError("has a compressed zip archive, which torch.save never writes");
  if (stored != bytes) throw FormatError("has a zip archive whose entry has two sizes");
  return {std::move(name), header, 0, bytes};
}

/// Finds the data behind the entry's own header, which must agree with the directory.
void find_data(const RegularFile &file, uint64_t end, Found &entry) {
  if (entry.header > end || end - entry.header < local_bytes + entry.name.size())
    throw FormatError("has a zip archive whose entry begins beyond its end");
  const std::string header = read_at(file, entry.header, local_bytes + entry.name.size());
  ByteReader reader(header);
  if (reader.number<uint32_t>() != local_signature)
    throw FormatError("has a zip archive whose entry has no header");
  reader.take(4);
  if (reader.number<uint16_t>() != 0)
    throw FormatError("has a zip archive whose entry and directory differ in compression");
  reader.take(16);
  const auto name_bytes = reader.number<uint16_t>();
  const auto extra_bytes = reader.number<uint16_t>();
  if (name_bytes != entry.name.size() || reader.take(name_bytes) != entry.name)
    throw FormatError("has a zip archive whose entry and directory differ in their name");
  entry.offset = entry.header + local_bytes + name_bytes + extra_bytes;
  if (entry.offset > end || end - entry.offset < entry.bytes)
    throw FormatError("is truncated: an entry of its zip archive ends beyond it");
}

}  // namespace

std::map<std::string, ZipEntry> read_zip(const RegularFile &file) {
  const Directory place = find_directory(file, file.size());
  const std::string bytes = read_at(file, place.offset, place.bytes);
  ByteReader directory(bytes);
  std::vector<Found> found;
  while (directory.remaining() > 0) {
    found.push_back(read_entry(directory));
    find_data(file, place.offset, found.back());
  }
  if (found.size() != place.entries)
    throw FormatError("has a zip archive of " + std::to_string(found.size()) +
                      " entries that claims " + std::to_string(place.entries));

  std::sort(found.begin(), found.end(),
            [](const Found &a, const Found &b) { return a.header < b.header; });
  std::map<std::string, ZipEntry> entries;
  uint64_t free = 0;
  for (const Found &entry : found) {
    if (entry.header < free) throw FormatError("has a zip archive with overlapping entries");
    free = entry.offset + entry.bytes;
    if (!entries.emplace(entry.name, ZipEntry{entry.offset, entry.bytes}).second)
      throw FormatError("has a zip archive that names an entry twice");
  }
  return entries;
}

}  // namespace livepeer
