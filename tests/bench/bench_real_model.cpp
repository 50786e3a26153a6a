// Times the parts of a model of the real size and prints the process's peak memory:
//
//   bench_real_model SNAPSHOT float32|bfloat16 THREADS [SIDE ...]
//
// SIDE: of the low-resolution picture, 64 and 128 where none is given. One process per precision,
// for the peak. `cpu` is the processor time of all threads: with one thread it is what the wall
// clock would show on an idle machine.

#include <sys/resource.h>

#include <torch/utils.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "diffusion/kept_memory.h"
#include "diffusion/registry.h"
#include "io/snapshot.h"
#include "nn/clip/clip_text_model.h"

namespace livepeer {
namespace {

double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval &t) { return double(t.tv_sec) + 1e-6 * double(t.tv_usec); };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/// "VmHWM" or "VmRSS" in GiB.
double memory(const std::string &key) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.compare(0, key.size() + 1, key + ":") == 0)
      return std::strtod(line.c_str() + key.size() + 1, nullptr) / (1 << 20);
  return 0;
}

/// The best of `runs`, after one to warm up.
template <typename Work>
void measure(const std::string &what, int runs, Work work) {
  double wall = 1e30, cpu = 1e30;
  for (int run = 0; run <= runs; ++run) {
    const auto begin = std::chrono::steady_clock::now();
    const double cpu_begin = cpu_seconds();
    work();
    const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - begin;
    if (run > 0 || runs == 0) {
      wall = std::min(wall, elapsed.count());
      cpu = std::min(cpu, cpu_seconds() - cpu_begin);
    }
  }
  std::printf("%-28s %8.3f s   cpu %8.3f s   peak %.2f GiB\n", what.c_str(), wall, cpu,
              memory("VmHWM"));
  std::fflush(stdout);
}

void run(const std::string &folder, torch::Dtype dtype, const std::vector<int64_t> &sides) {
  const torch::NoGradGuard no_grad;
  const Snapshot snapshot(folder);
  WeightOptions options;
  options.dtype = dtype;
  options.channels_last = true;
  std::shared_ptr<Denoiser> unet;
  std::shared_ptr<Vae> vae;
  std::unique_ptr<CLIPTextModel> text_encoder;
  measure("load", 0, [&] {
    unet = load_denoiser(snapshot.component("unet"), options);
    vae = load_vae(snapshot.component("vae"), options);
    const Component &text = snapshot.component("text_encoder");
    WeightSource source(text.weight_files(true), options);
    text_encoder = std::make_unique<CLIPTextModel>(text.config(), ParameterScope(source));
    source.finish();
  });
  const KeptMemory kept_memory;  // as models do
  const KeptMemory::Use use;
  std::printf("%-28s %8.2f GiB\n", "resident after loading", memory("VmRSS"));

  TextEmbeddings text;
  const auto ids = torch::randint(1, 49000, {1, 77}, torch::kLong);
  measure("text, one prompt", 2, [&] { text = text_encoder->forward(ids); });
  text.hidden = text.hidden.repeat({2, 1, 1});
  for (const int64_t side : sides) {
    const std::string size = std::to_string(side) + "x" + std::to_string(side);
    const auto sample = torch::randn({2, 7, side, side});
    double timestep = 1000;
    measure("guided step " + size, 2, [&] {
      unet->forward(sample, torch::full({2}, --timestep), text, torch::full({2}, 20, torch::kLong));
    });
    const auto latents = torch::randn({1, 4, side, side});
    measure("decode " + size, 1, [&] { vae->decode(latents, {}); });
  }
}

}  // namespace
}  // namespace livepeer

int main(int argc, char **argv) {
  const std::string precision = argc > 2 ? argv[2] : "";
  const int threads = argc > 3 ? std::atoi(argv[3]) : 0;
  if (threads < 1 || (precision != "float32" && precision != "bfloat16")) {
    std::fprintf(stderr, "usage: %s SNAPSHOT float32|bfloat16 THREADS [SIDE ...]\n", argv[0]);
    return 2;
  }
  std::vector<int64_t> sides;
  for (int i = 4; i < argc; ++i) sides.push_back(std::atoi(argv[i]));
  if (sides.empty()) sides = {64, 128};
  at::set_num_threads(threads);
  std::printf("%s, %d threads\n", precision.c_str(), threads);
  try {
    livepeer::run(argv[1], precision == "float32" ? torch::kFloat : torch::kBFloat16, sides);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
