#pragma once

#include <string>

#include "train/embedded_model.h"

namespace livepeer::train {

/// What a snapshot's model_index.json says about how to run it.
struct SnapshotDefaults {
  int64_t steps = 1;
  double noise_temperature = 1.0;
};

/// Writes the averaged weights as a snapshot folder: bfloat16, constants float32.
void export_snapshot(const std::string &folder, const EmbeddedModel &model,
                     const SnapshotDefaults &defaults);

}  // namespace livepeer::train
