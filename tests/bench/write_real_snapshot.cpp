// Writes a snapshot with the shapes of stabilityai/stable-diffusion-x4-upscaler and random fp16
// weights: for measuring speed and memory where the real weights are not at hand. Its pictures are
// noise.
//
//   write_real_snapshot FOLDER [TOKENIZER_FOLDER]
//
// Without a folder to copy a CLIP tokenizer from, the snapshot serves bench_real_model only.

#include <cstdio>

#include <torch/utils.h>

#include <filesystem>
#include <fstream>

#include "io/safetensors.h"
#include "nn/clip/clip_text_model.h"
#include "nn/unet/unet_2d_condition_model.h"
#include "nn/vae/autoencoder_kl.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

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

void write_json(const fs::path &path, const json &values) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << values.dump(2) << "\n";
}

template <typename Network>
void write_component(const fs::path &folder, const json &config, const std::string &file) {
  write_json(folder / "config.json", config);
  ParameterList list;
  const Network network(Config(config, "config.json"), ParameterScope(list));
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

const json unet_config = {
    {"_class_name", "UNet2DConditionModel"},
    {"act_fn", "silu"},
    {"attention_head_dim", 8},
    {"block_out_channels", {256, 512, 512, 1024}},
    {"cross_attention_dim", 1024},
    {"down_block_types",
     {"DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"}},
    {"in_channels", 7},
    {"layers_per_block", 2},
    {"norm_num_groups", 32},
    {"num_class_embeds", 1000},
    {"only_cross_attention", {true, true, true, false}},
    {"out_channels", 4},
    {"up_block_types",
     {"CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"}},
    {"use_linear_projection", true}};

const json vae_config = {
    {"_class_name", "AutoencoderKL"},
    {"act_fn", "silu"},
    {"block_out_channels", {128, 256, 512}},
    {"down_block_types", {"DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"}},
    {"in_channels", 3},
    {"latent_channels", 4},
    {"layers_per_block", 2},
    {"norm_num_groups", 32},
    {"out_channels", 3},
    {"scaling_factor", 0.08333},
    {"up_block_types", {"UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"}}};

const json text_config = {{"architectures", {"CLIPTextModel"}},
                          {"bos_token_id", 0},
                          {"eos_token_id", 2},
                          {"hidden_act", "gelu"},
                          {"hidden_size", 1024},
                          {"intermediate_size", 4096},
                          {"layer_norm_eps", 1e-5},
                          {"max_position_embeddings", 77},
                          {"num_attention_heads", 16},
                          {"num_hidden_layers", 23},
                          {"vocab_size", 49408}};

const json noise_schedule = {{"beta_end", 0.02},
                             {"beta_schedule", "scaled_linear"},
                             {"beta_start", 0.0001},
                             {"num_train_timesteps", 1000}};

void write_snapshot(const fs::path &folder, const fs::path &tokenizer) {
  torch::manual_seed(1);
  const torch::NoGradGuard no_grad;
  const std::string diffusers_file = "diffusion_pytorch_model.fp16.safetensors";
  write_component<UNet2DConditionModel>(folder / "unet", unet_config, diffusers_file);
  write_component<AutoencoderKL>(folder / "vae", vae_config, diffusers_file);
  write_component<CLIPTextModel>(folder / "text_encoder", text_config, "model.fp16.safetensors");
  auto scheduler = noise_schedule;
  scheduler.update({{"_class_name", "DDIMScheduler"},
                    {"clip_sample", false},
                    {"prediction_type", "v_prediction"},
                    {"set_alpha_to_one", false},
                    {"steps_offset", 1}});
  write_json(folder / "scheduler" / "scheduler_config.json", scheduler);
  auto low_res = noise_schedule;
  low_res.update({{"_class_name", "DDPMScheduler"}});
  write_json(folder / "low_res_scheduler" / "scheduler_config.json", low_res);
  json index = {{"_class_name", "StableDiffusionUpscalePipeline"},
                {"low_res_scheduler", {"diffusers", "DDPMScheduler"}},
                {"max_noise_level", 350},
                {"scheduler", {"diffusers", "DDIMScheduler"}},
                {"text_encoder", {"transformers", "CLIPTextModel"}},
                {"unet", {"diffusers", "UNet2DConditionModel"}},
                {"vae", {"diffusers", "AutoencoderKL"}}};
  if (!tokenizer.empty()) {
    fs::copy(tokenizer, folder / "tokenizer",
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
    index["tokenizer"] = {"transformers", "CLIPTokenizer"};
  }
  write_json(folder / "model_index.json", index);
}

}  // namespace
}  // namespace livepeer

int main(int argc, char **argv) {
  if (argc < 2 || argc > 3) {
    std::fprintf(stderr, "usage: %s FOLDER [TOKENIZER_FOLDER]\n", argv[0]);
    return 2;
  }
  try {
    livepeer::write_snapshot(argv[1], argc > 2 ? argv[2] : "");
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
