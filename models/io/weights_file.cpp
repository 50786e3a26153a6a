#include "io/weights_file.h"

#include <algorithm>
#include <cstring>

#include "io/safetensors.h"
#include "io/torch_file.h"
#include "runtime/error.h"

namespace livepeer {
namespace {

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

/// True where no element has all the bits of `exponent` set (which only NaN and infinity have). By
/// the largest one, which compilers turn into vector instructions.
template <typename Bits>
bool exponents_below(Bits exponent, const void *data, size_t bytes) {
  const auto *bytes_at = static_cast<const std::byte *>(data);
  Bits largest = 0;
  for (size_t i = 0; i + sizeof(Bits) <= bytes; i += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes_at + i, sizeof(Bits));
    largest = std::max(largest, Bits(bits & exponent));
  }
  return largest < exponent;
}

/// What the first bytes of a file say it is, where that is no file of weights; else "".
std::string mistaken(std::string_view head) {
  if (head.empty()) return "is empty. Fetch it again.";
  const size_t text = head.find_first_not_of("\xef\xbb\xbf \t\r\n");
  head.remove_prefix(std::min(text, head.size()));
  if (head.rfind("version https://git-lfs.github.com/spec/", 0) == 0)
    return "is a pointer of Git LFS to the real file; run \"git lfs pull\" in its folder.";
  if (head.rfind("<", 0) == 0)
    return "is a web page, not weights: the download was answered with a page to read, such as a "
           "login or an error. Fetch the file itself.";
  return {};
}

}  // namespace

size_t size_of(Dtype dtype) { return row_of(dtype).bytes; }
const char *name_of(Dtype dtype) { return row_of(dtype).name; }

bool is_floating(Dtype dtype) {
  return dtype == Dtype::f16 || dtype == Dtype::bf16 || dtype == Dtype::f32 || dtype == Dtype::f64;
}

bool dtype_named(const std::string &name, Dtype &dtype) {
  for (const DtypeName &row : dtype_names)
    if (name == row.name) {
      dtype = row.dtype;
      return true;
    }
  return false;
}

bool all_finite(Dtype dtype, const void *data, size_t bytes) {
  switch (dtype) {
    case Dtype::f16:
      return exponents_below<int16_t>(0x7c00, data, bytes);
    case Dtype::bf16:
      return exponents_below<int16_t>(0x7f80, data, bytes);
    case Dtype::f32:
      return exponents_below<int32_t>(0x7f800000, data, bytes);
    case Dtype::f64:
      return exponents_below<int64_t>(0x7ff0000000000000, data, bytes);
    default:
      return true;
  }
}

std::string to_string(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

bool tensor_bytes(Dtype dtype, const std::vector<int64_t> &shape, uint64_t &bytes) {
  bytes = size_of(dtype);
  for (const int64_t side : shape)
    if (__builtin_mul_overflow(bytes, uint64_t(side), &bytes)) return false;
  return true;
}

WeightsFile::WeightsFile(const std::string &path, std::string format)
    : path_(path),
      format_(std::move(format)),
      file_(std::make_shared<RegularFile>(path, "Weights file")),
      size_(file_->size()) {}

void WeightsFile::fail(const std::string &problem) const {
  throw Error(ErrorKind::open_read,
              "Weights file " + path_ + " " + problem + "; it is damaged or not " + format_ +
                  ". Fetch it again.",
              path_);
}

void WeightsFile::read(const TensorEntry &entry, uint64_t offset, void *buffer,
                       size_t bytes) const {
  if (file_->read(buffer, bytes, entry.offset + offset) != bytes || file_->size() != size_)
    fail("changed while it was being read");
}

std::shared_ptr<const WeightsFile> WeightsFile::with(
    std::map<std::string, TensorEntry> tensors, std::map<std::string, std::string> unfit) const {
  const auto file = std::make_shared<WeightsFile>(*this);
  file->tensors_ = std::move(tensors);
  file->unfit_ = std::move(unfit);
  return file;
}

std::shared_ptr<const WeightsFile> open_weights(const std::string &path) {
  std::string head(64, '\0');
  head.resize(RegularFile(path, "Weights file").read(head.data(), head.size(), 0));
  if (const std::string what = mistaken(head); !what.empty())
    throw Error(ErrorKind::open_read, "Weights file " + path + " " + what, path);
  if (is_torch_file(head)) return std::make_shared<TorchFile>(path);
  return std::make_shared<SafetensorsFile>(path);
}

}  // namespace livepeer
