#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "runtime/log.h"
#include "runtime/model.h"

namespace livepeer {

/// What a process has once, lent to the engine library that it opens.
struct EngineHost {
  LogSink log;
  void (*stop_workers)();  ///< before the engine's own libraries are taken down at exit
};

/// What an engine library exports, and all that it exports. The name carries the version of the
/// boundary: raise it with every change of what crosses, EngineHost and what model.h declares.
#define LIVEPEER_MAKE_MODEL_LOADER livepeer_make_model_loader_5
using MakeModelLoader = void(const EngineHost &host, std::shared_ptr<ModelLoader> *loader);

/// The engine in a library of its own, so that a process that only looks at the plugin maps no
/// libtorch, and so that another engine may be installed beside the same plugin. Opened once, at
/// the first use, and never closed: libtorch cannot be.
class EngineLibrary : public ModelLoader {
 public:
  explicit EngineLibrary(std::string path) : path_(std::move(path)) {}
  /// An error where the library is not there, is of another version, or where the process has a
  /// libtorch already that is not the one this engine needs: two in one process crash it. Nothing
  /// is thrown: where C++ came into the process before GStreamer, as with a Python module, the one
  /// uses libgcc's unwinder and the other libunwind's, and an exception may end the process.
  std::optional<Error> prepare() override;
  CheckedModel check(const ModelSpec &spec) override;
  std::shared_ptr<UpscaleModel> load(const ModelSpec &spec,
                                     const std::shared_ptr<const void> &opened,
                                     Progress &progress) override;

 private:
  ModelLoader &loader();

  const std::string path_;
  std::mutex mutex_;
  std::shared_ptr<ModelLoader> loader_;
};

}  // namespace livepeer
