#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "io/weights_file.h"

namespace livepeer {

/// What a tensor of a LoRA file is to the layer that it belongs to.
enum class LoraPart { down, up, mid, magnitude, magnitude_by_shape, alpha };

/// A tensor's name, taken apart.
struct LoraName {
  std::string component;  ///< "unet" or "text_encoder"
  std::string layer;      ///< flat: underscores for dots
  LoraPart part;
};

/// False where no known kind of LoRA has such a name.
bool parse_lora_name(std::string_view name, LoraName &parsed);

/// `name` with underscores for dots, as kohya's scripts write the names of layers.
std::string flat_name(std::string_view name);

/// The flat names that a layer may have in a model, where the file calls it `layer`: that one, and
/// today's for what older files say.
std::vector<std::string> names_of_layer(const std::string &layer);

/// What a file that is no LoRA is, as far as its names tell: "a textual inversion, ..."; else "".
std::string what_instead_of_lora(const WeightsFile &file);

}  // namespace livepeer
