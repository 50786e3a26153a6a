#pragma once

#include <memory>

#include "runtime/model.h"
#include "weights/shared_parameters.h"

namespace livepeer {

/// Loads snapshot folders onto libtorch. Models of one loader share the parameters that are the
/// same in them.
class TorchModelLoader : public ModelLoader {
 public:
  CheckedModel check(const ModelSpec &spec) override;
  std::shared_ptr<UpscaleModel> load(const ModelSpec &spec,
                                     const std::shared_ptr<const void> &opened,
                                     Progress &progress) override;

 private:
  const std::shared_ptr<SharedParameters> parameters_ = std::make_shared<SharedParameters>();
};

}  // namespace livepeer
