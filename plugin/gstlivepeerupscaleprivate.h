#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>

#include "gst/livepeerupscale.h"
#include "gstlivepeercaps.h"
#include "gstlivepeerframe.h"
#include "gstlivepeerlive.h"
#include "gstlivepeerload.h"
#include "gstlivepeerscaler.h"
#include "gstlivepeersettings.h"
#include "gstlivepeerupscale.h"
#include "runtime/runtime.h"

GST_DEBUG_CATEGORY_EXTERN(gst_livepeer_upscale_debug);

struct BufferUnref {
  void operator()(GstBuffer *buffer) const { gst_buffer_unref(buffer); }
};
using BufferPtr = std::unique_ptr<GstBuffer, BufferUnref>;

struct CapsUnref {
  void operator()(GstCaps *caps) const { gst_caps_unref(caps); }
};
using CapsPtr = std::unique_ptr<GstCaps, CapsUnref>;

struct ScalerFree {
  void operator()(GstLivepeerScaler *scaler) const { gst_livepeer_scaler_free(scaler); }
};
using ScalerPtr = std::unique_ptr<GstLivepeerScaler, ScalerFree>;

/// A frame between the pads: the job computes, the buffer keeps what the output inherits.
struct Pending {
  BufferPtr input;
  std::shared_ptr<livepeer::Job> job;  // null: the frame is only scaled (fast playback)
  livepeer::Frame low_res;             // only without a job
  Settings settings;
  GstClockTime running_time;
  GstClockTime latency;  // that of the pipeline, as far as it is known here

  const livepeer::Frame &picture() const { return job ? job->request().low_res : low_res; }
};

/// What a running stream needs.
///
/// Locks: `lock` here, that of SettingsStore, those of LiveTiming and MeasuredLatency, and the
/// object lock are leaves: none is taken while another is held, except that the engine's own locks
/// are taken under `lock` by Session::submit. None is held while a message is posted, a buffer or
/// event is pushed, a query is made, a model is opened or a job is waited for.
struct State {
  std::mutex lock;
  // Under the lock: written by start and stop, flushing also by flushes and state changes.
  std::shared_ptr<livepeer::Session> session;
  std::shared_ptr<LoadReporter> reporter;
  bool flushing = true;
  uint64_t drawn_seed = 0;
  uint64_t frames_in = 0, frames_out = 0, base_dropped = 0;
  std::optional<bool> live;  // what upstream said to the last latency query

  // The streaming thread's own.
  std::deque<Pending> pending;
  guint max_in_flight = 1;
  guint64 max_pixels = 0;
  GstFlowReturn flow = GST_FLOW_OK;  // what downstream said to the last push
  bool discont = false;              // a frame was dropped since
  std::shared_ptr<const livepeer::Frame> last_shown;
  ScalerPtr scaler, alpha_scaler, shrinker, blurrer;
  bool warned_memory = false;
  CapsPtr refused;  // the base offers them again with every buffer
  guint64 qos_dropped = 0;

  // The state-changing thread's own: READY keeps the weights for the next start.
  std::shared_ptr<livepeer::UpscaleModel> kept;
  livepeer::ModelSpec kept_spec;

  const std::shared_ptr<LiveTiming> timing = std::make_shared<LiveTiming>();
  MeasuredLatency latency;
};

struct _GstLivepeerUpscale {
  GstVideoFilter parent;
  SettingsStore *settings;
  State *state;
};

/// The running session; null outside start and stop.
std::shared_ptr<livepeer::Session> gst_livepeer_upscale_session(GstLivepeerUpscale *self);

// Flow (gstlivepeerflow.cpp).
void gst_livepeer_upscale_flow_class_init(GstBaseTransformClass *klass);
/// Makes every wait of the streaming thread end now; `close`: for good.
void gst_livepeer_upscale_interrupt(GstLivepeerUpscale *self);
/// Forgets what the streaming thread held back.
void gst_livepeer_upscale_clear(GstLivepeerUpscale *self);

// Output (gstlivepeeroutput.cpp).
/// The buffer for a finished frame; *output stays null where policies drop it. Throws Error.
GstFlowReturn gst_livepeer_upscale_make_output(GstLivepeerUpscale *self, const Pending &pending,
                                               const livepeer::JobResult &result,
                                               GstBuffer **output);

// Negotiation (gstlivepeernegotiation.cpp).
void gst_livepeer_upscale_negotiation_class_init(GstElementClass *element_class,
                                                 GstBaseTransformClass *trans_class,
                                                 GstVideoFilterClass *filter_class);
