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

struct DtypeName {
  Dtype dtype;
  const char *name;
  size_t bytes;
};
constexpr DtypeName dtype_names[] = {
    {Dtype::boolean, "BOOL", 1},    {Dtype::u8, "U8", 1},           {Dtype::i8, "I8", 1},
    {Dtype::f8_e5m2, "F8_E5M2", 1}, {Dtype::f8_e4m3, "F8_E4M3", 1}, {Dtype::u16, "U16", 2},
    {Dtype::i16, "I16", 2},         {Dtype::f16, "F16", 2},         {Dtype::bf16, "BF16", 2},
    {Dtype::u32, "U32", 4},         {Dtype::i32, "I32", 4},         {Dtype::f32, "F32", 4},
    {Dtype::u64, "U64", 8},         {Dtype::i64, "I64", 8},         {Dtype::f64, "F64", 8},
};

const DtypeName &row_of(Dtype dtype) {
  return *std::find_if(std::begin(dtype_names), std::end(dtype_names),
                       [dtype](const DtypeName &row) { return row.dtype == dtype; });
}

/// True where no element has all the bits of `exponent` set (which only NaN and infinity have).
template <typename Bits>
bool exponents_below(Bits exponent, const void *data, size_t bytes) {
  const auto *bytes_at = static_cast<const std::byte *>(data);
  bool finite = true;
  for (size_t i = 0; i + sizeof(Bits) <= bytes; i += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes_at + i, sizeof(Bits));
    finite &= (bits & exponent) != exponent;
  }
  return finite;
}

/// Elements of a shape, or false where the count does not fit.
bool element_count(const std::vector<int64_t> &shape, uint64_t &count) {
  count = 1;
  for (const int64_t side : shape)
    if (__builtin_mul_overflow(count, uint64_t(side), &count)) return false;
  return true;
}

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

size_t size_of(Dtype dtype) { return row_of(dtype).bytes; }
const char *name_of(Dtype dtype) { return row_of(dtype).name; }

bool all_finite(Dtype dtype, const void *data, size_t bytes) {
  switch (dtype) {
    case Dtype::f16:
      return exponents_below<uint16_t>(0x7c00, data, bytes);
    case Dtype::bf16:
      return exponents_below<uint16_t>(0x7f80, data, bytes);
    case Dtype::f32:
      return exponents_below<uint32_t>(0x7f800000, data, bytes);
    case Dtype::f64:
      return exponents_below<uint64_t>(0x7ff0000000000000, data, bytes);
    default:
      return true;
  }
}

std::string to_string(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

SafetensorsFile::SafetensorsFile(const std::string &path)
    : path_(path), file_(path, "Weights file"), size_(file_.size()) {
  if (size_ < length_bytes + 2)
    fail("is too short to be one (" + std::to_string(size_) + " bytes)");
  read_header();
}

void SafetensorsFile::fail(const std::string &problem) const {
  throw Error(ErrorKind::open_read,
              "Weights file " + path_ + " " + problem +
                  "; it is damaged or not a safetensors file. Fetch it again.",
              path_);
}

void SafetensorsFile::read_header() {
  uint64_t header_bytes;
  if (file_.read(&header_bytes, length_bytes, 0) != length_bytes) fail(changed);
  if (header_bytes > max_header_bytes)
    fail("claims a header of " + std::to_string(header_bytes) + " bytes (at most " +
         std::to_string(max_header_bytes) + " are taken)");
  if (header_bytes > size_ - length_bytes)
    fail("is truncated: its header should have " + std::to_string(header_bytes) +
         " bytes, the whole file has " + std::to_string(size_));

  std::string text(size_t(header_bytes), '\0'), duplicate;
  if (file_.read(text.data(), text.size(), length_bytes) != text.size()) fail(changed);
  const nlohmann::json header = parse_unique(text, duplicate);
  if (!header.is_object()) fail("has a header that is not a JSON object");
  if (!duplicate.empty()) fail("names \"" + duplicate + "\" twice in its header");

  const uint64_t data_begin = length_bytes + header_bytes;
  const uint64_t data_bytes = size_ - data_begin;
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
    const auto row = std::find_if(std::begin(dtype_names), std::end(dtype_names),
                                  [&dtype](const DtypeName &r) { return dtype == r.name; });
    if (row == std::end(dtype_names)) fail("has tensor " + label + " of unknown dtype");

    TensorEntry entry{row->dtype, {}, 0, 0};
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
    uint64_t count;
    if (!element_count(entry.shape, count) ||
        __builtin_mul_overflow(count, uint64_t(row->bytes), &entry.bytes) ||
        entry.bytes != end - begin)
      fail("has tensor " + label + " of shape " + to_string(entry.shape) + " and type " +
           row->name + " in " + std::to_string(end - begin) + " bytes, which is not its size");
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
  if (expected != size_)
    fail("has " + std::to_string(size_ - expected) + " bytes that belong to no tensor");
}

void SafetensorsFile::read(const TensorEntry &entry, uint64_t offset, void *buffer,
                           size_t bytes) const {
  if (file_.read(buffer, bytes, entry.offset + offset) != bytes || file_.size() != size_)
    fail(changed);
}

SafetensorsWriter::SafetensorsWriter(const std::string &path, const std::vector<Tensor> &tensors,
                                     const std::map<std::string, std::string> &metadata)
    : path_(path), unfinished_path_(path + ".unfinished"), file_(nullptr, &std::fclose) {
  nlohmann::ordered_json header;
  if (!metadata.empty()) header["__metadata__"] = metadata;
  for (const Tensor &tensor : tensors) {
    uint64_t count;
    if (header.contains(tensor.name) || !element_count(tensor.shape, count))
      fail("tensor \"" + tensor.name + "\" is named twice or too large");
    const uint64_t bytes = count * size_of(tensor.dtype);
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
