#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/file.h"

namespace livepeer {

/// Element types of tensors in files; those of the safetensors format.
enum class Dtype {
  boolean,
  u8,
  i8,
  f8_e5m2,
  f8_e4m3,
  u16,
  i16,
  f16,
  bf16,
  u32,
  i32,
  f32,
  u64,
  i64,
  f64
};
size_t size_of(Dtype dtype);       ///< bytes of one element
const char *name_of(Dtype dtype);  ///< as in a safetensors header: "F32", "BF16", ...
bool is_floating(Dtype dtype);     ///< F16, BF16, F32 or F64
/// False where there is no type of this name.
bool dtype_named(const std::string &name, Dtype &dtype);
/// False where `bytes` of floating-point elements (aligned or not) hold a NaN or an infinity; true
/// for other types.
bool all_finite(Dtype dtype, const void *data, size_t bytes);
/// "[3, 4]", for messages.
std::string to_string(const std::vector<int64_t> &shape);
/// Bytes of a tensor; false where they are too many to count.
bool tensor_bytes(Dtype dtype, const std::vector<int64_t> &shape, uint64_t &bytes);

/// One tensor of a file, its elements row by row. `offset` counts from the file's first byte.
struct TensorEntry {
  Dtype dtype;
  std::vector<int64_t> shape;
  uint64_t offset;
  uint64_t bytes;
};

/// An open file of named tensors, all of whose places have been checked against its size.
class WeightsFile {
 public:
  const std::string &path() const { return path_; }
  const std::map<std::string, TensorEntry> &tensors() const { return tensors_; }
  /// Names under which something else stands, and what: "is a tensor in pieces".
  const std::map<std::string, std::string> &unfit() const { return unfit_; }
  /// Texts beside the tensors: those of a safetensors header, and "name" of a file of torch.save.
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  uint64_t size() const { return size_; }
  /// Copies `bytes` of the data of `entry`, from its byte `offset` on. Throws Error{open_read},
  /// also where the file has changed its size since it was opened.
  void read(const TensorEntry &entry, uint64_t offset, void *buffer, size_t bytes) const;
  /// The same open file with other names, for tensors that lie inside of its own.
  std::shared_ptr<const WeightsFile> with(std::map<std::string, TensorEntry> tensors,
                                          std::map<std::string, std::string> unfit) const;

 protected:
  /// `format`: what the file should be, for messages ("a safetensors file"). Throws
  /// Error{not_found, open_read}.
  WeightsFile(const std::string &path, std::string format);
  const RegularFile &file() const { return *file_; }
  [[noreturn]] void fail(const std::string &problem) const;

  std::map<std::string, TensorEntry> tensors_;
  std::map<std::string, std::string> unfit_;
  std::map<std::string, std::string> metadata_;

 private:
  std::string path_, format_;
  std::shared_ptr<const RegularFile> file_;
  uint64_t size_;
};

/// Opens a file of any format that is known, which its bytes tell and not its name: safetensors, or
/// what torch.save writes. Throws Error{not_found, open_read}, and says so where the file is a Git
/// LFS pointer, a web page or empty.
std::shared_ptr<const WeightsFile> open_weights(const std::string &path);

}  // namespace livepeer
