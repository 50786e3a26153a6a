#include "golden/golden_support.h"

#include <glib.h>

#include "weights/weight_source.h"

namespace livepeer {

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

std::string sha256(const torch::Tensor &values) {
  const torch::Tensor plain = values.contiguous();
  gchar *sum = g_compute_checksum_for_data(
      G_CHECKSUM_SHA256, static_cast<const guchar *>(plain.data_ptr()), plain.nbytes());
  std::string result = sum;
  g_free(sum);
  return result;
}

}  // namespace livepeer
