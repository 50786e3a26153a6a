#include "golden/golden_support.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <regex>

#include "io/weights.h"

namespace livepeer {

std::string golden_path(const std::string &relative) {
  const char *shared = std::getenv("LIVEPEER_SHARED");
  return std::string(shared ? shared : "../shared") + "/goldens/" + relative;
}

bool have_goldens() { return std::filesystem::exists(golden_path("cases.json")); }

/// cases.json was written by Python, which spells infinities as JSON does not know them.
static nlohmann::json read_cases() {
  std::ifstream file(golden_path("cases.json"));
  std::string text{std::istreambuf_iterator<char>(file), {}};
  return nlohmann::json::parse(std::regex_replace(text, std::regex("-Infinity"), "null"));
}

nlohmann::json golden_case(const std::string &id) {
  static const nlohmann::json all = read_cases();
  for (const auto &entry : all.at("cases"))
    if (entry.at("id") == id) return entry;
  throw std::runtime_error("cases.json has no case " + id);
}

std::map<std::string, torch::Tensor> golden_tensors(const std::string &relative) {
  return read_tensors(golden_path(relative));
}

void expect_close(const torch::Tensor &actual, const torch::Tensor &expected, double tolerance,
                  const std::string &what) {
  ASSERT_TRUE(actual.defined()) << what;
  ASSERT_EQ(actual.sizes(), expected.sizes()) << what;
  if (expected.numel() == 0) return;
  const torch::Tensor reference = expected.to(torch::kDouble);
  const double difference = (actual.to(torch::kDouble) - reference).abs().max().item<double>();
  // written so that a NaN fails
  EXPECT_TRUE(difference <= tolerance * reference.abs().max().item<double>())
      << what << ": differs by " << difference << " at most, of a largest value of "
      << reference.abs().max().item<double>();
}

}  // namespace livepeer
