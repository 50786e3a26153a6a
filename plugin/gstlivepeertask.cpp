/* The source pad's task of the livepeerupscale element: waits for the oldest frame and lets it out
 * as soon as it is finished, and the events between the frames. */
#include <algorithm>
#include <string>
#include <utility>

#include "gstlivepeererror.h"
#include "gstlivepeerupscaleprivate.h"

#define GST_CAT_DEFAULT gst_livepeer_upscale_debug

using livepeer::Error;
using livepeer::ErrorKind;
using livepeer::JobResult;

namespace {

Error with_time(const Error &error, const Pending &pending) {
  gchar *time = g_strdup_printf("the frame at %" GST_TIME_FORMAT,
                                GST_TIME_ARGS(GST_BUFFER_PTS(pending.input.get())));
  const std::string text = time;
  g_free(time);
  return Error(error.kind(), error.what(),
               error.detail().empty() ? text : text + ": " + error.detail());
}

/// After an inference: tells live pipelines when the measured latency has changed.
void update_latency(GstLivepeerUpscale *self, const Pending &pending, const JobResult &result) {
  Internals *internals = self->internals;
  const auto session = gst_livepeer_upscale_session(self);
  if (!result.inferred || pending.settings->latency != 0 || !session) return;
  const auto demand = GstClockTime(session->stats().demand.count());
  const auto now = GstClockTime(g_get_monotonic_time()) * GST_USECOND;
  if (demand != 0 && internals->latency.update(demand, now))
    gst_livepeer_upscale_latency_changed(self);
}

const JobResult &wait_for(GstLivepeerUpscale *self, const Pending &pending) {
  if (!pending.settings->post_messages) return pending.job->wait();
  return pending.job->wait([&](double fraction, const std::string &) {
    gst_element_post_message(GST_ELEMENT(self),
                             gst_livepeer_message_new_step(
                                 GST_OBJECT(self), GST_BUFFER_PTS(pending.input.get()), fraction));
  });
}

/// Whether the stream goes on without the engine. Throws the engine's error where it does not.
void check_engine(GstLivepeerUpscale *self, const Pending &pending, const JobResult &result) {
  bool &falling_back = self->internals->task.falling_back;
  if (result.outcome == JobResult::Outcome::done) {
    if (std::exchange(falling_back, false))
      gst_livepeer_post_warning(
          GST_ELEMENT(self),
          with_time(Error(ErrorKind::failed, "The engine works again; frames are upscaled"),
                    pending));
    return;
  }
  if (result.outcome != JobResult::Outcome::failed) return;
  const Error error = with_time(*result.error, pending);
  const auto session = gst_livepeer_upscale_session(self);
  // Without a model there is nothing that could work again.
  if (pending.settings->fallback == Fallback::none || !session || !session->model()) throw error;
  if (!std::exchange(falling_back, true))
    gst_livepeer_post_warning(
        GST_ELEMENT(self),
        Error(error.kind(), "The engine failed; frames are scaled plainly until it works again",
              std::string(error.what()) + " (" + error.detail() + ")"));
}

/// Counts a frame that is about to leave; false when it must not.
bool leave(GstLivepeerUpscale *self, const Pending &pending) {
  Internals *internals = self->internals;
  if (!internals->fifo.is_open()) return false;
  const GstBuffer *input = pending.input.get();
  gint64 position = -1;
  if (pending.segment.format == GST_FORMAT_TIME && GST_BUFFER_PTS_IS_VALID(input))
    position = gint64(gst_segment_to_stream_time(
        &pending.segment, GST_FORMAT_TIME,
        GST_BUFFER_PTS(input) +
            (GST_BUFFER_DURATION_IS_VALID(input) ? GST_BUFFER_DURATION(input) : 0)));
  std::lock_guard<std::mutex> lock(internals->shared.lock);
  ++internals->shared.values.frames_out;
  if (position != -1) internals->shared.values.position = position;
  return true;
}

GstFlowReturn let_out(GstLivepeerUpscale *self, const Pending &pending) {
  Internals *internals = self->internals;
  TaskState::SinceFlush &since_flush = internals->task.since_flush;
  const JobResult &result = wait_for(self, pending);
  if (result.outcome == JobResult::Outcome::cancelled) return GST_FLOW_FLUSHING;
  check_engine(self, pending, result);
  update_latency(self, pending, result);

  GstBuffer *buffer = nullptr;
  GstFlowReturn flow = gst_livepeer_upscale_make_output(self, pending, result, &buffer);
  if (flow != GST_FLOW_OK) return flow;
  if (!buffer) {
    since_flush.discont = true;
    return GST_FLOW_OK;
  }
  BufferPtr output(buffer);
  if (std::exchange(since_flush.discont, false))
    GST_BUFFER_FLAG_SET(buffer, GST_BUFFER_FLAG_DISCONT);
  if (!leave(self, pending)) return GST_FLOW_FLUSHING;
  flow = gst_pad_push(GST_BASE_TRANSFORM_SRC_PAD(self), output.release());
  internals->timing->set_base_time(gst_element_get_base_time(GST_ELEMENT(self)));
  return std::min(GST_FLOW_OK, flow);
}

void loop(gpointer data) {
  GstPad *pad = GST_PAD(data);
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(GST_PAD_PARENT(pad));
  Fifo &fifo = self->internals->fifo;
  std::optional<Fifo::Item> item = fifo.take();
  if (!item) {
    gst_pad_pause_task(pad);
    return;
  }
  GstFlowReturn flow = GST_FLOW_OK;
  if (item->event) {
    gst_pad_push_event(pad, item->event.release());
  } else {
    try {
      flow = let_out(self, *item->frame);
    } catch (...) {
      gst_livepeer_upscale_post_current_error(self, "upscaling a frame");
      flow = GST_FLOW_ERROR;
    }
  }
  fifo.done(*item, flow);
}

gboolean activate_mode(GstPad *pad, GstObject *parent, GstPadMode mode, gboolean active) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(parent);
  if (mode != GST_PAD_MODE_PUSH) return FALSE;
  if (active) {
    self->internals->task = {};
    self->internals->fifo.activate();
    return gst_pad_start_task(pad, loop, pad, nullptr);
  }
  self->internals->fifo.deactivate();
  gst_livepeer_upscale_interrupt(self);
  return gst_pad_stop_task(pad);
}

/// Lets a wait for one of downstream's buffers end, or begin again.
void set_pool_flushing(GstLivepeerUpscale *self, gboolean flushing) {
  GstBufferPool *pool = gst_base_transform_get_buffer_pool(GST_BASE_TRANSFORM(self));
  if (!pool) return;
  gst_buffer_pool_set_flushing(pool, flushing);
  gst_object_unref(pool);
}

}  // namespace

void gst_livepeer_upscale_latency_changed(GstLivepeerUpscale *self) {
  bool live;
  {
    std::lock_guard<std::mutex> lock(self->internals->shared.lock);
    live = self->internals->shared.values.live.value_or(false);
  }
  if (live) gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

void gst_livepeer_upscale_task_init(GstLivepeerUpscale *self) {
  gst_pad_set_activatemode_function(GST_BASE_TRANSFORM_SRC_PAD(self),
                                    GST_DEBUG_FUNCPTR(activate_mode));
}

void gst_livepeer_upscale_interrupt(GstLivepeerUpscale *self) {
  // What holds for the stream as a whole outlives the flush; a segment or an end does not.
  for (const EventPtr &event : self->internals->fifo.close()) {
    const GstEventType type = GST_EVENT_TYPE(event.get());
    if (GST_EVENT_IS_STICKY(event.get()) && type != GST_EVENT_SEGMENT && type != GST_EVENT_EOS)
      gst_pad_store_sticky_event(GST_BASE_TRANSFORM_SRC_PAD(self), event.get());
  }
  if (auto session = gst_livepeer_upscale_session(self)) session->flush();
  set_pool_flushing(self, TRUE);
}

void gst_livepeer_upscale_pause_task(GstLivepeerUpscale *self) {
  gst_livepeer_upscale_interrupt(self);
  gst_pad_pause_task(GST_BASE_TRANSFORM_SRC_PAD(self));
}

void gst_livepeer_upscale_restart_task(GstLivepeerUpscale *self) {
  GstPad *pad = GST_BASE_TRANSFORM_SRC_PAD(self);
  self->internals->task.since_flush = {};
  {
    std::lock_guard<std::mutex> lock(self->internals->shared.lock);
    self->internals->shared.values.position.reset();
  }
  set_pool_flushing(self, FALSE);
  if (self->internals->fifo.open()) gst_pad_start_task(pad, loop, pad, nullptr);
}
