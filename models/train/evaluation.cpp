#include "train/evaluation.h"

#include <functional>

#include "diffusion/schedulers/schedulers.h"
#include "io/weights.h"
#include "nn/autoencoder_pixel_shuffle.h"
#include "nn/clip_text_model.h"
#include "nn/denoiser_ensemble.h"
#include "train/degradation.h"
#include "train/validation.h"
#include "train/words.h"

namespace livepeer::train {
namespace {

double laplacian(const torch::Tensor &picture) {
  const auto y = luma(picture).unsqueeze(1);
  const auto kernel =
      torch::tensor({0, 1, 0, 1, -4, 1, 0, 1, 0}, torch::kDouble).view({1, 1, 3, 3});
  return at::conv2d(y, kernel).abs().mean().item<double>();
}

/// The folder's networks, driven as the upscale pipeline drives them.
class Sampler {
 public:
  Sampler(const std::string &folder, const EvaluationSettings &settings)
      : temperature_(settings.noise_temperature),
        scheduler_(Config::read(folder + "/scheduler/scheduler_config.json")),
        vae_(Config::read(folder + "/vae/config.json")),
        weights_({folder + "/unet/diffusion_pytorch_model.safetensors"},
                 options(settings.bfloat16)),
        denoiser_(Config::read(folder + "/unet/config.json"), weights_) {
    weights_.finish();
    WeightSource text_weights({folder + "/text_encoder/model.safetensors"});
    const CLIPTextModel encoder(Config::read(folder + "/text_encoder/config.json"), text_weights);
    text_weights.finish();
    text_ = encoder.forward(torch::tensor(vocabulary().encode(settings.prompt)).unsqueeze(0));
  }

  /// `low_res` [1, 3, h, w] in [0, 1]; the result likewise, 8 bits.
  torch::Tensor upscale(const torch::Tensor &low_res, int steps) {
    const auto scheduler = make_scheduler(scheduler_);
    scheduler->set_timesteps(steps);
    const auto picture = low_res * 2 - 1;
    auto latent = torch::randn({1, vae_.latent_channels(), picture.size(2), picture.size(3)},
                               at::detail::createCPUGenerator(0)) *
                  (temperature_ * scheduler->init_noise_sigma());
    const auto generator = at::detail::createCPUGenerator(1);
    const auto level = torch::zeros({1}, torch::kLong);
    for (size_t i = 0; i < scheduler->timesteps().size(); ++i) {
      const auto input = torch::cat({scheduler->scale_model_input(latent, i), picture}, 1);
      const auto timestep = torch::full({1}, scheduler->timesteps()[i]);
      latent =
          scheduler->step(denoiser_.forward(input, timestep, text_, level), i, latent, generator);
    }
    return quantised(vae_.decode(latent / vae_.scaling_factor(), picture) / 2 + 0.5);
  }

 private:
  static WeightOptions options(bool bfloat16) {
    WeightOptions result;
    result.dtype = bfloat16 ? torch::kBFloat16 : torch::kFloat;
    return result;
  }
  double temperature_;
  Config scheduler_;
  AutoencoderPixelShuffle vae_;
  WeightSource weights_;
  DenoiserEnsemble denoiser_;
  TextEmbeddings text_;
};

Quality measure(const std::vector<Picture> &pictures,
                const std::function<torch::Tensor(const torch::Tensor &)> &upscale) {
  Quality sum;
  for (const Picture &picture : pictures) {
    const auto high_res = reference_planes(picture);
    const auto low_res = quantised(shrink(high_res, Kernel::cubic));
    const auto result = upscale(low_res);
    sum.psnr_y += psnr_y(result, high_res);
    sum.sharpness += laplacian(result) / laplacian(high_res);
    sum.consistency += psnr_y(shrink(result, Kernel::cubic), low_res, 1);
  }
  const auto count = double(pictures.size());
  return {sum.psnr_y / count, sum.sharpness / count, sum.consistency / count};
}

torch::Tensor enlarged(const torch::Tensor &low_res, Kernel kernel) {
  return quantised(
      resampling_matrix(low_res.size(2), low_res.size(2) * 4, kernel)
          .matmul(low_res)
          .matmul(resampling_matrix(low_res.size(3), low_res.size(3) * 4, kernel).t()));
}

}  // namespace

std::vector<EvaluationRow> evaluate(const std::string &folder, const std::vector<Picture> &pictures,
                                    const EvaluationSettings &settings) {
  torch::NoGradGuard no_grad;
  Sampler sampler(folder, settings);
  std::vector<EvaluationRow> rows = {
      {"bicubic", measure(pictures, [](const auto &p) { return enlarged(p, Kernel::cubic); })},
      {"lanczos", measure(pictures, [](const auto &p) { return enlarged(p, Kernel::lanczos); })}};
  for (const int count : settings.steps)
    rows.push_back({std::to_string(count) + (count == 1 ? " step" : " steps"),
                    measure(pictures, [&](const auto &p) { return sampler.upscale(p, count); })});
  return rows;
}

}  // namespace livepeer::train
