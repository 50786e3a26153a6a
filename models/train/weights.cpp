#include "train/weights.h"

#include <torch/serialize.h>
#include <torch/utils.h>

#include <cmath>

#include "runtime/error.h"

namespace livepeer::train {
namespace {

constexpr double beta1 = 0.9, beta2 = 0.99, epsilon = 1e-8, weight_decay = 1e-4, max_norm = 1.0,
                 momentum = 0.95;

/// The matrix [out, in * kernel] of a convolution's gradient made nearly orthogonal (all singular
/// values near one) by a quintic Newton-Schulz iteration, and scaled to the size of AdamW's
/// updates: the Muon optimizer (Jordan et al. 2024; scale: Liu et al. 2025, "Muon is scalable for
/// LLM training"). Far fewer iterations than AdamW for the same error here.
torch::Tensor orthogonalised(const torch::Tensor &gradient) {
  auto x = gradient.flatten(1);
  const int64_t rows = x.size(0), columns = x.size(1);
  if (rows > columns) x = x.t();
  x = x / (x.norm() + 1e-7);
  for (int i = 0; i < 5; ++i) {
    const auto gram = x.mm(x.t());
    x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram.mm(gram)).mm(x);
  }
  if (rows > columns) x = x.t();
  return (x * (0.2 * std::sqrt(double(std::max(rows, columns))))).view_as(gradient);
}

bool ends_with(const std::string &text, const std::string &end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

}  // namespace

Weights::Weights(uint64_t seed, torch::Device device)
    : random_(at::detail::createCPUGenerator(seed)), device_(device) {}

void Weights::set_constant(const std::string &name, const torch::Tensor &value) {
  constants_[name] = value.to(device_, torch::kFloat);
}

torch::Tensor Weights::get(std::initializer_list<std::string> names, at::IntArrayRef shape) {
  const std::string &name = *names.begin();
  if (const auto constant = constants_.find(name); constant != constants_.end())
    return constant->second;
  const auto [entry, fresh] = parameters_.try_emplace(name);
  Parameter &parameter = entry->second;
  if (fresh) {
    parameter.value = initial(name, shape).to(device_);
    parameter.average = parameter.value.clone();
    parameter.moment1 = torch::zeros_like(parameter.value);
    parameter.moment2 = torch::zeros_like(parameter.value);
    parameter.value.requires_grad_();
  }
  return parameter.value;
}

/// He's initialisation, except that every residual branch and output starts small, so that the
/// first prediction is the bicubic picture.
torch::Tensor Weights::initial(const std::string &name, at::IntArrayRef shape) {
  if (ends_with(name, "bias") || ends_with(name, "film.weight") ||
      ends_with(name, "text_projection.weight") || ends_with(name, "conv_skip.weight"))
    return torch::zeros(shape);
  if (shape.size() == 1) return torch::ones(shape);
  if (ends_with(name, "embedding.weight")) return torch::randn(shape, random_) * 0.02;
  double fan_in = 1;
  for (size_t i = 1; i < shape.size(); ++i) fan_in *= double(shape[i]);
  const bool residual = ends_with(name, "conv2.weight") || ends_with(name, "conv_out.weight");
  return torch::randn(shape, random_) * (std::sqrt(2 / fan_in) * (residual ? 0.1 : 1));
}

void Weights::Parameter::adamw(double learning_rate, double clip, int64_t updates) {
  const auto gradient = value.grad() * clip;
  moment1.lerp_(gradient, 1 - beta1);
  moment2.mul_(beta2).addcmul_(gradient, gradient, 1 - beta2);
  const double correction1 = 1 - std::pow(beta1, double(updates));
  const double correction2 = 1 - std::pow(beta2, double(updates));
  if (value.dim() > 1) value.mul_(1 - learning_rate * weight_decay);
  value.addcdiv_(moment1, (moment2 / correction2).sqrt_().add_(epsilon),
                 -learning_rate / correction1);
}

void Weights::Parameter::muon(double learning_rate) {
  const auto &gradient = value.grad();
  moment1.mul_(momentum).add_(gradient);
  value.mul_(1 - learning_rate * weight_decay);
  value.sub_(orthogonalised(gradient + moment1 * momentum), learning_rate);
}

void Weights::update(double learning_rate) {
  torch::NoGradGuard no_grad;
  ++updates_;
  torch::Tensor square = torch::zeros({}, device_);
  for (const auto &[name, parameter] : parameters_)
    if (parameter.value.grad().defined()) square += parameter.value.grad().square().sum();
  const double clip = std::min(1.0, max_norm / (std::sqrt(square.item<double>()) + 1e-6));
  // Young averages follow quickly, or they would remember the random start.
  const double decay = std::min(0.997, double(1 + updates_) / double(10 + updates_));
  for (auto &[name, parameter] : parameters_) {
    if (!parameter.value.grad().defined()) continue;
    if (parameter.value.dim() == 4)
      parameter.muon(learning_rate);
    else
      parameter.adamw(learning_rate, clip, updates_);
    parameter.value.mutable_grad().reset();
    parameter.average.lerp_(parameter.value, 1 - decay);
  }
}

void Weights::copy(const std::string &from, const std::string &to) {
  torch::NoGradGuard no_grad;
  for (const auto &[name, source] : parameters_) {
    if (name.rfind(from, 0) != 0) continue;
    Parameter &target = parameters_.at(to + name.substr(from.size()));
    target.value.copy_(source.average);
    target.average.copy_(source.average);
  }
}

void Weights::set(const std::string &name, const torch::Tensor &value) {
  torch::NoGradGuard no_grad;
  Parameter &parameter = parameters_.at(name);
  parameter.value.copy_(value);
  parameter.average.copy_(value);
}

std::map<std::string, torch::Tensor> Weights::average(torch::ScalarType type) const {
  std::map<std::string, torch::Tensor> result = constants_;
  for (const auto &[name, parameter] : parameters_)
    result[name] = parameter.average.to(type, /*non_blocking=*/false, /*copy=*/true);
  return result;
}

void Weights::save(torch::serialize::OutputArchive &archive) const {
  for (const auto &[name, parameter] : parameters_) {
    archive.write("value/" + name, parameter.value.detach());
    archive.write("average/" + name, parameter.average);
    archive.write("moment1/" + name, parameter.moment1);
    archive.write("moment2/" + name, parameter.moment2);
  }
  archive.write("updates", torch::tensor(updates_));
}

void Weights::load(torch::serialize::InputArchive &archive) {
  torch::NoGradGuard no_grad;
  const auto read = [&](const std::string &key, torch::Tensor &into) {
    torch::Tensor stored;
    if (archive.try_read(key, stored)) into.copy_(stored);
  };
  for (auto &[name, parameter] : parameters_) {
    read("value/" + name, parameter.value);
    read("average/" + name, parameter.average);
    read("moment1/" + name, parameter.moment1);
    read("moment2/" + name, parameter.moment2);
  }
  torch::Tensor updates;
  archive.read("updates", updates);
  updates_ = updates.item<int64_t>();
}

void Weights::adopt(torch::serialize::InputArchive &archive, const std::string &prefix) {
  torch::NoGradGuard no_grad;
  for (auto &[name, parameter] : parameters_) {
    if (name.rfind(prefix, 0) != 0) continue;
    torch::Tensor stored;
    const bool known = archive.try_read("average/" + name, stored);
    if (!known && ends_with(name, "conv2.weight")) parameter.value.zero_();
    // FiLM has rows for each block: those of the new ones keep their zeros.
    if (known) parameter.value.narrow(0, 0, stored.size(0)).copy_(stored);
    parameter.average.copy_(parameter.value);
  }
}

void Weights::approach(torch::serialize::InputArchive &archive, double share) {
  torch::NoGradGuard no_grad;
  for (auto &[name, parameter] : parameters_) {
    torch::Tensor stored;
    archive.read("average/" + name, stored);
    parameter.value.lerp_(stored, share);
    parameter.average.copy_(parameter.value);
  }
}

torch::Tensor TensorMapSource::get(std::initializer_list<std::string> names,
                                   at::IntArrayRef shape) {
  const auto found = tensors_.find(*names.begin());
  if (found == tensors_.end() || found->second.sizes() != shape)
    throw Error(ErrorKind::open_read, "Parameter " + *names.begin() + " is missing or misshapen.");
  return found->second;
}

}  // namespace livepeer::train
