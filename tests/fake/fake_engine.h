#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "runtime/model.h"

namespace livepeer {

/// Where the engine stops while it is closed, as in a step that takes long and cannot be
/// interrupted: what returns meanwhile has not waited for the engine. Any thread may use it.
class Gate {
 public:
  void close();  ///< who comes from now on stops
  void admit();  ///< who comes from now on passes, who has stopped stays
  void open();   ///< everybody passes
  void let_one_pass();
  int stopped() const;
  /// For the engine. Goes on by itself after a time that fails every test.
  void pass();

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool closed_ = false;
  int stopped_ = 0;
  int permits_ = 0;
  int openings_ = 0;
};

/// What a fake engine does; shared with the test, which may change the atomics while it runs.
struct FakeEngine {
  std::atomic<std::chrono::milliseconds> load_time{};  ///< in ten parts, cancellable between them
  std::atomic<std::chrono::milliseconds> step_time{};  ///< not cancellable inside
  Gate loading;                                        ///< in front of the end of each load
  Gate stepping;                                       ///< inside each step
  unsigned default_steps = 1;
  std::optional<int> radius = 0;
  bool bicubic = false;  ///< enlarge as a model does whose residual is zero, instead of repeating
  std::atomic<bool> prompt_in_pixels{false};  ///< add a hash of the prompt to every value
  std::atomic<bool> has_checker{true};
  std::atomic<double> nsfw_score{0};  ///< flagged above 0.5
  int max_noise_level = 350;
  unsigned least_steps = 1;      ///< what its samplers can do
  size_t longest_prompt = 1000;  ///< in bytes, for those of its tokenizer
  /// Set these while no model is open.
  std::function<void()> on_check;                    ///< may throw
  std::function<void()> on_load;                     ///< may throw
  std::function<void()> on_upscale;                  ///< may throw
  std::function<double(const Frame &)> score_of;     ///< instead of nsfw_score; may throw
  std::function<void(const FramePart &)> on_result;  ///< may change it
  std::function<void(const Shift &)> on_noise;       ///< told where the noise of each upscale is

  std::atomic<int> loads{0};
  std::atomic<int> models_alive{0};
  std::atomic<int> upscales{0};
  std::atomic<int> checks{0};
  std::atomic<int> estimates{0};   ///< of memory
  std::atomic<int64_t> pixels{0};  ///< low-resolution pixels computed
};

/// The weights of the four pixels around each of the four positions inside a pixel, by cubic
/// convolution (a = -0.5), as the embedded models' enlargement has them: of pixel x they weigh
/// x - 2 .. x + 1 for the first two positions, x - 1 .. x + 2 for the others.
std::array<double, 4> bicubic_weights(int position);

/// Repeats each pixel 4 x 4 times, plus a value that depends on the seed, so that results tell
/// which settings made them. With a radius, each pixel is the maximum of its neighbourhood.
class FakeModel : public UpscaleModel {
 public:
  /// `lora`: a hash of it is added to every value; "" adds nothing.
  FakeModel(std::string id, std::shared_ptr<FakeEngine> engine, const std::string &lora = {});
  ~FakeModel() override;
  const std::string &id() const override { return id_; }
  const std::string &device() const override { return device_; }
  const std::string &precision() const override { return precision_; }
  const std::string &cpu_level() const override { return cpu_level_; }
  ResolvedSettings resolve(const UpscaleSettings &settings) const override;
  void upscale_into(const FramePart &high_res, const Frame &low_res, const Rect &region,
                    const UpscaleSettings &settings, const Noise &noise, const Limits &limits,
                    Progress &progress) override;
  std::optional<int> receptive_radius(const UpscaleSettings &) const override {
    return engine_->radius;
  }
  uint64_t memory_estimate(int width, int height, int sample_bytes,
                           const Limits &limits) const override;
  bool has_safety_checker() const override { return engine_->has_checker; }
  SafetyVerdict check_safety(const Frame &picture) override;

 private:
  const std::string id_, device_ = "cpu", precision_ = "float32", cpu_level_ = "plain (fake)";
  const std::shared_ptr<FakeEngine> engine_;
  const uint32_t added_;
};

class FakeLoader : public ModelLoader {
 public:
  explicit FakeLoader(std::shared_ptr<FakeEngine> engine) : engine_(std::move(engine)) {}
  CheckedModel check(const ModelSpec &spec) override;
  std::shared_ptr<UpscaleModel> load(const ModelSpec &spec,
                                     const std::shared_ptr<const void> &opened,
                                     Progress &progress) override;

 private:
  const std::shared_ptr<FakeEngine> engine_;
};

}  // namespace livepeer
