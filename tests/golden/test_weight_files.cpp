// Files of weights as torch.save wrote them.
#include <torch/types.h>

#include "golden/golden_support.h"
#include "weights/weight_source.h"

namespace livepeer {
namespace {

class TorchFilesGolden : public testing::TestWithParam<const char *> {};

TEST_P(TorchFilesGolden, HoldWhatTorchPutIntoThem) {
  const auto expected = golden_tensors("torch_files/expected.safetensors");
  const std::string path = golden_path(std::string("torch_files/") + GetParam());
  const auto read = read_tensors(path);
  EXPECT_EQ(read.size(), expected.size());
  for (const auto &[name, tensor] : expected) {
    ASSERT_TRUE(read.count(name)) << name;
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(torch::equal(read.at(name), tensor)) << name;
  }
  WeightSource source({path});
  source.get({"weight"}, {2, 3});
  source.get({"transposed"}, {3, 4});
  source.get({"callback"}, {1});
  try {
    source.finish();
    ADD_FAILURE() << "no error";
  } catch (const Error &error) {
    const std::string message = error.what();
    EXPECT_NE(message.find("callback: is an object made by \"single_file.Progress\""),
              std::string::npos)
        << message;
    EXPECT_NE(message.find("transposed: is stored with strides [1, 3]"), std::string::npos)
        << message;
  }
}

INSTANTIATE_TEST_SUITE_P(torch_files, TorchFilesGolden,
                         testing::Values("zip.bin", "training.ckpt", "protocol_4.ckpt", "old.pt"),
                         [](const auto &info) {
                           const std::string name = info.param;
                           return name.substr(0, name.find('.'));
                         });

}  // namespace
}  // namespace livepeer
