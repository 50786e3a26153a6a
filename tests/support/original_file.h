#pragma once

#include <map>
#include <string>
#include <vector>

#include "golden/golden_files.h"
#include "io/safetensors.h"
#include "io/snapshot.h"
#include "support/temporary_folder.h"
#include "support/torch_files.h"

namespace livepeer::test {

/// A tensor and its bytes.
struct OriginalTensor {
  Dtype dtype;
  std::vector<int64_t> shape;
  std::string bytes;
};
using OriginalTensors = std::map<std::string, OriginalTensor>;

/// Today's names of attention for the old ones that the snapshot's VAE has.
inline std::string current_name(std::string name) {
  for (const auto &[old, now] : std::map<std::string, std::string>{
           {"query", "to_q"}, {"key", "to_k"}, {"value", "to_v"}, {"proj_attn", "to_out.0"}})
    if (const size_t place = name.find(".attentions.0." + old + "."); place != std::string::npos)
      name.replace(place + 14, old.size(), now);
  return name;
}

inline std::map<std::string, OriginalTensor> tensors_of(const Component &component, bool half) {
  std::map<std::string, OriginalTensor> tensors;
  for (const auto &file : component.open_weights(half))
    for (const auto &[name, entry] : file->tensors()) {
      std::string bytes(size_t(entry.bytes), '\0');
      file->read(entry, 0, bytes.data(), bytes.size());
      tensors[current_name(name)] = {entry.dtype, entry.shape, std::move(bytes)};
    }
  return tensors;
}

/// The miniature under the original's names, of which diffusers made the same weights.
inline OriginalTensors original_tensors(bool half = false) {
  const Snapshot snapshot(golden_path("tiny-upscaler"));
  const nlohmann::json names =
      read_json(golden_path("single_file.json"), "Name list", uint64_t(1) << 20);
  OriginalTensors all;
  for (const char *component : {"unet", "vae", "text_encoder"}) {
    auto tensors = tensors_of(snapshot.component(component), half);
    for (const auto &[original, parts] : names[component].items()) {
      OriginalTensor whole;
      for (const std::string name : parts) {
        const OriginalTensor &part = tensors.at(name);
        if (whole.shape.empty())
          whole = part;
        else {
          whole.shape[0] += part.shape[0];
          whole.bytes += part.bytes;
        }
      }
      // Attention of the VAE was a convolution of one pixel there.
      if (original.find(".mid.attn_1.") != std::string::npos && whole.shape.size() == 2)
        whole.shape.insert(whole.shape.end(), {1, 1});
      all[original] = std::move(whole);
    }
  }
  for (const auto &[name, shape] : names["unused"].items()) {
    OriginalTensor tensor{Dtype::f32, shape.get<std::vector<int64_t>>(), {}};
    uint64_t bytes = 0;
    tensor_bytes(tensor.dtype, tensor.shape, bytes);
    tensor.bytes.assign(size_t(bytes), '\1');
    all[name] = std::move(tensor);
  }
  return all;
}

inline void write_safetensors(const std::string &path, const OriginalTensors &tensors) {
  std::vector<SafetensorsWriter::Tensor> header;
  for (const auto &[name, tensor] : tensors) header.push_back({name, tensor.dtype, tensor.shape});
  SafetensorsWriter writer(path, header);
  for (const auto &[name, tensor] : tensors)
    writer.append(tensor.bytes.data(), tensor.bytes.size());
  writer.finish();
}

/// As a training leaves it: {"state_dict": {...}} among other things.
inline std::string checkpoint_of(const OriginalTensors &tensors) {
  std::string state = "}(";
  StorageBytes storages;
  for (const auto &[name, tensor] : tensors) {
    std::vector<int64_t> strides(tensor.shape.size(), 1);
    for (size_t i = strides.size(); i-- > 1;) strides[i - 1] = strides[i] * tensor.shape[i];
    const std::string key = std::to_string(storages.size());
    const int64_t count = int64_t(tensor.bytes.size() / size_of(tensor.dtype));
    state += pickled::text(name) +
             pickled::tensor(
                 pickled::storage(key, count,
                                  tensor.dtype == Dtype::f16 ? "HalfStorage" : "FloatStorage"),
                 0, tensor.shape, strides);
    storages.emplace_back(key, tensor.bytes);
  }
  return torch_archive(
      pickled::dict({{"global_step", pickled::integer(1000)},
                     {"callbacks", pickled::call(pickled::global("training", "Callback"), ")")},
                     {"state_dict", state + "u"}}),
      storages);
}

/// The miniature's configurations and tokenizer, as they may lie beside one file.
inline void copy_configurations(const std::filesystem::path &folder) {
  namespace fs = std::filesystem;
  const fs::path from = golden_path("tiny-upscaler");
  for (const auto &entry : fs::recursive_directory_iterator(from))
    if (!entry.is_directory() && entry.path().extension() != ".safetensors") {
      const fs::path to = folder / entry.path().lexically_relative(from);
      fs::create_directories(to.parent_path());
      fs::copy_file(entry.path(), to);
    }
}

}  // namespace livepeer::test
