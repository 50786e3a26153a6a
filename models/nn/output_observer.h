#pragma once

#include <torch/types.h>

#include <functional>
#include <string>

namespace livepeer {

/// While it lives, sees the output of every module that the calling thread evaluates, under the
/// module's path in the diffusers state dict ("mid_block.resnets.0.conv1"). For tests and debugging
/// that compare networks stage by stage; without one, modules only test a pointer.
class OutputObserver {
 public:
  using Callback = std::function<void(const std::string &path, const torch::Tensor &output)>;
  explicit OutputObserver(Callback callback);
  ~OutputObserver();
  OutputObserver(const OutputObserver &) = delete;
  OutputObserver &operator=(const OutputObserver &) = delete;

  static bool active();
  /// Hands `output` to this thread's observer, if there is one. The tensor may be changed in place
  /// afterwards: observers that keep it keep a copy.
  static void report(const std::string &path, const torch::Tensor &output);

 private:
  Callback callback_;
  OutputObserver *outer_;
};

}  // namespace livepeer
