#include "io/safetensors.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>

#include "runtime/error.h"

namespace livepeer {
namespace {

constexpr size_t length_bytes = 8;
// The largest known models have headers of a few MB; a damaged length must not make us parse GBs.
constexpr uint64_t max_header_bytes = 16 << 20;

constexpr int max_depth = 3;

constexpr char changed[] = "changed while it was being read";

bool read_unsigned(const nlohmann::json &value, uint64_t &number) {
  if (!value.is_number_unsigned()) return false;
  number = value.get<uint64_t>();
  return number <= uint64_t(std::numeric_limits<int64_t>::max());
}

/// Parses an object of objects and reports the first key that an object holds twice (the JSON
/// library would silently keep one of them).
nlohmann::json parse_unique(std::string_view text, std::string &duplicate) {
  std::set<std::string> names, fields;
  const auto watch = [&](int depth, nlohmann::json::parse_event_t event, nlohmann::json &parsed) {
    using Event = nlohmann::json::parse_event_t;
    if (event == Event::object_start) fields.clear();
    if (event == Event::key && depth <= 2) {
      auto &seen = depth == 1 ? names : fields;
      const auto &key = parsed.get_ref<const std::string &>();
      if (!seen.insert(key).second && duplicate.empty()) duplicate = key;
    }
    return depth <= max_depth;  // what is deeper is left out, and fails the checks that follow
  };
  return nlohmann::json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
}

}  // namespace

SafetensorsFile::SafetensorsFile(const std::string &path)
    : WeightsFile(path, "a safetensors file") {
  if (size() < length_bytes + 2)
    fail("is too short to be one (" + std::to_string(size()) + " bytes)");
  read_header();
}

void SafetensorsFile::read_header() {
  uint64_t header_bytes;
  if (file().read(&header_bytes, length_bytes, 0) != length_bytes) fail(changed);
  if (header_bytes > max_header_bytes)
    fail("claims a header of " + std::to_string(header_bytes) + " bytes (at most " +
         std::to_string(max_header_bytes) + " are taken)");
  if (header_bytes > size() - length_bytes)
    fail("is truncated: its header should have " + std::to_string(header_bytes) +
         " bytes, the whole file has " + std::to_string(size()));

  std::string text(size_t(header_bytes), '\0'), duplicate;
  if (file().read(text.data(), text.size(), length_bytes) != text.size()) fail(changed);
  const nlohmann::json header = parse_unique(text, duplicate);
  if (!header.is_object()) fail("has a header that is not a JSON object");
  if (!duplicate.empty()) fail("names \"" + duplicate + "\" twice in its header");

  const uint64_t data_begin = length_bytes + header_bytes;
  const uint64_t data_bytes = size() - data_begin;
  for (const auto &[name, value] : header.items()) {
    const std::string label = "\"" + name.substr(0, 200) + "\"";
    if (name == "__metadata__") {
      if (!value.is_object()) fail("has a __metadata__ that is not an object");
      for (const auto &[key, text_value] : value.items()) {
        if (!text_value.is_string()) fail("has a __metadata__ entry that is not a string");
        metadata_[key] = text_value.get<std::string>();
      }
      continue;
    }
    if (!value.is_object() || !value.contains("dtype") || !value.contains("shape") ||
        !value.contains("data_offsets"))
      fail("describes tensor " + label + " without dtype, shape and data_offsets");

    const nlohmann::json &dtype = value["dtype"];
    TensorEntry entry{};
    if (!dtype.is_string() || !dtype_named(dtype.get<std::string>(), entry.dtype))
      fail("has tensor " + label + " of unknown dtype");

    if (!value["shape"].is_array()) fail("has tensor " + label + " whose shape is not a list");
    for (const auto &side : value["shape"]) {
      uint64_t number;
      if (!read_unsigned(side, number))
        fail("has tensor " + label + " whose shape holds something other than sizes");
      entry.shape.push_back(int64_t(number));
    }
    const auto &offsets = value["data_offsets"];
    uint64_t begin, end;
    if (!offsets.is_array() || offsets.size() != 2 || !read_unsigned(offsets[0], begin) ||
        !read_unsigned(offsets[1], end) || begin > end)
      fail("has tensor " + label + " whose data_offsets are not two ascending positions");
    if (end > data_bytes)
      fail("is truncated: tensor " + label + " ends at byte " + std::to_string(end) + " of " +
           std::to_string(data_bytes));
    if (!tensor_bytes(entry.dtype, entry.shape, entry.bytes) || entry.bytes != end - begin)
      fail("has tensor " + label + " of shape " + to_string(entry.shape) + " and type " +
           name_of(entry.dtype) + " in " + std::to_string(end - begin) +
           " bytes, which is not its size");
    entry.offset = data_begin + begin;
    tensors_.emplace(name, std::move(entry));
  }

  std::vector<std::pair<const std::string *, const TensorEntry *>> by_offset;
  for (const auto &[name, entry] : tensors_) by_offset.emplace_back(&name, &entry);
  std::sort(by_offset.begin(), by_offset.end(), [](const auto &a, const auto &b) {
    return std::pair(a.second->offset, a.second->bytes) <
           std::pair(b.second->offset, b.second->bytes);
  });
  uint64_t expected = data_begin;
  for (const auto &[name, entry] : by_offset) {
    if (entry->offset < expected) fail("has tensor \"" + *name + "\" overlapping another");
    if (entry->offset > expected) fail("has a gap before tensor \"" + *name + "\"");
    expected += entry->bytes;
  }
  if (expected != size())
    fail("has " + std::to_string(size() - expected) + " bytes that belong to no tensor");
}

SafetensorsWriter::SafetensorsWriter(const std::string &path, const std::vector<Tensor> &tensors,
                                     const std::map<std::string, std::string> &metadata)
    : path_(path), unfinished_path_(path + ".unfinished"), file_(nullptr, &std::fclose) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const Tensor &tensor : tensors) {
    uint64_t bytes;
    if (header.contains(tensor.name) || !tensor_bytes(tensor.dtype, tensor.shape, bytes))
      fail("tensor \"" + tensor.name + "\" is named twice or too large");
    header[tensor.name] = {{"dtype", name_of(tensor.dtype)},
                           {"shape", tensor.shape},
                           {"data_offsets", {remaining_, remaining_ + bytes}}};
    remaining_ += bytes;
  }
  std::string text = header.is_null() ? "{}" : header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');  // keeps the data aligned for other readers
  const uint64_t length = text.size();
  remaining_ += length_bytes + length;
  file_.reset(std::fopen(unfinished_path_.c_str(), "wb"));
  if (!file_) fail(std::strerror(errno));
  append(&length, length_bytes);
  append(text.data(), text.size());
}

SafetensorsWriter::~SafetensorsWriter() {
  if (!file_) return;
  file_.reset();
  std::remove(unfinished_path_.c_str());
}

void SafetensorsWriter::fail(const std::string &problem) const {
  throw Error(ErrorKind::failed, "Weights file " + path_ + " cannot be written: " + problem + ".",
              path_);
}

void SafetensorsWriter::append(const void *data, size_t bytes) {
  if (bytes > remaining_) fail("more data than the header announced");
  if (bytes && std::fwrite(data, 1, bytes, file_.get()) != bytes) fail(std::strerror(errno));
  remaining_ -= bytes;
}

void SafetensorsWriter::finish() {
  if (remaining_) fail(std::to_string(remaining_) + " bytes of data are missing");
  if (std::fclose(file_.release()) != 0 ||
      std::rename(unfinished_path_.c_str(), path_.c_str()) != 0) {
    const int error = errno;
    std::remove(unfinished_path_.c_str());
    fail(std::strerror(error));
  }
}

}  // namespace livepeer
