#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/weights_file.h"

namespace livepeer {

/// A word that a text encoder learnt: the vectors that stand for `token`, [vectors, width] or, if
/// there is one, [width].
struct TextualInversion {
  std::string token;
  std::shared_ptr<const WeightsFile> file;
  TensorEntry entry;

  int64_t vectors() const { return entry.shape.size() == 2 ? entry.shape[0] : 1; }
};

struct TextualInversions {
  std::vector<TextualInversion> all;
  std::string identity;  ///< tells sets apart, as LoraSet's
};

/// Opens the files that `list` names (see parse_file_list), and those in the folders that it names:
/// diffusers' layout, a tensor under the token; A1111's, string_to_param and name in a pickle, or
/// emb_params in a file that is called like the token. Headers are read, no data. Files of a folder
/// that do not fit a text encoder of `width` are left out, and the log says so.
/// Throws Error{settings, not_found, open_read}.
TextualInversions open_textual_inversions(const std::string &list, int64_t width);

}  // namespace livepeer
