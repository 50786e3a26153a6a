#pragma once

#include <memory>

#include "runtime/model.h"

namespace livepeer {

/// Loads snapshot folders onto libtorch.
class TorchModelLoader : public ModelLoader {
 public:
  std::string check(const ModelSpec &spec) const override;
  std::shared_ptr<UpscaleModel> load(const ModelSpec &spec, Progress &progress) override;
};

inline std::shared_ptr<ModelLoader> make_torch_model_loader() {
  return std::make_shared<TorchModelLoader>();
}

}  // namespace livepeer
