#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "answer.h"
#include "form.h"

namespace upscale_server {

/// What a client asks for, once the form is known to be good.
struct UpscaleRequest {
  std::string prompt;      ///< valid UTF-8 without NUL
  std::string_view image;  ///< lies in the request's body
  bool safety_check = true;
  uint64_t seed = 0;           ///< the 64 bits that the element takes
  bool seed_is_signed = true;  ///< false: a seed above 2^63-1
  unsigned steps = 0;          ///< 0: the model's own number
  std::string lora;            ///< as the element's property takes it; empty: none

  Json seed_as_json() const;
};

/// Reads the fields of POST /upscale, see README.md. Returns the answer that refuses them: 422 with
/// every missing or mistyped field, or 400 for another model, a LoRA that is not in `lora_dir`, or
/// a number out of range; nothing if all is well. A seed that was not sent is drawn from 1 ..
/// 2^32-1.
std::optional<Answer> read_request(const Form &form, const std::string &loaded_model,
                                   unsigned max_steps, const std::string &lora_dir,
                                   UpscaleRequest &request);

}  // namespace upscale_server
