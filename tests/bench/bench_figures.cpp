// Frames per second of the embedded model by size, one step, whole frames through the engine;
// beside it what they would be with the denoiser's convolutions left to libtorch, in the better of
// float32 and bfloat16. All in this run; the lines are those of figures.csv, for chart.py:
//
//   bench_figures [THREADS]

#include <ATen/Parallel.h>
#include <torch/types.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "diffusion/registry.h"
#include "diffusion/torch_model_loader.h"
#include "kernels/cpu_level.h"
#include "runtime/runtime.h"

namespace livepeer {
namespace {

constexpr int kRounds = 5;  // of which the best counts: other programs only ever slow down

template <typename Work>
double seconds(Work work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

/// The first expert's layers as plain libtorch runs them, in channels-last order.
class PlainDenoiser {
 public:
  PlainDenoiser(const Config &config, torch::ScalarType type) : type_(type) {
    const auto channels = config.require<int64_t>("channels");
    const auto in = config.require<int64_t>("in_channels");
    const auto out = config.require<int64_t>("out_channels");
    in_ = weight(channels, in - out);
    for (int64_t i = 0; i < config.require<std::vector<int64_t>>("num_blocks").front(); ++i)
      blocks_.push_back({weight(channels, channels), weight(channels, channels)});
    mid_ = weight(channels, channels);
    out_ = weight(out, channels);
    film_ = torch::ones({1, channels, 1, 1}, type);
  }

  torch::Tensor forward(const torch::Tensor &picture) const {
    const auto head = convolve(picture.to(type_).contiguous(at::MemoryFormat::ChannelsLast), in_);
    auto x = head;
    for (const auto &[first, second] : blocks_)
      x = x + convolve(at::addcmul(film_, convolve(x, first), film_).relu_(), second);
    return convolve(convolve(x, mid_).add_(head).relu_(), out_).to(torch::kFloat);
  }

 private:
  torch::Tensor weight(int64_t out, int64_t in) const {
    return (torch::randn({out, in, 3, 3}) / 30)
        .to(type_)
        .contiguous(at::MemoryFormat::ChannelsLast);
  }
  static torch::Tensor convolve(const torch::Tensor &x, const torch::Tensor &weight) {
    return at::conv2d(x, weight, torch::zeros({weight.size(0)}, weight.options()), 1, 1);
  }

  const torch::ScalarType type_;
  torch::Tensor in_, mid_, out_, film_;
  std::vector<std::pair<torch::Tensor, torch::Tensor>> blocks_;
};

void run(UpscaleModel &model, Denoiser &denoiser, const std::vector<PlainDenoiser> &plain,
         int width, int height, const Limits &limits) {
  const Frame frame(width, height);
  UpscaleSettings settings;
  settings.steps = 1;
  const auto sample = torch::randn({1, denoiser.in_channels(), height, width});
  const auto picture = sample.slice(1, denoiser.in_channels() - 3).contiguous();
  const auto time = torch::full({1}, 999.0F), text = torch::Tensor();
  const auto level = torch::zeros({1}, torch::kLong);
  double whole = 1e9, ours = 1e9, library = 1e9;
  for (int round = 0; round <= kRounds; ++round) {
    Progress progress;
    const double frame_time = seconds([&] {
      model.upscale(frame, {0, 0, width, height}, settings, {}, limits, progress);
    });
    const torch::NoGradGuard no_grad;
    const double our_time = seconds([&] { denoiser.forward(sample, time, {text, text}, level); });
    double plain_time = 1e9;
    for (const PlainDenoiser &net : plain)
      plain_time = std::min(plain_time, seconds([&] { net.forward(picture); }));
    if (round == 0) continue;  // memory is touched for the first time
    whole = std::min(whole, frame_time);
    ours = std::min(ours, our_time);
    library = std::min(library, plain_time);
  }
  std::printf("%s,%s,%d,%d,%.2f,%.2f\n", processor().c_str(),
              kernels::name_of(kernels::cpu_level()), width, height, 1 / whole,
              1 / (whole - ours + library));
  std::fflush(stdout);
}

}  // namespace
}  // namespace livepeer

int main(int argc, char **argv) {
  using namespace livepeer;
  Limits limits;
  limits.n_threads = argc > 1 ? unsigned(std::strtoul(argv[1], nullptr, 10)) : 2;
  at::set_num_threads(int(limits.n_threads));
  try {
    ModelSpec spec;
    spec.safety_check = false;
    Progress progress;
    TorchModelLoader loader;
    const auto model = loader.load(spec, nullptr, progress);
    const Snapshot snapshot(std::string(std::getenv("LIVEPEER_UPSCALE_MODELS")) + "/default");
    WeightOptions options;
    options.dtype = model->precision() == "bfloat16" ? torch::kBFloat16 : torch::kFloat;
    const Component unet = snapshot.component("unet");
    const auto denoiser = load_denoiser(unet, options);
    std::vector<PlainDenoiser> plain{{unet.config(), torch::kFloat}};
    // Without the instructions libtorch's bfloat16 takes hundreds of times as long.
    if (kernels::cpu_level() >= kernels::CpuLevel::avx512_bf16)
      plain.emplace_back(unet.config(), torch::kBFloat16);
    std::printf("processor,level,width,height,frames per second,with libtorch's convolutions\n");
    for (const auto &[width, height] : {std::pair(160, 90), {320, 180}, {480, 270}, {960, 540}})
      run(*model, *denoiser, plain, width, height, limits);
  } catch (const Error &error) {
    std::fprintf(stderr, "%s (%s)\n", error.what(), error.detail().c_str());
    return 1;
  }
  return 0;
}
