// Frames per second of the element with the embedded model, beside the engine alone and plain
// scaling with videoscale, all in this run:
//
//   bench_element [THREADS]
//
// One or two frames in flight: with two, taking frames in and out overlaps with the inference.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "diffusion/torch_model_loader.h"
#include "gstlivepeerupscale.h"
#include "pipeline_clock.h"
#include "runtime/runtime.h"

namespace livepeer {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kRounds = 3;  // of which the best counts: other programs only ever slow down

struct Case {
  int width, height;
  unsigned steps;
  int frames;
};

std::shared_ptr<UpscaleModel> open_embedded(const Limits &limits) {
  ModelSpec spec;
  spec.safety_check = false;
  const auto session = Runtime::instance().open(spec, limits);
  JobRequest request;
  request.low_res = std::make_shared<Frame>(8, 8);
  UpscaleSettings settings;
  settings.safety_check = false;
  request.settings = std::make_shared<UpscaleSettings>(settings);
  const auto job = session->submit(std::move(request));
  if (const JobResult &result = job->wait(); result.error) throw *result.error;
  auto model = session->model();
  session->close();
  return model;
}

double engine_fps(UpscaleModel &model, const Case &bench, const Limits &limits) {
  std::minstd_rand random(1);
  Frame frame(bench.width, bench.height);
  for (uint8_t &value : frame.pixels) value = uint8_t(random() >> 8);
  UpscaleSettings settings;
  settings.steps = bench.steps;
  const auto once = [&] {
    Progress progress;
    model.upscale(frame, {0, 0, frame.width, frame.height}, settings, {}, limits, progress);
  };
  once();
  const auto begin = Clock::now();
  for (int i = 0; i < bench.frames; ++i) once();
  const std::chrono::duration<double> time = Clock::now() - begin;
  return bench.frames / time.count();
}

double element_fps(const Case &bench, const Limits &limits, int in_flight) {
  return pipeline_fps(
      "livepeerupscale safety-check=false seed=0 n-threads=" + std::to_string(limits.n_threads) +
          " max-in-flight=" + std::to_string(in_flight) + " steps=" + std::to_string(bench.steps),
      bench.width, bench.height, bench.frames + 2);
}

double lanczos_fps(const Case &bench, const Limits &limits) {
  return pipeline_fps("videoscale method=lanczos n-threads=" + std::to_string(limits.n_threads) +
                          " ! video/x-raw,width=" + std::to_string(4 * bench.width) +
                          ",height=" + std::to_string(4 * bench.height),
                      bench.width, bench.height, bench.frames + 2);
}

void run(const Case &bench, const Limits &limits, UpscaleModel &model) {
  double engine = 0, one = 0, two = 0, lanczos = 0;
  for (int round = 0; round < kRounds; ++round) {
    engine = std::max(engine, engine_fps(model, bench, limits));
    one = std::max(one, element_fps(bench, limits, 1));
    two = std::max(two, element_fps(bench, limits, 2));
    lanczos = std::max(lanczos, lanczos_fps(bench, limits));
  }
  std::printf("%4d x %-4d %4u   %9.2f   %9.2f %5.1f %%   %9.2f %5.1f %%   %9.2f\n", bench.width,
              bench.height, bench.steps, engine, one, 100 * one / engine, two, 100 * two / engine,
              lanczos);
  std::fflush(stdout);
}

}  // namespace
}  // namespace livepeer

int main(int argc, char **argv) {
  using namespace livepeer;
  gst_init(nullptr, nullptr);
  Runtime::instance().set_loader(std::make_shared<TorchModelLoader>());
  GST_ELEMENT_REGISTER(livepeerupscale, nullptr);
  Limits limits;
  limits.n_threads = argc > 1 ? unsigned(std::strtoul(argv[1], nullptr, 10)) : 2;
  try {
    const auto model = open_embedded(limits);
    std::printf(
        "model %s, %s, %u threads; frames per second, and the element's part of the "
        "engine's\n",
        model->id().c_str(), model->precision().c_str(), limits.n_threads);
    std::printf("%11s %4s   %9s   %17s   %17s   %9s\n", "input", "steps", "engine", "element",
                "two in flight", "lanczos");
    for (const Case &bench : {Case{160, 90, 1, 100}, Case{320, 180, 1, 30}, Case{480, 270, 1, 15},
                              Case{160, 90, 4, 25}, Case{320, 180, 4, 8}, Case{480, 270, 4, 4}})
      run(bench, limits, *model);
  } catch (const Error &error) {
    std::fprintf(stderr, "%s (%s)\n", error.what(), error.detail().c_str());
    return 1;
  }
  Runtime::instance().stop();  // before libtorch is taken down
  return 0;
}
