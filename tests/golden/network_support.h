#pragma once

#include <memory>
#include <string>
#include <vector>

#include "golden/golden_support.h"
#include "io/config.h"
#include "weights/weight_source.h"

namespace livepeer {

/// One way to run a network against the recorded results: which file, which type, how many threads.
struct NetworkRun {
  std::string name;
  std::string file_suffix;  ///< ".fp16" or nothing
  torch::Dtype dtype;
  int threads;
};

/// float32 from both files, with one and two threads.
inline std::vector<NetworkRun> float32_runs() {
  return {{"float32", "", torch::kFloat, 1},
          {"float32_2threads", "", torch::kFloat, 2},
          {"fp16file", ".fp16", torch::kFloat, 1},
          {"fp16file_2threads", ".fp16", torch::kFloat, 2}};
}

/// Sets libtorch's threads while it lives.
class ThreadCount {
 public:
  explicit ThreadCount(int count) : before_(at::get_num_threads()) { at::set_num_threads(count); }
  ~ThreadCount() { at::set_num_threads(before_); }
  ThreadCount(const ThreadCount &) = delete;
  ThreadCount &operator=(const ThreadCount &) = delete;

 private:
  const int before_;
};

/// Builds a Network from the config and weights in a folder of the golden data.
template <typename Network>
std::unique_ptr<Network> load_network(const std::string &folder, const std::string &file,
                                      torch::Dtype dtype) {
  WeightOptions options;
  options.dtype = dtype;
  options.channels_last = true;
  WeightSource source({golden_path(folder + "/" + file)}, options);
  auto network = std::make_unique<Network>(Config::read(golden_path(folder + "/config.json")),
                                           ParameterScope(source));
  source.finish();
  return network;
}

template <typename Network>
std::unique_ptr<Network> load_network(const std::string &folder, const NetworkRun &run) {
  return load_network<Network>(folder, "diffusion_pytorch_model" + run.file_suffix + ".safetensors",
                               run.dtype);
}

/// Root mean square of the difference, relative to that of `expected`.
double relative_rms(const torch::Tensor &actual, const torch::Tensor &expected);

/// Compares the outputs of all modules whose path is a name in `expected`, in the order in which
/// they are computed, while it lives; so the first failure names the stage that is wrong. Shapes
/// may differ by views.
class StageComparison {
 public:
  StageComparison(std::map<std::string, torch::Tensor> expected, double tolerance,
                  std::map<std::string, double> absolute_tolerances = {});
  ~StageComparison();
  StageComparison(const StageComparison &) = delete;
  StageComparison &operator=(const StageComparison &) = delete;
  size_t compared() const { return compared_.size(); }
  /// Names of `expected` that no module has reported.
  std::vector<std::string> missed() const;

 private:
  struct Impl;
  void compare(const std::string &path, const torch::Tensor &output);

  std::map<std::string, torch::Tensor> expected_;
  double tolerance_;
  std::map<std::string, double> absolute_tolerances_;
  std::set<std::string> compared_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace livepeer
