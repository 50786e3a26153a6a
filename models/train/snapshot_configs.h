#pragma once

#include "io/config.h"
#include "train/options.h"

namespace livepeer::train {

/// The configurations of the snapshot being trained, as its JSON files will hold them; their
/// origin() is the path inside the snapshot.
Config unet_config(const Options &options);
Config vae_config();
/// Zero signal at the last timestep and trailing spacing: one step from pure noise is the
/// posterior mean.
Config scheduler_config();
/// Noise level 0 is exactly clean, as the first beta is zero.
Config low_res_scheduler_config();
/// CLIPTextModel, one small layer, for vocabulary().
Config text_encoder_config();

}  // namespace livepeer::train
