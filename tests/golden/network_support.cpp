#include "golden/network_support.h"

#include "nn/output_observer.h"

namespace livepeer {

double relative_rms(const torch::Tensor &actual, const torch::Tensor &expected) {
  const auto reference = expected.to(torch::kDouble);
  const auto difference = actual.to(torch::kDouble) - reference;
  return std::sqrt((difference.square().mean() / reference.square().mean()).item<double>());
}

struct StageComparison::Impl {
  explicit Impl(OutputObserver::Callback callback) : observer(std::move(callback)) {}
  OutputObserver observer;
};

StageComparison::StageComparison(std::map<std::string, torch::Tensor> expected, double tolerance,
                                 std::map<std::string, double> absolute_tolerances)
    : expected_(std::move(expected)),
      tolerance_(tolerance),
      absolute_tolerances_(std::move(absolute_tolerances)),
      impl_(std::make_unique<Impl>([this](const std::string &path, const torch::Tensor &output) {
        compare(path, output);
      })) {}

StageComparison::~StageComparison() = default;

void StageComparison::compare(const std::string &path, const torch::Tensor &output) {
  const auto known = expected_.find(path);
  if (known == expected_.end()) return;
  compared_.insert(path);
  const auto &expected = known->second;
  ASSERT_EQ(output.numel(), expected.numel()) << path;
  const auto actual = output.reshape(expected.sizes());
  const auto absolute = absolute_tolerances_.find(path);
  if (absolute == absolute_tolerances_.end()) {
    expect_close(actual, expected, tolerance_, path);
    return;
  }
  const double difference = (actual - expected).abs().max().item<double>();
  EXPECT_TRUE(difference <= absolute->second) << path << ": differs by " << difference;
}

std::vector<std::string> StageComparison::missed() const {
  std::vector<std::string> names;
  for (const auto &[name, tensor] : expected_)
    if (compared_.count(name) == 0) names.push_back(name);
  return names;
}

}  // namespace livepeer
