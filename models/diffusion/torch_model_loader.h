#pragma once

#include <memory>

#include "runtime/model.h"

namespace livepeer {

/// Loads snapshot folders onto libtorch.
class TorchModelLoader : public ModelLoader {
 public:
  /// `stop_workers` is called when the process exits, before libtorch is taken down.
  explicit TorchModelLoader(void (*stop_workers)() = nullptr) : stop_workers_(stop_workers) {}
  std::string check(const ModelSpec &spec) override;
  std::shared_ptr<UpscaleModel> load(const ModelSpec &spec, Progress &progress) override;

 private:
  void (*const stop_workers_)();
};

}  // namespace livepeer
