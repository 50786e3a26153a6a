#pragma once

#include <gst/gst.h>

enum class LatePolicy { wait, scale, repeat, drop };
enum class SafetyAction { mark, scale, blur, drop, error };
enum class Fallback { none, scale, local };

GType gst_livepeer_precision_get_type();
GType gst_livepeer_scheduler_get_type();
GType gst_livepeer_temporal_get_type();
GType gst_livepeer_late_policy_get_type();
GType gst_livepeer_safety_action_get_type();
GType gst_livepeer_fallback_get_type();
