#pragma once

#include <torch/types.h>

#include <initializer_list>
#include <string>

namespace livepeer {

/// Hands modules their parameters while they are built, by their diffusers / transformers
/// state-dict names. Sources: a safetensors file (inference), random values (training), a list of
/// names and shapes (random snapshots of real size). So a module's constructor is the one place
/// that knows its parameters.
class ParameterSource {
 public:
  virtual ~ParameterSource() = default;
  /// The parameter called by one of `names` (the first is the current name, the others deprecated
  /// aliases). A source may collect complaints and return zeros of that shape instead of throwing;
  /// it then throws them all in one Error when asked to finish.
  virtual torch::Tensor get(std::initializer_list<std::string> names, at::IntArrayRef shape) = 0;
};

/// A source and a dotted prefix: `scope / "mid_block" / "resnets.0"`.
class ParameterScope {
 public:
  ParameterScope(ParameterSource &source, std::string prefix = {})
      : source_(&source), prefix_(std::move(prefix)) {}
  const std::string &path() const { return prefix_; }
  ParameterScope operator/(const std::string &name) const { return {*source_, join(name)}; }
  ParameterScope operator/(size_t index) const { return *this / std::to_string(index); }
  torch::Tensor get(const std::string &name, at::IntArrayRef shape) const {
    return source_->get({join(name)}, shape);
  }
  /// The same under a deprecated name (old VAE attention: query, key, value, proj_attn).
  torch::Tensor get(const std::string &name, const std::string &deprecated,
                    at::IntArrayRef shape) const {
    return source_->get({join(name), join(deprecated)}, shape);
  }

 private:
  std::string join(const std::string &name) const {
    return prefix_.empty() ? name : prefix_ + "." + name;
  }
  ParameterSource *source_;
  std::string prefix_;
};

}  // namespace livepeer
