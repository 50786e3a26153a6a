// Times loading, and what it takes: a model alone, and beside it the same with a LoRA on all layers
// of attention, as an element that plays would change to.
//
//   bench_loading SNAPSHOT float32|bfloat16
//
// `peak` is the most that the process had so far, `now` what it has after the step. Run it twice:
// the first time the disk is measured.

#include <torch/utils.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

#include "diffusion/torch_model_loader.h"
#include "io/safetensors.h"
#include "io/snapshot.h"
#include "runtime/error.h"

namespace livepeer {
namespace {

constexpr int64_t rank = 16;

/// "VmHWM" or "VmRSS" in MiB.
double memory(const std::string &key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.compare(0, key.size() + 1, key + ":") == 0)
      return std::strtod(line.c_str() + key.size() + 1, nullptr) / (1 << 10);
  return 0;
}

template <typename Work>
auto measure(const char *what, Work work) {
  const auto begin = std::chrono::steady_clock::now();
  auto result = work();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
  std::printf("%-24s %7.2f s   peak %7.0f MiB   now %7.0f MiB\n", what, elapsed.count(),
              memory("VmHWM"), memory("VmRSS"));
  std::fflush(stdout);
  return result;
}

void write_lora(const Snapshot &snapshot, const std::string &path) {
  std::vector<SafetensorsWriter::Tensor> tensors;
  for (const auto &file : snapshot.component("unet").open_weights(/*prefer_half=*/true))
    for (const auto &[name, entry] : file->tensors()) {
      const size_t end = name.rfind(".weight");
      if (name.find(".attn") == std::string::npos || name.find(".to_") == std::string::npos ||
          end == std::string::npos)
        continue;
      const std::string layer = "unet." + name.substr(0, end);
      tensors.push_back({layer + ".lora_A.weight", Dtype::f32, {rank, entry.shape[1]}});
      tensors.push_back({layer + ".lora_B.weight", Dtype::f32, {entry.shape[0], rank}});
    }
  SafetensorsWriter writer(path, tensors);
  for (const auto &tensor : tensors) {
    const auto values = torch::randn(tensor.shape) * 0.01;
    writer.append(values.data_ptr(), values.nbytes());
  }
  writer.finish();
}

void run(const std::string &folder, Precision precision) {
  const std::string lora = folder + "/attention-lora.safetensors";
  write_lora(Snapshot(folder), lora);
  ModelSpec spec;
  spec.model = folder;
  spec.device = "cpu";
  spec.precision = precision;
  spec.safety_check = false;
  TorchModelLoader loader;
  const auto load = [&] {
    const CheckedModel checked = loader.check(spec);
    Progress progress;
    return loader.load(spec, checked.opened, progress);
  };
  measure("check", [&] { return loader.check(spec).identity; });
  auto model = measure("load", load);
  spec.lora = '"' + lora + '"';
  auto changed = measure("with a LoRA beside it", load);
  measure("the first let go", [&] {
    model.reset();
    return 0;
  });
  spec.lora.clear();
  model = measure("back beside it", load);
}

}  // namespace
}  // namespace livepeer

int main(int argc, char **argv) {
  const std::string precision = argc > 2 ? argv[2] : "";
  if (argc != 3 || (precision != "float32" && precision != "bfloat16")) {
    std::fprintf(stderr, "usage: bench_loading SNAPSHOT float32|bfloat16\n");
    return 2;
  }
  try {
    livepeer::run(argv[1], precision == "float32" ? livepeer::Precision::float32
                                                  : livepeer::Precision::bfloat16);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
