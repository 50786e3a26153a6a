#pragma once

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/weights_file.h"

namespace livepeer {

/// A safetensors file open for reading (https://github.com/huggingface/safetensors, "Format").
/// Everything the header says is checked against the file before a byte of data is handed out:
/// header length, JSON, types, shapes, offsets; no tensor may overlap another, and no byte may
/// belong to none.
class SafetensorsFile : public WeightsFile {
 public:
  /// Reads and checks the header. Throws Error{not_found, open_read}.
  explicit SafetensorsFile(const std::string &path);

 private:
  void read_header();
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
