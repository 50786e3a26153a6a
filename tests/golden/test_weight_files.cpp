// Files of weights as torch.save wrote them, and a model in one file.
#include <torch/types.h>

#include "diffusion/torch_model_loader.h"
#include "golden/golden_pictures.h"
#include "golden/golden_support.h"
#include "support/original_file.h"
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

/// The same bytes as from the snapshot, which are diffusers' (of both by from_single_file).
TEST(SingleFileGolden, single_file_MakesThePicturesOfTheSnapshot) {
  const test::TemporaryFolder folder;
  test::copy_configurations(folder.path());
  test::write_safetensors(folder / "one.safetensors", test::original_tensors());
  test::write_file(folder / "one.ckpt", test::checkpoint_of(test::original_tensors()));
  const nlohmann::json entry = golden_case("pipe_16x16_g9_n20");
  const auto picture_of = [&](const std::string &model) {
    ModelSpec spec;
    spec.model = model;
    spec.device = "cpu";
    spec.precision = Precision::float32;
    spec.safety_check = false;
    std::vector<double> fractions;
    Progress loading([&](double fraction, const std::string &) { fractions.push_back(fraction); });
    TorchModelLoader loader;
    const CheckedModel checked = loader.check(spec);
    EXPECT_EQ(checked.identity, loader.check(spec).identity);
    const auto loaded = loader.load(spec, checked.opened, loading);
    EXPECT_TRUE(std::is_sorted(fractions.begin(), fractions.end()));
    UpscaleSettings settings;
    settings.prompt = entry.at("prompt");
    settings.seed = entry.at("seed");
    settings.steps = entry.at("num_inference_steps");
    const Frame frame = test::read_picture(golden_path(entry.at("input_png")));
    Progress progress;
    return loaded->upscale(frame, {0, 0, frame.width, frame.height}, settings, {}, {}, progress);
  };
  const Frame expected = picture_of(golden_path("tiny-upscaler"));
  expect_same_picture(expected, entry.at("output_png").at(0));
  for (const char *name : {"one.safetensors", "one.ckpt"})
    EXPECT_EQ(picture_of(folder / name).pixels, expected.pixels) << name;
}

INSTANTIATE_TEST_SUITE_P(torch_files, TorchFilesGolden,
                         testing::Values("zip.bin", "training.ckpt", "protocol_4.ckpt", "old.pt"),
                         [](const auto &info) {
                           const std::string name = info.param;
                           return name.substr(0, name.find('.'));
                         });

}  // namespace
}  // namespace livepeer
