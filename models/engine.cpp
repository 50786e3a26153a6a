// The library that the plugin opens when it needs an engine.
#include "diffusion/torch_model_loader.h"
#include "runtime/engine_library.h"

extern "C" void LIVEPEER_MAKE_MODEL_LOADER(const livepeer::EngineHost &host,
                                           std::shared_ptr<livepeer::ModelLoader> *loader) {
  livepeer::set_log_sink(host.log);
  *loader = std::make_shared<livepeer::TorchModelLoader>(host.stop_workers);
}
