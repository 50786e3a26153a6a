#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/snapshot.h"
#include "io/weights_file.h"

namespace livepeer {

/// What one file adds to one parameter W [out, in] or [out, in, k, k]:
/// scale x up x down, where `down` is [rank, in (, k, k)] and `up` [out, rank]; with `mid`
/// [rank, rank, k, k], `down` is [rank, in] and the product of the three counts. `scale` is
/// `weight` x alpha / rank (or its root, with `root_of_rank`), without an alpha just `weight`.
/// Where there is a magnitude (DoRA), each row of the sum, or each column, is brought to that
/// length.
struct LoraLayer {
  std::shared_ptr<const WeightsFile> file;
  double weight = 1;
  std::optional<TensorEntry> down, up, mid, magnitude;
  std::optional<TensorEntry> alpha;   ///< one number
  std::optional<double> given_alpha;  ///< the same, where no tensor but a rule tells it
  bool root_of_rank = false;
  bool by_column = false;  ///< the magnitude's

  int64_t rank() const { return down->shape[0]; }
};

/// The layers that a list of LoRA files changes, by component and the name of the parameter.
struct LoraSet {
  using Layers = std::map<std::string, std::vector<LoraLayer>>;
  std::map<std::string, Layers> components;
  /// Tells sets apart: canonical paths, sizes, times and weights; empty for no file.
  std::string identity;

  /// Those of a component; null where nothing changes there.
  const Layers *of(const std::string &component) const;
};

/// Opens the files that `list` names (see parse_file_list), each a file or a folder that holds one,
/// and finds the parameters of the model that they change; headers are read, no data. Known are the
/// names of PEFT, of diffusers then and now, and of kohya's scripts.
/// Throws Error{settings, not_found, open_read}: for a file that is none, and one for everything
/// in all of them that does not fit `model`.
LoraSet open_loras(const std::string &list, const Snapshot &model, bool prefer_half);

}  // namespace livepeer
