#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "gst/livepeerupscale.h"
#include "gstlivepeeralpha.h"
#include "gstlivepeercaps.h"
#include "gstlivepeerfifo.h"
#include "gstlivepeerframe.h"
#include "gstlivepeerlive.h"
#include "gstlivepeerload.h"
#include "gstlivepeerpixels.h"
#include "gstlivepeerscaler.h"
#include "gstlivepeersettings.h"
#include "gstlivepeerupscale.h"
#include "runtime/runtime.h"

GST_DEBUG_CATEGORY_EXTERN(gst_livepeer_upscale_debug);

struct CapsUnref {
  void operator()(GstCaps *caps) const { gst_caps_unref(caps); }
};
using CapsPtr = std::unique_ptr<GstCaps, CapsUnref>;

struct ScalerFree {
  void operator()(GstLivepeerScaler *scaler) const { gst_livepeer_scaler_free(scaler); }
};
using ScalerPtr = std::unique_ptr<GstLivepeerScaler, ScalerFree>;

/* Threads, and the struct below that each owns:
 *
 *   upstream's   under the sink pad's stream lock: takes frames in, negotiates      SinkState
 *   the task     under the source pad's stream lock: lets out what the FIFO holds   TaskState
 *   the state's  whoever changes it, under the element's state lock                 KeptModel
 *   the worker   the engine's, one a session: computes jobs; knows neither pads nor element
 *   any other    sets properties, asks, flushes, sends events upstream
 *
 * Upstream's thread touches Negotiated and TaskState too, but only while the task is drained (new
 * caps) or paused (a flush), and the state's thread resets both while the pads are inactive.
 *
 * Order of locks: state lock, sink pad's stream lock, source pad's stream lock. Upstream's thread
 * may wait for the task with the first two, so the task, and whoever pauses it, takes neither of
 * them. All others are leaves, under which no other is taken: those of Fifo, Shared, SettingsStore,
 * LiveTiming, MeasuredLatency, Session and Job, and the object lock; only Session::submit, which
 * takes its own and that of a job it refuses, is called under that of Shared. No leaf is held while
 * a message is posted, a buffer, event or query sent, a model opened or a job waited for. */

/// What several threads need, under `lock`.
struct Shared {
  struct Values {
    std::shared_ptr<livepeer::Session> session;  // null outside start and stop
    std::shared_ptr<LoadReporter> reporter;
    uint64_t drawn_seed = 0;
    uint64_t frames_in = 0, frames_out = 0, base_dropped = 0;
    std::optional<bool> live;        // what upstream said to the last latency query
    std::optional<gint64> position;  // stream time at the end of the last frame that left
  };
  std::mutex lock;
  Values values;
};

/// What is fixed between two caps events.
struct Negotiated {
  GstVideoInfo in, out;
  std::shared_ptr<const PixelReader> reader;  // for the sink side
  std::shared_ptr<const PixelWriter> writer;  // for the task
  // Video is what the engine makes, and downstream has no memory of its own to offer for it.
  bool lends_pictures = false;
};

struct SinkState {
  guint max_in_flight = 1;
  guint64 max_pixels = 0;
  CapsPtr refused;           // the base offers them again with every buffer
  bool first = true;         // no frame came since the start or a flush
  bool new_picture = false;  // a stream or segment began
  bool dropped = false;      // the base dropped a frame, and the next one tells
};

struct TaskState {
  struct Scalers {
    ScalerPtr plain, alpha, hidden, shrinker, blurrer;
  };
  struct SinceFlush {
    bool discont = false;  // a frame was dropped since the last one that left
    std::shared_ptr<const livepeer::Frame> last_shown;
  };
  Scalers scalers;  // of these caps
  SinceFlush since_flush;
  std::set<std::string> warned;  // sentences, each told once
  bool falling_back = false;
  guint64 qos_dropped = 0;
};

/// READY keeps the weights for the next start.
struct KeptModel {
  std::shared_ptr<livepeer::UpscaleModel> model;
  livepeer::ModelSpec spec;
};

struct Internals {
  SettingsStore settings;
  Fifo fifo;
  Shared shared;
  const std::shared_ptr<LiveTiming> timing = std::make_shared<LiveTiming>();
  MeasuredLatency latency;
  Negotiated negotiated;
  SinkState sink;
  TaskState task;
  KeptModel kept;
};

struct _GstLivepeerUpscale {
  GstBaseTransform parent;
  Internals *internals;
};

/// The running session; null outside start and stop.
std::shared_ptr<livepeer::Session> gst_livepeer_upscale_session(GstLivepeerUpscale *self);
/// Posts what is being thrown as the stream's one error.
void gst_livepeer_upscale_post_current_error(GstLivepeerUpscale *self, const char *doing);

// The sink side (gstlivepeerflow.cpp).
void gst_livepeer_upscale_flow_class_init(GstBaseTransformClass *klass);
void gst_livepeer_upscale_flow_init(GstLivepeerUpscale *self);

// The task (gstlivepeertask.cpp).
void gst_livepeer_upscale_task_init(GstLivepeerUpscale *self);
/// Lets a live pipeline ask for the latency again.
void gst_livepeer_upscale_latency_changed(GstLivepeerUpscale *self);
/// Makes every wait of both streaming threads end now, and no frame leave any more.
void gst_livepeer_upscale_interrupt(GstLivepeerUpscale *self);
/// Interrupts, and returns when the task rests.
void gst_livepeer_upscale_pause_task(GstLivepeerUpscale *self);
/// From a clean slate, where the source pad is active.
void gst_livepeer_upscale_restart_task(GstLivepeerUpscale *self);

// Output (gstlivepeeroutput.cpp).
/// The buffer for a frame; *output stays null where policies drop it. Throws Error.
GstFlowReturn gst_livepeer_upscale_make_output(GstLivepeerUpscale *self, const Pending &pending,
                                               const livepeer::JobResult &result,
                                               GstBuffer **output);

// Negotiation (gstlivepeernegotiation.cpp).
livepeer::Error gst_livepeer_upscale_interlaced_error(const std::string &detail);
void gst_livepeer_upscale_negotiation_class_init(GstElementClass *element_class,
                                                 GstBaseTransformClass *trans_class);
