#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "answer.h"

namespace upscale_server {

/// What the element's property lora is to be, from what a client sends: names of files (without
/// .safetensors) or folders in `folder`, with commas between and perhaps @ and a weight behind
/// each. Names, never paths: a client reaches nothing outside. `folder` is empty where the operator
/// gave none. Returns the answer that refuses.
std::optional<Answer> read_loras(std::string_view sent, const std::string &folder,
                                 std::string &property);

}  // namespace upscale_server
