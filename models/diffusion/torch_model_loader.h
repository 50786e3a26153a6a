#pragma once

#include <memory>

#include "runtime/model.h"

namespace livepeer {

/// Loads snapshot folders onto libtorch.
class TorchModelLoader : public ModelLoader {
 public:
  std::string check(const ModelSpec &spec) override;
  std::shared_ptr<UpscaleModel> load(const ModelSpec &spec, Progress &progress) override;
};

}  // namespace livepeer
