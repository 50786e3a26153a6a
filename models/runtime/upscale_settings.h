#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "runtime/frame.h"

namespace livepeer {

/// The sampler; `model`: the one the snapshot's scheduler_config.json names.
enum class SchedulerKind { model, ddim, ddpm, euler, euler_ancestral, lms, pndm, dpmpp_2m };

/// What the noise does from frame to frame.
enum class TemporalMode { off, fixed, motion };

/// What one frame is upscaled with. Negative or zero values marked so mean "the model's own
/// default" (the optional default_* keys of model_index.json, else those of diffusers' pipeline:
/// 75, 9.0, 20, 1.0). Element properties, HTTP fields and tests fill this struct; defaults are
/// written here and nowhere else.
struct UpscaleSettings {
  std::string prompt;
  std::string negative_prompt;
  uint64_t seed = 0;              ///< of the noise, where nothing says another
  unsigned steps = 0;             ///< 0: the model's default
  double guidance_scale = -1;     ///< -1: the model's default; <= 1: off
  int noise_level = -1;           ///< -1: the model's default; 0 .. max_noise_level
  double noise_temperature = -1;  ///< -1: the model's default; 0 .. 1, scales the start latent
  SchedulerKind scheduler = SchedulerKind::model;
  double eta = 0;  ///< 0 .. 1, DDIM's share of fresh noise in every step
  /// The part of the steps that is guided, as fractions (Kynkaanniemi et al. 2024); the others see
  /// the prompt only.
  double guidance_start = 0, guidance_stop = 1;
  /// DeepCache (Ma et al. 2023): every how many steps the deep layers are computed, and the branch
  /// that leads past them: 3 for each level of the UNet, from the outermost. 1: all layers always.
  unsigned cache_interval = 1, cache_branch_id = 0;
  TemporalMode temporal = TemporalMode::fixed;
  bool safety_check = true;

  /// Every complaint as a sentence; empty when all values are in range.
  std::vector<std::string> validate() const;
};

bool operator==(const UpscaleSettings &a, const UpscaleSettings &b);
bool same_but_seed(const UpscaleSettings &a, const UpscaleSettings &b);

/// The noise of one frame. Frames of one stream share their settings; their noise may differ.
struct Noise {
  uint64_t seed = 0;  ///< as given to torch's generator
  Shift shift;        ///< how far it is displaced, wrapping around
};

inline bool operator==(const Noise &a, const Noise &b) {
  return a.seed == b.seed && a.shift == b.shift;
}

enum class Precision { automatic, float32, bfloat16, float16 };

/// What to load. Two specs that resolve to the same files, device and precision share weights.
struct ModelSpec {
  std::string model;  ///< folder, model id, "default", "quality"; empty: default
  std::string
      safety_model;  ///< folder of a safety checker; empty: the snapshot's own, else built in
  std::string device = "auto";  ///< "auto", "cpu", "cuda", "cuda:1"
  Precision precision = Precision::automatic;
  bool safety_check = true;  ///< a checker must be there; without one loading fails
  std::string lora;          ///< files with weights, as parse_file_list takes them; empty: none
  std::string embeddings;    ///< files and folders of textual inversions; empty: none
};

bool operator==(const ModelSpec &a, const ModelSpec &b);

/// How much of the machine one session may take. 0 always means automatic.
struct Limits {
  unsigned tile_size = 0;      ///< side of a tile in low-resolution pixels
  unsigned tile_overlap = 0;   ///< low-resolution pixels shared by neighbouring tiles
  uint64_t memory_budget = 0;  ///< bytes; 0: as the model decides when it is loaded
  unsigned n_threads = 0;      ///< 0: one for each processor that this process may use
};

}  // namespace livepeer
