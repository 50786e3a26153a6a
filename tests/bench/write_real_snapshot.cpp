// Writes a snapshot with the shapes of stabilityai/stable-diffusion-x4-upscaler and random fp16
// weights: for measuring speed and memory where the real weights are not at hand. Its pictures are
// noise.
//
//   write_real_snapshot FOLDER

#include <cstdio>

#include <torch/utils.h>

#include <filesystem>

#include "io/model_lookup.h"
#include "io/safetensors.h"
#include "nn/clip/clip_text_model.h"
#include "nn/unet/unet_2d_condition_model.h"
#include "nn/vae/autoencoder_kl.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;

/// Notes what modules ask for and gives them zeros that take no memory.
class ParameterList : public ParameterSource {
 public:
  torch::Tensor get(std::initializer_list<std::string> names, at::IntArrayRef shape) override {
    tensors.push_back({*names.begin(), Dtype::f16, shape.vec()});
    return torch::zeros({1}).expand(shape);
  }
  std::vector<SafetensorsWriter::Tensor> tensors;
};

/// Norms 1, biases 0, everything else normal with a deviation that keeps activations of order 1.
torch::Tensor random_parameter(const SafetensorsWriter::Tensor &tensor) {
  const auto options = torch::dtype(torch::kHalf);
  if (tensor.shape.size() == 1) {
    const auto &name = tensor.name;
    const bool bias = name.size() > 4 && name.compare(name.size() - 4, 4, "bias") == 0;
    return bias ? torch::zeros(tensor.shape, options) : torch::ones(tensor.shape, options);
  }
  auto values = torch::empty(tensor.shape);
  values.normal_(0, 1 / std::sqrt(double(values.numel()) / double(tensor.shape[0])));
  return values.to(torch::kHalf);
}

template <typename Network>
void write_weights(const fs::path &folder, const std::string &file) {
  const std::string config = "/x4-upscaler/" + folder.filename().string() + "/config.json";
  ParameterList list;
  const Network network(Config::read(embedded_models_folder() + config), ParameterScope(list));
  fs::create_directories(folder);
  SafetensorsWriter writer((folder / file).string(), list.tensors);
  int64_t count = 0;
  for (const auto &tensor : list.tensors) {
    const auto values = random_parameter(tensor);
    writer.append(values.data_ptr(), size_t(values.nbytes()));
    count += values.numel();
  }
  writer.finish();
  std::printf("%-13s %4zu tensors, %.1f million parameters\n", folder.filename().c_str(),
              list.tensors.size(), double(count) / 1e6);
}

void write_snapshot(const fs::path &folder) {
  torch::manual_seed(1);
  const torch::NoGradGuard no_grad;
  const std::string diffusers_file = "diffusion_pytorch_model.fp16.safetensors";
  write_weights<UNet2DConditionModel>(folder / "unet", diffusers_file);
  write_weights<AutoencoderKL>(folder / "vae", diffusers_file);
  write_weights<CLIPTextModel>(folder / "text_encoder", "model.fp16.safetensors");
  fs::copy(embedded_models_folder() + "/x4-upscaler", folder,
           fs::copy_options::recursive | fs::copy_options::overwrite_existing);
}

}  // namespace
}  // namespace livepeer

int main(int argc, char **argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FOLDER\n", argv[0]);
    return 2;
  }
  try {
    livepeer::write_snapshot(argv[1]);
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
