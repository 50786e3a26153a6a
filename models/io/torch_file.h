#pragma once

#include <string>
#include <string_view>

#include "io/weights_file.h"

namespace livepeer {

/// The file begins as those of torch.save do, in either format.
bool is_torch_file(std::string_view head);

/// What torch.save writes (.ckpt, .bin, .pt, .pth), today a zip archive of a pickle and the
/// tensors' data, before PyTorch 1.6 pickles with the data behind. Read without torch, and without
/// running anything (see Pickle). The tensors are those of the dictionary in the file, or of the
/// one called "state_dict" (or "string_to_param") in that. Everything else that such files carry,
/// optimizers and callbacks of a training say, stays closed; where that stands under a tensor's
/// name, unfit() says what it is, as it does of tensors whose elements do not follow each other.
class TorchFile : public WeightsFile {
 public:
  /// Throws Error{not_found, open_read}.
  explicit TorchFile(const std::string &path);
};

}  // namespace livepeer
