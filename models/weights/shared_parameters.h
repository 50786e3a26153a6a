#pragma once

#include <torch/types.h>

#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "weights/parameter_source.h"

namespace livepeer {

/// The parameters of the networks that are alive, so that another network with the same ones needs
/// no memory for them. Holds none alive. Parameters are read-only once they are loaded.
/// Thread-safe.
class SharedParameters {
 public:
  /// The tensor that was added under this key, undefined where nobody has it any more.
  torch::Tensor find(const std::string &key);
  /// Tensors that are a view of less or more than their own memory are not shared.
  void add(const std::string &key, const torch::Tensor &tensor);

 private:
  struct Entry {
    c10::weak_intrusive_ptr<c10::StorageImpl> storage;
    std::vector<int64_t> sizes, strides;
    torch::TensorOptions options;
  };
  void forget_the_dead();

  std::mutex mutex_;
  std::map<std::string, Entry> entries_;
  size_t enough_ = 0;  ///< entries that were alive when the dead were last forgotten
};

/// Where parameters come from, for keys: the files, device and type, and the component.
struct SharedOrigin {
  std::shared_ptr<SharedParameters> parameters;
  std::string component;
  std::string lora;  ///< LoraSet::identity, for the parameters that it changes
};

}  // namespace livepeer
