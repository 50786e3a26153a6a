#pragma once

#include <gst/gst.h>

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

/// Settings behind their own lock; only ever read as a complete copy.
class SettingsStore {
 public:
  Settings get() const;
  void set_property(guint id, const GValue *value);
  void get_property(guint id, GValue *value) const;

 private:
  mutable std::mutex mutex_;
  Settings settings_;
};

/// Installs the properties with ids from 1 on and returns the first id that is free.
guint gst_livepeer_settings_install(GObjectClass *klass);
