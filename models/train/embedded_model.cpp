#include "train/embedded_model.h"

#include <torch/serialize.h>
#include <torch/utils.h>

#include <filesystem>

#include "train/snapshot_configs.h"
#include "train/words.h"

namespace livepeer::train {
namespace {

constexpr const char *experts[] = {"experts.0", "experts.1"};
constexpr const char *text_model = "text_model.", *first_text_model = "first.text_model.";

Weights with_constants(const Options &options, const NoiseSchedule &schedule) {
  Weights weights(options.seed, options.device);
  const auto origin = torch::zeros({unet_config(options).require<int64_t>("text_dim")});
  for (const char *expert : experts) {
    weights.set_constant(std::string(expert) + ".gate", schedule.alphas_cumprod.sqrt());
    weights.set_constant(std::string(expert) + ".text_origin", origin);
  }
  return weights;
}

std::string checkpoint_path(const std::string &folder) { return folder + "/checkpoint.pt"; }

/// [tokens] int64. Shorter than the 77 of inference: attention is causal, so what follows the end
/// does not matter.
torch::Tensor token_ids(const std::string &prompt) {
  constexpr size_t length = 40;
  auto ids = vocabulary().encode(prompt);
  const int64_t end = ids.back();
  ids.resize(length, end);
  ids.back() = end;
  return torch::tensor(ids);
}

}  // namespace

EmbeddedModel::EmbeddedModel(const Options &options)
    : options_(options),
      schedule_(scheduler_config()),
      low_res_schedule_(low_res_scheduler_config()),
      weights_(with_constants(options, schedule_)),
      vae_(vae_config()),
      denoiser_(unet_config(options), weights_),
      text_encoder_(text_encoder_config(), weights_),
      first_text_encoder_(text_encoder_config(), ParameterScope(weights_) / "first") {}

void EmbeddedModel::save(const Position &position) const {
  std::filesystem::create_directories(options_.out);
  torch::serialize::OutputArchive archive;
  weights_.save(archive);
  archive.write("iteration", torch::tensor(position.iteration));
  archive.write("seconds", torch::tensor(position.seconds, torch::kDouble));
  archive.write("texture", torch::tensor(position.texture));
  const std::string path = checkpoint_path(options_.out), fresh = path + ".new";
  archive.save_to(fresh);
  std::filesystem::rename(fresh, path);
}

bool EmbeddedModel::load(Position &position) {
  const std::string path = checkpoint_path(options_.out);
  if (!std::filesystem::exists(path)) return false;
  torch::serialize::InputArchive archive;
  archive.load_from(path);
  weights_.load(archive);
  torch::Tensor iteration, seconds, texture;
  archive.read("iteration", iteration);
  archive.read("seconds", seconds);
  archive.read("texture", texture);
  position = {iteration.item<int64_t>(), seconds.item<double>(), texture.item<bool>()};
  return true;
}

void EmbeddedModel::combine(const std::string &first, const std::string &second) {
  torch::serialize::InputArchive archive;
  archive.load_from(checkpoint_path(first));
  weights_.adopt(archive, experts[0]);
  torch::serialize::InputArchive other;
  other.load_from(checkpoint_path(second));
  weights_.adopt(other, experts[1]);
  weights_.adopt(other, text_model);
  weights_.copy(text_model, first_text_model);
}

void EmbeddedModel::average(const std::vector<std::string> &runs) {
  for (size_t i = 0; i < runs.size(); ++i) {
    torch::serialize::InputArchive archive;
    archive.load_from(checkpoint_path(runs[i]));
    weights_.approach(archive, 1 / double(i + 1));
  }
}

void EmbeddedModel::begin_texture() {
  weights_.copy(text_model, first_text_model);
  weights_.copy(experts[0], experts[1]);
  const std::string second = experts[1];
  // The first expert has seen one timestep only and nothing of the latent: what its weights would
  // make of others is random. So at first every timestep is like that one and the latent is
  // ignored.
  const std::string time = second + ".time_embedding.";
  const auto get = [&](const char *name) { return weights_.average(time + name); };
  const auto last = torch::full({1}, double(schedule_.size() - 1), options_.device);
  const int64_t sinusoids = get("linear_1.weight").size(1);
  const auto hidden = at::silu(at::linear(timestep_embedding(last, sinusoids),
                                          get("linear_1.weight"), get("linear_1.bias")));
  weights_.set(time + "linear_2.bias",
               at::linear(hidden, get("linear_2.weight"), get("linear_2.bias"))[0]);
  weights_.set(time + "linear_2.weight", torch::zeros_like(get("linear_2.weight")));
  auto input = weights_.average(second + ".conv_in.weight").clone();
  input.narrow(1, 0, vae_.latent_channels()).zero_();
  weights_.set(second + ".conv_in.weight", input);
}

torch::Tensor EmbeddedModel::pooled(const CLIPTextModel &text_encoder,
                                    const std::vector<std::string> &prompts) const {
  std::vector<torch::Tensor> rows;
  for (const std::string &prompt : prompts) rows.push_back(token_ids(prompt));
  rows.push_back(token_ids(""));
  const auto pooled = text_encoder.forward(torch::stack(rows).to(options_.device)).pooled;
  const auto count = int64_t(prompts.size());
  return pooled.narrow(0, 0, count) - pooled.narrow(0, count, 1);
}

torch::Tensor EmbeddedModel::drift(const std::vector<std::string> &prompts,
                                   const torch::Tensor &pooled) const {
  const torch::Tensor learnt = this->pooled(first_text_encoder_, prompts).detach();
  const auto hearing = weights_.average(std::string(experts[0]) + ".text_projection.weight");
  return (pooled - learnt).matmul(hearing.t()).square().mean();
}

std::map<std::string, torch::Tensor> EmbeddedModel::shipped_weights() const {
  torch::NoGradGuard no_grad;
  auto result = weights_.average(torch::kBFloat16);
  for (auto entry = result.begin(); entry != result.end();)
    entry = entry->first.rfind(first_text_model, 0) == 0 ? result.erase(entry) : std::next(entry);
  auto widened = result;
  for (auto &[name, tensor] : widened) tensor = tensor.to(torch::kFloat);
  TensorMapSource source(widened);
  const CLIPTextModel text_encoder(text_encoder_config(), source);
  const auto origin =
      text_encoder.forward(token_ids("").unsqueeze(0).to(options_.device)).pooled[0];
  for (const char *expert : experts)
    result[std::string(expert) + ".text_origin"] = origin.contiguous();
  return result;
}

std::unique_ptr<DenoiserEnsemble> EmbeddedModel::shipped_denoiser() const {
  TensorMapSource source(shipped_weights());
  return std::make_unique<DenoiserEnsemble>(unet_config(options_), source);
}

}  // namespace livepeer::train
