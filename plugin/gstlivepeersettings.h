#pragma once

#include <gst/gst.h>

#include <memory>
#include <mutex>

#include "gstlivepeerenums.h"
#include "runtime/model.h"
#include "runtime/upscale_settings.h"

/// What the properties set. Defaults are written here and in the engine's own structs; the property
/// specs read them from a default-constructed value.
struct Settings {
  Settings() { upscale.seed = uint64_t(-1); }

  // Taken at start.
  livepeer::ModelSpec spec;
  livepeer::Limits limits;
  guint64 max_pixels = 0;
  guint max_in_flight = 1;
  Fallback fallback = Fallback::none;
  // Taken for each frame.
  livepeer::UpscaleSettings upscale;
  bool random_seed = true;
  SafetyAction safety_action = SafetyAction::scale;
  LatePolicy late_policy = LatePolicy::wait;
  GstClockTime latency = 0;
  double reuse_threshold = 0;
  bool post_messages = false;
};

/// Settings behind their own lock. What get() gives never changes: who sets a property makes
/// another one of it, and frames share one until then.
class SettingsStore {
 public:
  std::shared_ptr<const Settings> get() const;
  void set_property(guint id, const GValue *value);
  void get_property(guint id, GValue *value) const;

 private:
  mutable std::mutex mutex_;
  std::shared_ptr<const Settings> settings_ = std::make_shared<const Settings>();
};

/// Installs the properties with ids from 1 on and returns the first id that is free.
guint gst_livepeer_settings_install(GObjectClass *klass);
