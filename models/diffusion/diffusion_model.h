#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "diffusion/kept_memory.h"
#include "diffusion/upscale_pipeline.h"
#include "runtime/model.h"
#include "safety/safety_checker.h"

namespace livepeer {

/// What a loaded model is and needs, besides its networks.
struct DiffusionModelInfo {
  std::string id, device, precision;
  ResolvedSettings defaults;  ///< for settings that mean "the model's own"
  int max_noise_level = 350;
  /// Working memory of all steps and of the decoder, per low-resolution pixel of a tile.
  uint64_t bytes_per_pixel = 0;
  std::string cpu_level = {};  ///< UpscaleModel::cpu_level()
};

/// A diffusion pipeline as an UpscaleModel: frames of any size, regions, tiles, noise per seed.
class DiffusionModel : public UpscaleModel {
 public:
  DiffusionModel(DiffusionModelInfo info, StableDiffusionUpscalePipeline::Components components,
                 std::unique_ptr<SafetyChecker> safety_checker = nullptr);

  const std::string &id() const override { return info_.id; }
  const std::string &device() const override { return info_.device; }
  const std::string &precision() const override { return info_.precision; }
  const std::string &cpu_level() const override { return info_.cpu_level; }
  ResolvedSettings resolve(const UpscaleSettings &settings) const override;
  void upscale_into(const FramePart &high_res, const Frame &low_res, const Rect &region,
                    const UpscaleSettings &settings, const Noise &noise, const Limits &limits,
                    Progress &progress) override;
  std::optional<int> receptive_radius(const UpscaleSettings &settings) const override;
  uint64_t memory_estimate(int width, int height, int sample_bytes,
                           const Limits &limits) const override;
  bool has_safety_checker() const override { return safety_checker_ != nullptr; }
  SafetyVerdict check_safety(const Frame &high_res) override;

 private:
  struct Plan;
  Plan make_plan(int width, int height, int sample_bytes, const Rect &region,
                 const UpscaleSettings &settings, const Limits &limits) const;
  bool bounded() const;
  uint64_t bytes_of_frame(int width, int height, int sample_bytes) const;
  int tile_size(int width, int height, int sample_bytes, const Limits &limits) const;
  PipelineNoise draw(const Noise &noise, int64_t height, int64_t width);
  void write_tile(const torch::Tensor &image, const Tile &tile, const FramePart &high_res,
                  const Shift &place) const;
  ResolvedSettings resolve_afresh(const UpscaleSettings &settings) const;
  void limit_noise_level(ResolvedSettings &settings) const;
  void find_possible_steps(SchedulerKind kind, ResolvedSettings &settings) const;
  void limit_guidance(const UpscaleSettings &wanted, ResolvedSettings &settings) const;
  void limit_cache(const UpscaleSettings &wanted, ResolvedSettings &settings) const;
  void measure(const std::string &name, const std::string &prompt,
               ResolvedSettings &settings) const;

  const KeptMemory kept_memory_;  ///< first: gives memory back when the rest is gone
  const DiffusionModelInfo info_;
  StableDiffusionUpscalePipeline pipeline_;
  const std::unique_ptr<SafetyChecker> safety_checker_;
  const uint64_t automatic_budget_;  ///< fixed at the start, as tiles of an unbounded model show

  mutable std::mutex resolved_mutex_;
  mutable UpscaleSettings resolved_for_;  ///< of the last job: a video has the same in every frame
  mutable std::optional<ResolvedSettings> resolved_;

  std::mutex noise_mutex_;
  uint64_t noise_seed_ = 0;
  PipelineNoise noise_;  ///< of the last job: a video has the same in every frame
};

}  // namespace livepeer
