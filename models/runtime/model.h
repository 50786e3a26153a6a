#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "runtime/error.h"
#include "runtime/frame.h"
#include "runtime/upscale_settings.h"

namespace livepeer {

/// Progress out of, and cancellation into, one piece of work (a load or one frame). Thread-safe.
class Progress {
 public:
  using Report = std::function<void(double fraction, const std::string &what)>;
  explicit Progress(Report report = {}) : report_(std::move(report)) {}
  /// Called by the worker between steps; throws Error{cancelled} once cancel() was called.
  void advance(double fraction, const std::string &what = {});
  void cancel() { cancelled_ = true; }
  bool cancelled() const { return cancelled_; }

 private:
  std::atomic<bool> cancelled_{false};
  Report report_;
};

struct SafetyVerdict {
  bool nsfw = false;
  double score = 0;  ///< 0 .. 1 or a checker's own margin; larger is worse
};

/// Settings with every "model's default" replaced by its value: what the result's meta reports.
struct ResolvedSettings {
  unsigned steps;
  double guidance_scale;
  int noise_level;
  double noise_temperature;
  double eta = 0;
  double guidance_start = 0, guidance_stop = 1;
  unsigned cache_interval = 1, cache_branch_id = 0;
  /// What was asked for and cannot be had, and what is done instead: ErrorKind::settings for values
  /// that were replaced, ErrorKind::failed for text that was left out. For the user to read.
  std::vector<Error> notes = {};
};

/// Loaded weights that turn frames into frames four times as wide and high. Read-only after loading
/// and shared by sessions: calls from several threads at once are allowed.
class UpscaleModel {
 public:
  virtual ~UpscaleModel() = default;

  virtual const std::string &id() const = 0;         ///< model id or folder name
  virtual const std::string &device() const = 0;     ///< what "auto" became
  virtual const std::string &precision() const = 0;  ///< what "auto" became
  /// The level of the processor's instructions that are used, and why; empty on other devices.
  virtual const std::string &cpu_level() const = 0;
  /// Replaces what the model cannot do by what comes nearest, and notes it.
  virtual ResolvedSettings resolve(const UpscaleSettings &settings) const = 0;

  /// Upscales `region` of `low_res` into `high_res`, which is 4x the region, in the same samples,
  /// and is written tile by tile. The pixels around the region are used as context, and with a
  /// bounded receptive_radius() the result equals, byte for byte, that part of the whole frame's.
  /// The settings' own seed does not count. Throws Error, also where the networks' numbers are not
  /// finite; Error{cancelled} within one step of progress.cancel(). What has been written by then
  /// is no picture.
  virtual void upscale_into(const FramePart &high_res, const Frame &low_res, const Rect &region,
                            const UpscaleSettings &settings, const Noise &noise,
                            const Limits &limits, Progress &progress) = 0;
  /// The same into a frame of its own, with the noise of the settings' seed.
  Frame upscale(const Frame &low_res, const Rect &region, const UpscaleSettings &settings,
                const Shift &noise_shift, const Limits &limits, Progress &progress);

  /// How far, in low-resolution pixels, an input pixel can reach into the output under these
  /// settings; nullopt: everywhere (only whole frames are exact then).
  virtual std::optional<int> receptive_radius(const UpscaleSettings &settings) const = 0;

  /// Bytes that one frame of this size, with numbers of `sample_bytes`, needs beyond the weights,
  /// with tiles as `limits` allow.
  virtual uint64_t memory_estimate(int width, int height, int sample_bytes,
                                   const Limits &limits) const = 0;

  virtual bool has_safety_checker() const = 0;
  /// Of a picture in 8 bits, or of the input where that is all there is to show.
  virtual SafetyVerdict check_safety(const Frame &picture) = 0;
};

/// What a loader has found out about a spec.
struct CheckedModel {
  /// Under which weights are shared (canonical path, fingerprint, device, precision, LoRAs).
  std::string identity;
  /// Files that are open already, for load(); the loader's own affair, perhaps null.
  std::shared_ptr<const void> opened;
};

/// Where models come from. The plugin installs the one of an EngineLibrary; tests install fakes.
class ModelLoader {
 public:
  virtual ~ModelLoader() = default;
  /// Opens what is needed before any model can be: libraries. Synchronous, cheap from the second
  /// call on, thread-safe. Returns what is wrong.
  virtual std::optional<Error> prepare() { return std::nullopt; }
  /// Synchronous and cheap: folder, configs, headers, sizes, device. Throws Error.
  virtual CheckedModel check(const ModelSpec &spec) = 0;
  /// Heavy; cancelled within one file or 64 MB read. `opened`: from the check() of this spec, or
  /// null.
  virtual std::shared_ptr<UpscaleModel> load(const ModelSpec &spec,
                                             const std::shared_ptr<const void> &opened,
                                             Progress &progress) = 0;
};

}  // namespace livepeer
