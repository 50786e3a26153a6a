#include "train/trainer.h"

#include <torch/utils.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "train/autocast.h"

namespace livepeer::train {
namespace {

constexpr double warm_up = 0.02;     // of an expert's part of the schedule
constexpr double negligible = 0.02;  // mean square error of a patch

class Stopwatch {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Warm-up, then half a cosine down to almost nothing; `progress` of one expert's part.
double learning_rate(double peak, double progress) {
  const double cosine = 0.5 + 0.5 * std::cos(std::min(progress, 1.0) * 3.14159265358979);
  return peak * std::min(1.0, 0.01 + progress / warm_up) * (0.003 + 0.997 * cosine);
}

}  // namespace

Trainer::Trainer(const Options &options, std::vector<Picture> training,
                 std::vector<Picture> validation)
    : options_(options),
      model_(options),
      pictures_(std::move(training), options.patch * 4),
      validation_(std::move(validation)),
      batches_(options_, pictures_, model_.low_res_schedule()) {}

double Trainer::progress() const {
  return options_.iterations > 0 ? double(position_.iteration) / double(options_.iterations)
                                 : position_.seconds / (60 * options_.minutes);
}

double Trainer::step(const Batch &batch, double progress) {
  const bool texture = progress >= options_.fidelity_share;
  if (texture && !position_.texture) model_.begin_texture();
  position_.texture = texture;
  const double part = texture ? (progress - options_.fidelity_share) / (1 - options_.fidelity_share)
                              : progress / options_.fidelity_share;

  const torch::Device device(options_.device);
  const int64_t count = batch.high_res.size(0), last = model_.schedule().size() - 1;
  const auto latents =
      model_.vae().encode(batch.high_res, batch.low_res) * model_.vae().scaling_factor();
  // At the last timestep the networks see nothing of the noise, and v does not depend on it.
  auto timesteps = torch::full({count}, last, torch::kLong);
  auto noise = torch::zeros_like(latents);
  if (texture) {
    const auto generator =
        at::detail::createCPUGenerator(iteration_seed(~options_.seed, position_.iteration));
    timesteps = torch::randint(0, last, {count}, generator, torch::kLong);
    noise = torch::randn(latents.sizes(), generator);
  }
  const auto noised = model_.schedule().add_noise(latents, noise, timesteps);
  const auto target = model_.schedule().velocity(latents, noise, timesteps).to(device);
  const auto sample = torch::cat({noised, batch.low_res}, 1).to(device);

  TextEmbeddings text;
  if (options_.word_share > 0) {
    const torch::AutoGradMode learn(options_.text_learns);
    text = model_.encode(batch.prompts);
  }
  torch::Tensor prediction;
  {
    const Autocast autocast(device.type(), options_.bfloat16);
    prediction = model_.denoiser().forward(sample, timesteps.to(device, torch::kFloat), text,
                                           batch.noise_levels.to(device));
  }
  const auto squared = (prediction - target).square();
  // At pure noise the error is that of plain super-resolution, and its logarithm what is measured:
  // dB, to which smooth patches count as much as rich ones. Elsewhere the denoised estimate must be
  // the posterior's mean; nearly clean latents count less. And where the low-resolution picture
  // carries much noise errors are large by nature: without `trust` they would drown the rest.
  const auto signal = model_.schedule().alphas_cumprod.index_select(0, timesteps);
  const auto weight = (5 * (1 - signal)).clamp_max(1);
  const auto level_noise =
      1 - model_.low_res_schedule().alphas_cumprod.index_select(0, batch.noise_levels);
  const double scale = model_.vae().scaling_factor();
  const auto trust = 1 / (1 + level_noise * (scale * scale));
  const auto errors = squared.mean({1, 2, 3});
  const auto loss =
      texture ? (errors * (weight * trust).to(device)).mean() : (errors + negligible).log().mean();
  // The second expert needs words that say nothing to the first one ("grain"), which in turn relies
  // on what it has learnt of the others.
  (texture && text.pooled.requires_grad() ? loss + model_.drift(batch.prompts, text.pooled) : loss)
      .backward();
  model_.weights().update(learning_rate(options_.learning_rate, part));
  ++position_.iteration;
  return errors.mean().item<double>();
}

void Trainer::report_validation() {
  if (validation_.empty()) return;
  const ValidationResult result = validate(validation_, *model_.shipped_denoiser(), model_.vae(),
                                           model_.schedule().size() - 1, options_.device);
  std::printf("validation  bicubic %.3f dB  model %.3f dB  gain %+.3f dB\n", result.bicubic,
              result.model, result.model - result.bicubic);
  std::fflush(stdout);
}

void Trainer::run() {
  if (model_.load(position_))
    std::printf("resuming at iteration %lld, minute %.1f\n", (long long)position_.iteration,
                position_.seconds / 60);
  const Stopwatch watch;
  const double before = position_.seconds;
  const int64_t first = position_.iteration;
  double next_line = position_.seconds,
         next_check = position_.seconds + 60 * options_.checkpoint_minutes,
         next_measure = position_.seconds + 60 * options_.validation_minutes, error_sum = 0;
  int64_t error_count = 0;
  while (progress() < 1 &&
         (options_.stop_after == 0 || position_.iteration - first < options_.stop_after)) {
    const int64_t batch = options_.distinct_batches > 0
                              ? position_.iteration % options_.distinct_batches
                              : position_.iteration;
    error_sum += step(batches_.make(batch), progress());
    ++error_count;
    position_.seconds = before + watch.seconds();
    if (position_.seconds >= next_line) {
      next_line = position_.seconds + 15;
      const double rate = double((position_.iteration - first) * options_.batch) / watch.seconds();
      const double done = progress();
      std::printf("iteration %lld  error %.4f  %.1f patches/s  %.1f %%  ETA %.1f min\n",
                  (long long)position_.iteration, error_sum / double(error_count), rate, 100 * done,
                  options_.iterations > 0 ? double(options_.iterations - position_.iteration) *
                                                double(options_.batch) / rate / 60
                                          : options_.minutes - position_.seconds / 60);
      std::fflush(stdout);
      error_sum = 0;
      error_count = 0;
    }
    if (position_.seconds >= next_check) {
      next_check = position_.seconds + 60 * options_.checkpoint_minutes;
      model_.save(position_);
    }
    if (position_.seconds >= next_measure) {
      next_measure = position_.seconds + 60 * options_.validation_minutes;
      report_validation();
    }
  }
  model_.save(position_);
  report_validation();
}

}  // namespace livepeer::train
