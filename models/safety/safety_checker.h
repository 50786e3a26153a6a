#pragma once

#include <memory>
#include <string>

#include "io/snapshot.h"
#include "runtime/frame.h"
#include "runtime/model.h"
#include "weights/weight_source.h"

namespace livepeer {

/// Decides whether a finished picture may be shown. check() may be called from several threads.
class SafetyChecker {
 public:
  virtual ~SafetyChecker() = default;
  virtual SafetyVerdict check(const Frame &high_res) const = 0;
};

/// The folder of the checker that decides: `safety_model` where that is not empty, else the
/// snapshot's own, else the built-in one: default-safety beside the embedded models. Throws
/// Error{not_found} where even that is missing.
std::string find_safety_checker(const std::string &safety_model, const Snapshot &snapshot);

/// The checker in `folder` (config.json, safetensors and what else its class needs), whatever its
/// class. `options` says where the weights go and who hears of the loading; they are always
/// float32. Throws Error{not_found, open_read}.
std::unique_ptr<SafetyChecker> load_safety_checker(const std::string &folder,
                                                   WeightOptions options = {});

}  // namespace livepeer
