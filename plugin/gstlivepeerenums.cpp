#include "gstlivepeerenums.h"

#include "runtime/upscale_settings.h"

using livepeer::Precision;
using livepeer::SchedulerKind;
using livepeer::TemporalMode;

#define VALUE(value, name, nick) \
  { int(value), name, nick }
#define END \
  { 0, nullptr, nullptr }

/* Registers an enum type once, and as part of the plugin's documented surface. */
#define DEFINE_ENUM(function, type_name, ...)                             \
  GType function() {                                                      \
    static const GEnumValue values[] = {__VA_ARGS__, END};                \
    static const GType type = [] {                                        \
      const GType registered = g_enum_register_static(type_name, values); \
      gst_type_mark_as_plugin_api(registered, GstPluginAPIFlags(0));      \
      return registered;                                                  \
    }();                                                                  \
    return type;                                                          \
  }

DEFINE_ENUM(gst_livepeer_precision_get_type, "GstLivepeerPrecision",
            VALUE(Precision::automatic, "What the device is fast at", "auto"),
            VALUE(Precision::float32, "32-bit floating point", "float32"),
            VALUE(Precision::bfloat16, "16-bit floating point of wide range", "bfloat16"),
            VALUE(Precision::float16, "16-bit floating point", "float16"))

DEFINE_ENUM(gst_livepeer_scheduler_get_type, "GstLivepeerScheduler",
            VALUE(SchedulerKind::model, "What the model names", "model"),
            VALUE(SchedulerKind::ddim, "DDIM", "ddim"), VALUE(SchedulerKind::ddpm, "DDPM", "ddpm"),
            VALUE(SchedulerKind::euler, "Euler", "euler"),
            VALUE(SchedulerKind::euler_ancestral, "Euler with fresh noise", "euler-ancestral"),
            VALUE(SchedulerKind::lms, "Linear multistep", "lms"),
            VALUE(SchedulerKind::pndm, "PNDM", "pndm"),
            VALUE(SchedulerKind::dpmpp_2m, "DPM-Solver++ 2M", "dpmpp-2m"))

DEFINE_ENUM(gst_livepeer_temporal_get_type, "GstLivepeerTemporal",
            VALUE(TemporalMode::off, "Fresh noise for each frame, nothing is reused", "off"),
            VALUE(TemporalMode::fixed, "The same noise for each frame", "fixed"),
            VALUE(TemporalMode::motion, "Noise that follows the picture", "motion"))

DEFINE_ENUM(gst_livepeer_late_policy_get_type, "GstLivepeerLatePolicy",
            VALUE(LatePolicy::wait, "Upscale every frame, however late", "wait"),
            VALUE(LatePolicy::scale, "Scale late frames plainly", "scale"),
            VALUE(LatePolicy::repeat, "Repeat the last frame", "repeat"),
            VALUE(LatePolicy::drop, "Drop late frames", "drop"))

DEFINE_ENUM(gst_livepeer_safety_action_get_type, "GstLivepeerSafetyAction",
            VALUE(SafetyAction::mark, "Pass flagged frames on, marked in their meta", "mark"),
            VALUE(SafetyAction::scale, "Scale flagged frames plainly", "scale"),
            VALUE(SafetyAction::blur, "Blur flagged frames", "blur"),
            VALUE(SafetyAction::drop, "Drop flagged frames", "drop"),
            VALUE(SafetyAction::error, "End the stream with an error", "error"))

DEFINE_ENUM(gst_livepeer_fallback_get_type, "GstLivepeerFallback",
            VALUE(Fallback::none, "End the stream with an error", "none"),
            VALUE(Fallback::scale, "Scale frames plainly until the engine works again", "scale"),
            VALUE(Fallback::local, "Use the local model where another machine fails; else as scale",
                  "local"))
