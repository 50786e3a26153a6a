// The library that the plugin opens when it needs an engine.
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/ops/mkldnn_convolution.h>
#include <ATen/ops/zeros.h>

#include <cstdlib>
#include <thread>

#include "diffusion/torch_model_loader.h"
#include "kernels/cpu_level.h"
#include "runtime/engine_library.h"

namespace {

/// At exit libtorch and oneDNN destroy what they made when they were loaded, and at first use:
/// thread pools and the cache of primitives among them. A worker that is still inside a step then
/// crashes or hangs. What is registered once all of it exists runs before that; the engine itself
/// keeps no object in a function that is destroyed at exit, for the same reason. oneDNN is called
/// by name, since a plain conv2d goes round it when there is one thread; on a thread that ends, so
/// that the caller keeps no team of OpenMP.
void call_before_libtorch_ends(void (*stop_workers)()) {
  std::thread([] {
    at::set_num_threads(at::get_num_threads());
    at::globalContext().defaultGenerator(at::kCPU);
    if (at::globalContext().hasMKLDNN())
      at::mkldnn_convolution(at::zeros({1, 16, 8, 8}), at::zeros({16, 16, 3, 3}), {}, {1, 1},
                             {1, 1}, {1, 1}, 1);
  }).join();
  std::atexit(stop_workers);
}

}  // namespace

extern "C" void LIVEPEER_MAKE_MODEL_LOADER(const livepeer::EngineHost &host,
                                           std::shared_ptr<livepeer::ModelLoader> *loader) {
  livepeer::set_log_sink(host.log);
  livepeer::kernels::cap_library();
  call_before_libtorch_ends(host.stop_workers);
  *loader = std::make_shared<livepeer::TorchModelLoader>();
}
