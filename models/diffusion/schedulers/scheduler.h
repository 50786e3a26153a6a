#pragma once

#include <torch/types.h>

#include <memory>
#include <vector>

namespace livepeer {

/// Sampler with diffusers' protocol: set_timesteps, scale_model_input, step.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// For another job: with the same timesteps, from their beginning.
  virtual std::unique_ptr<Scheduler> clone() const = 0;
  virtual void set_timesteps(int num_inference_steps) = 0;
  /// In the order of the loop; floats, as Euler and LMS interpolate.
  virtual const std::vector<double> &timesteps() const = 0;
  virtual double init_noise_sigma() const = 0;
  /// True where step() draws noise: then the result of a part depends on the size of the whole.
  virtual bool adds_noise() const { return false; }
  virtual torch::Tensor scale_model_input(const torch::Tensor &sample, size_t index) const = 0;
  /// The sample after step `index`. `generator` is drawn from only by schedulers that add noise.
  virtual torch::Tensor step(const torch::Tensor &model_output, size_t index,
                             const torch::Tensor &sample, const at::Generator &generator) = 0;
};

}  // namespace livepeer
