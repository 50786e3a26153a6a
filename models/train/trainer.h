#pragma once

#include <vector>

#include "train/batch.h"
#include "train/embedded_model.h"
#include "train/validation.h"

namespace livepeer::train {

/// The training loop: batches in, checkpoints, progress and validation lines out.
class Trainer {
 public:
  Trainer(const Options &options, std::vector<Picture> training, std::vector<Picture> validation);

  /// Continues from the checkpoint where there is one, until the schedule ends.
  void run();
  /// One update on a batch, at `progress` (0..1) of the schedule. Returns the mean square error of
  /// v.
  double step(const Batch &batch, double progress);

  const EmbeddedModel &model() const { return model_; }

 private:
  double progress() const;
  void report_validation();

  Options options_;
  EmbeddedModel model_;
  EmbeddedModel::Position position_;
  PictureSet pictures_;
  std::vector<Picture> validation_;
  BatchSource batches_;
};

}  // namespace livepeer::train
