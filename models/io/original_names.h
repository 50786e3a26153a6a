#pragma once

#include <memory>
#include <string>

#include "io/config.h"
#include "io/weights_file.h"

namespace livepeer {

/// Throws Error{open_read} unless `checkpoint` holds a whole x4 upscaler in one file, under the
/// names of the code that it was trained with; the sentence says what the file is instead, as far
/// as its names tell.
void check_is_upscaler(const WeightsFile &checkpoint);

/// True where such a file holds the weights of this component of a snapshot.
bool is_in_checkpoint(const std::string &component);

/// The tensors of one component ("unet", "vae", "text_encoder") of such a file, under diffusers'
/// and transformers' names. `config`, the component's own, tells how its blocks are counted.
std::shared_ptr<const WeightsFile> component_of(const WeightsFile &checkpoint,
                                                const std::string &component, const Config &config);

}  // namespace livepeer
