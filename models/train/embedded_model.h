#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "diffusion/noise_schedule.h"
#include "nn/clip/clip_text_model.h"
#include "nn/embedded/autoencoder_pixel_shuffle.h"
#include "nn/embedded/denoiser_ensemble.h"
#include "train/options.h"
#include "train/weights.h"

namespace livepeer::train {

/// The model being trained: its networks on trainable weights, and its checkpoint.
class EmbeddedModel {
 public:
  explicit EmbeddedModel(const Options &options);

  /// Where a run stands.
  struct Position {
    int64_t iteration = 0;
    double seconds = 0;    ///< spent on this schedule, earlier runs included
    bool texture = false;  ///< the second expert has begun
  };
  void save(const Position &position) const;
  /// False where the options' folder holds no checkpoint; then nothing changed.
  bool load(Position &position);

  /// Starts from the parts of two other runs: the first expert of the checkpoint in the folder
  /// `first`, the second expert and the text encoder of the one in `second`. Experts may be deeper
  /// than theirs.
  void combine(const std::string &first, const std::string &second);
  /// Starts from the mean of the weights in the folders `runs`, which must stem from one run
  /// (Wortsman et al. 2022, "Model soups").
  void average(const std::vector<std::string> &runs);

  /// How far the first expert hears `prompts` otherwise than it has learnt to, now that the text
  /// encoder learns with the second one: mean square of what its FiLM takes from them. `pooled` is
  /// what encode() makes of the prompts.
  torch::Tensor drift(const std::vector<std::string> &prompts, const torch::Tensor &pooled) const;

  /// Lets the second expert begin where the first one stands.
  void begin_texture();

  /// What the denoiser takes for `prompts`: their pooled embeddings relative to the empty prompt's.
  TextEmbeddings encode(const std::vector<std::string> &prompts) const {
    return {{}, pooled(text_encoder_, prompts)};
  }

  /// The averaged weights as they ship: bfloat16, constants float32, and the empty prompt's pooled
  /// embedding as the experts' text_origin.
  std::map<std::string, torch::Tensor> shipped_weights() const;
  std::unique_ptr<DenoiserEnsemble> shipped_denoiser() const;

  const Options &options() const { return options_; }
  const NoiseSchedule &schedule() const { return schedule_; }
  const NoiseSchedule &low_res_schedule() const { return low_res_schedule_; }
  const Weights &weights() const { return weights_; }
  Weights &weights() { return weights_; }
  AutoencoderPixelShuffle &vae() { return vae_; }
  DenoiserEnsemble &denoiser() { return denoiser_; }

 private:
  torch::Tensor pooled(const CLIPTextModel &text_encoder,
                       const std::vector<std::string> &prompts) const;

  Options options_;
  NoiseSchedule schedule_, low_res_schedule_;
  Weights weights_;
  AutoencoderPixelShuffle vae_;
  DenoiserEnsemble denoiser_;
  CLIPTextModel text_encoder_;
  CLIPTextModel first_text_encoder_;  ///< as the first expert left it
};

}  // namespace livepeer::train
