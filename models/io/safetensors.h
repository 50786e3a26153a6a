#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/file.h"

namespace livepeer {

/// Element types of the safetensors format.
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
const char *name_of(Dtype dtype);  ///< as in the header: "F32", "BF16", ...
/// False where `bytes` of floating-point elements (aligned or not) hold a NaN or an infinity; true
/// for other types.
bool all_finite(Dtype dtype, const void *data, size_t bytes);
/// "[3, 4]", for messages.
std::string to_string(const std::vector<int64_t> &shape);

/// One tensor of a file. `offset` counts from the file's first byte.
struct TensorEntry {
  Dtype dtype;
  std::vector<int64_t> shape;
  uint64_t offset;
  uint64_t bytes;
};

/// A safetensors file open for reading (https://github.com/huggingface/safetensors, "Format").
/// Everything the header says is checked against the file before a byte of data is handed out:
/// header length, JSON, types, shapes, offsets; no tensor may overlap another, and no byte may
/// belong to none.
class SafetensorsFile {
 public:
  /// Reads and checks the header. Throws Error{not_found, open_read}.
  explicit SafetensorsFile(const std::string &path);

  const std::string &path() const { return path_; }
  const std::map<std::string, TensorEntry> &tensors() const { return tensors_; }
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  uint64_t size() const { return size_; }
  /// Copies `bytes` of the data of `entry`, from its byte `offset` on. Throws Error{open_read},
  /// also where the file has changed its size since it was opened.
  void read(const TensorEntry &entry, uint64_t offset, void *buffer, size_t bytes) const;

 private:
  void read_header();
  [[noreturn]] void fail(const std::string &problem) const;

  std::string path_;
  RegularFile file_;
  uint64_t size_;
  std::map<std::string, TensorEntry> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Writes a safetensors file tensor by tensor, so that a snapshot need not fit into memory. The
/// file appears under its name when it is complete. Errors are Error{failed}.
class SafetensorsWriter {
 public:
  struct Tensor {
    std::string name;
    Dtype dtype;
    std::vector<int64_t> shape;
  };
  /// Writes the header for `tensors`, whose data must follow in this order.
  SafetensorsWriter(const std::string &path, const std::vector<Tensor> &tensors,
                    const std::map<std::string, std::string> &metadata = {{"format", "pt"}});
  /// Removes the unfinished file.
  ~SafetensorsWriter();
  SafetensorsWriter(const SafetensorsWriter &) = delete;
  SafetensorsWriter &operator=(const SafetensorsWriter &) = delete;

  void append(const void *data, size_t bytes);
  /// Puts the file in place; throws if data is missing or surplus.
  void finish();

 private:
  [[noreturn]] void fail(const std::string &problem) const;

  std::string path_, unfinished_path_;
  std::unique_ptr<std::FILE, int (*)(std::FILE *)> file_;
  uint64_t remaining_ = 0;
};

}  // namespace livepeer
