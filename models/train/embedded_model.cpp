#include "train/embedded_model.h"

#include <filesystem>

#include "train/snapshot_configs.h"

namespace livepeer::train {
namespace {

Weights with_constants(const Options &options, const NoiseSchedule &schedule) {
  Weights weights(options.seed, options.device);
  weights.set_constant("gate", schedule.alphas_cumprod.sqrt());
  weights.set_constant("text_origin",
                       torch::zeros({unet_config(options).require<int64_t>("text_dim")}));
  return weights;
}

}  // namespace

EmbeddedModel::EmbeddedModel(const Options &options)
    : options_(options),
      schedule_(scheduler_config()),
      low_res_schedule_(low_res_scheduler_config()),
      weights_(with_constants(options, schedule_)),
      vae_(vae_config()),
      denoiser_(unet_config(options), weights_) {}

void EmbeddedModel::save(const Position &position) const {
  std::filesystem::create_directories(options_.out);
  torch::serialize::OutputArchive archive;
  weights_.save(archive);
  archive.write("iteration", torch::tensor(position.iteration));
  archive.write("seconds", torch::tensor(position.seconds, torch::kDouble));
  const std::string fresh = checkpoint_path() + ".new";
  archive.save_to(fresh);
  std::filesystem::rename(fresh, checkpoint_path());
}

bool EmbeddedModel::load(Position &position) {
  if (!std::filesystem::exists(checkpoint_path())) return false;
  torch::serialize::InputArchive archive;
  archive.load_from(checkpoint_path());
  weights_.load(archive);
  torch::Tensor iteration, seconds;
  archive.read("iteration", iteration);
  archive.read("seconds", seconds);
  position = {iteration.item<int64_t>(), seconds.item<double>()};
  return true;
}

std::unique_ptr<FlatDenoiser> EmbeddedModel::shipped_denoiser() const {
  TensorMapSource source(weights_.average(torch::kBFloat16));
  return std::make_unique<FlatDenoiser>(unet_config(options_), source);
}

}  // namespace livepeer::train
