#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Writers of what torch.save writes, able to write what it never would.
namespace livepeer::test {

template <typename Number>
std::string little_endian(Number number) {
  return {reinterpret_cast<const char *>(&number), sizeof number};
}

inline std::string repeated(const std::string &text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

/// One value on a pickle's stack each.
namespace pickled {

inline const std::string proto = "\x80\x02";
inline std::string text(const std::string &value) {
  return "X" + little_endian(uint32_t(value.size())) + value;
}
inline std::string integer(int64_t value) { return "\x8a\x08" + little_endian(value); }
inline std::string global(const std::string &module, const std::string &attribute) {
  return "c" + module + "\n" + attribute + "\n";
}
inline std::string joined(const std::vector<std::string> &values) {
  std::string all;
  for (const std::string &value : values) all += value;
  return all;
}
inline std::string tuple(const std::vector<std::string> &values) {
  return "(" + joined(values) + "t";
}
inline std::string list(const std::vector<std::string> &values) {
  return "](" + joined(values) + "e";
}
inline std::string dict(const std::vector<std::pair<std::string, std::string>> &items) {
  std::string all = "}(";
  for (const auto &[key, value] : items) all += text(key) + value;
  return all + "u";
}
inline std::string sizes(const std::vector<int64_t> &values) {
  std::vector<std::string> numbers;
  for (const int64_t value : values) numbers.push_back(integer(value));
  return tuple(numbers);
}
inline std::string call(const std::string &callable, const std::string &arguments) {
  return callable + arguments + "R";
}
inline std::string storage(const std::string &key, int64_t count,
                           const std::string &type = "FloatStorage") {
  return tuple({text("storage"), global("torch", type), text(key), text("cpu"), integer(count)}) +
         "Q";
}
inline std::string tensor(const std::string &storage, int64_t offset,
                          const std::vector<int64_t> &shape, const std::vector<int64_t> &strides) {
  return call(global("torch._utils", "_rebuild_tensor_v2"),
              tuple({storage, integer(offset), sizes(shape), sizes(strides), "\x89",
                     call(global("collections", "OrderedDict"), ")")}));
}
/// A whole pickle.
inline std::string program(const std::string &value) { return proto + value + "."; }

}  // namespace pickled

/// An entry of a zip archive; what is set differs from what it should be.
struct ZipItem {
  std::string name, data;
  uint16_t method = 0, flags = 0;
  std::optional<uint32_t> stored_bytes = {}, bytes = {}, header = {};
  std::string extra = {};
  std::optional<uint16_t> local_method = {}, local_extra_bytes = {};
  std::optional<std::string> local_name = {};
  std::string signature = "PK\1\2", local_signature = "PK\3\4";
};

struct ZipEnd {
  uint32_t disks = 0;
  std::optional<uint16_t> entries = {};
  std::optional<uint32_t> offset = {}, bytes = {};
};

/// A zip archive of stored entries.
inline std::string zip(const std::vector<ZipItem> &items, const ZipEnd &end = {}) {
  std::string file, directory;
  for (const ZipItem &item : items) {
    const std::string name = item.local_name.value_or(item.name);
    const auto header = uint32_t(file.size()), bytes = uint32_t(item.data.size());
    const std::string times(8, '\0');
    file += item.local_signature + little_endian(uint16_t(0)) + little_endian(item.flags) +
            little_endian(item.local_method.value_or(item.method)) + times + little_endian(bytes) +
            little_endian(bytes) + little_endian(uint16_t(name.size())) +
            little_endian(item.local_extra_bytes.value_or(0)) + name + item.data;
    directory +=
        item.signature + std::string(4, '\0') + little_endian(item.flags) +
        little_endian(item.method) + times + little_endian(item.stored_bytes.value_or(bytes)) +
        little_endian(item.bytes.value_or(bytes)) + little_endian(uint16_t(item.name.size())) +
        little_endian(uint16_t(item.extra.size())) + std::string(10, '\0') +
        little_endian(item.header.value_or(header)) + item.name + item.extra;
  }
  const auto count = end.entries.value_or(uint16_t(items.size()));
  return file + directory + "PK\5\6" + little_endian(end.disks) + little_endian(count) +
         little_endian(count) + little_endian(end.bytes.value_or(uint32_t(directory.size()))) +
         little_endian(end.offset.value_or(uint32_t(file.size()))) + std::string(2, '\0');
}

/// Puts the records of zip64 between an archive's directory and its end.
inline std::string with_zip64(const std::string &archive, uint64_t entries, uint64_t offset,
                              uint64_t bytes, const std::string &signature = "PK\6\6",
                              std::optional<uint64_t> place = {}) {
  const size_t end = archive.size() - 22;
  const std::string record = signature + little_endian(uint64_t(44)) + std::string(12, '\0') +
                             little_endian(entries) + little_endian(entries) +
                             little_endian(bytes) + little_endian(offset);
  const std::string locator = "PK\6\7" + std::string(4, '\0') + little_endian(place.value_or(end)) +
                              little_endian(uint32_t(1));
  return archive.substr(0, end) + record + locator + "PK\5\6" + std::string(4, '\0') +
         std::string(12, '\xff') + std::string(2, '\0');
}

using StorageBytes = std::vector<std::pair<std::string, std::string>>;

/// What torch.save writes today: `value` is one value on a pickle's stack.
inline std::string torch_archive(const std::string &value, const StorageBytes &storages = {}) {
  std::vector<ZipItem> items{{"archive/data.pkl", pickled::program(value)},
                             {"archive/byteorder", "little"}};
  for (const auto &[key, bytes] : storages) items.push_back({"archive/data/" + key, bytes});
  items.push_back({"archive/version", "3\n"});
  return zip(items);
}

/// What torch.save wrote before PyTorch 1.6; storages as number of elements and bytes.
struct OldStorage {
  std::string key;
  uint64_t count;
  std::string bytes;
};

inline const std::string old_magic = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";

inline std::string old_head(int64_t version = 1001, bool is_little_endian = true) {
  using namespace pickled;
  return old_magic + program(integer(version)) +
         program(dict({{"protocol_version", integer(version)},
                       {"little_endian", is_little_endian ? "\x88" : "\x89"}}));
}

inline std::string old_torch_file(const std::string &value,
                                  const std::vector<OldStorage> &storages = {},
                                  const std::string &head = old_head()) {
  std::vector<std::string> keys;
  std::string data;
  for (const OldStorage &storage : storages) {
    keys.push_back(pickled::text(storage.key));
    data += little_endian(storage.count) + storage.bytes;
  }
  return head + pickled::program(value) + pickled::program(pickled::list(keys)) + data;
}

}  // namespace livepeer::test
