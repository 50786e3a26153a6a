/* How frames go through the livepeerupscale element: the streaming thread takes them in, waits for
 * the oldest job when enough are in flight, and is the only one that pushes. */
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gstlivepeererror.h"
#include "gstlivepeerupscaleprivate.h"

#define GST_CAT_DEFAULT gst_livepeer_upscale_debug

using livepeer::Error;
using livepeer::ErrorKind;
using livepeer::Frame;
using livepeer::JobRequest;
using livepeer::JobResult;

namespace {

GstBaseTransformClass *parent_transform = nullptr;

/// Runs `body`; an exception becomes the stream's one error.
template <typename Body>
GstFlowReturn guarded(GstLivepeerUpscale *self, const char *doing, Body body) {
  State *state = self->state;
  try {
    return body();
  } catch (...) {
    const Error error = livepeer::current_error(doing);
    std::shared_ptr<LoadReporter> reporter;
    {
      std::lock_guard<std::mutex> lock(state->lock);
      reporter = state->reporter;
    }
    if (!reporter || reporter->claim_error()) gst_livepeer_post_error(GST_ELEMENT(self), error);
    return GST_FLOW_ERROR;
  }
}

/// The pixels of a buffer as the engine takes them.
Frame read_frame(GstLivepeerUpscale *self, GstBuffer *buffer) {
  GstVideoInfo *info = &GST_VIDEO_FILTER(self)->in_info;
  GstVideoFrame mapped;
  if (!gst_video_frame_map(&mapped, info, buffer, GST_MAP_READ))
    throw Error(ErrorKind::failed, "An input buffer cannot be read",
                std::to_string(gst_buffer_get_size(buffer)) + " bytes, " +
                    std::to_string(GST_VIDEO_INFO_SIZE(info)) + " expected");
  Frame frame(GST_VIDEO_INFO_WIDTH(info), GST_VIDEO_INFO_HEIGHT(info));
  gst_livepeer_frame_get_rgb(&mapped, frame.pixels.data());
  if (GST_VIDEO_INFO_HAS_ALPHA(info)) {
    std::vector<guint8> alpha(size_t(frame.width) * size_t(frame.height));
    gst_livepeer_frame_get_alpha(&mapped, alpha.data());
    gst_livepeer_fill_transparent(frame.pixels.data(), alpha.data(), frame.width, frame.height);
  }
  gst_video_frame_unmap(&mapped);
  return frame;
}

/// The latency that this element adds to a live pipeline.
GstClockTime own_latency(GstLivepeerUpscale *self) {
  const GstClockTime set = self->settings->get().latency;
  return set ? set : self->state->latency.get();
}

/// Asks upstream, and adds this element's latency where upstream is live.
gboolean query_latency(GstLivepeerUpscale *self, GstQuery *query) {
  if (!gst_pad_peer_query(GST_BASE_TRANSFORM_SINK_PAD(self), query)) return FALSE;
  gboolean live;
  GstClockTime min, max;
  gst_query_parse_latency(query, &live, &min, &max);
  {
    std::lock_guard<std::mutex> lock(self->state->lock);
    self->state->live = live;
  }
  if (!live) return TRUE;
  const GstClockTime ours = own_latency(self);
  GST_DEBUG_OBJECT(self, "adding a latency of %" GST_TIME_FORMAT, GST_TIME_ARGS(ours));
  gst_query_set_latency(query, live, min + ours,
                        GST_CLOCK_TIME_IS_VALID(max) ? max + ours : GST_CLOCK_TIME_NONE);
  return TRUE;
}

/// The pipeline's latency up to and with this element, 0 where it is not live.
GstClockTime known_latency(GstLivepeerUpscale *self) {
  std::optional<bool> live;
  {
    std::lock_guard<std::mutex> lock(self->state->lock);
    live = self->state->live;
  }
  if (live) return *live ? own_latency(self) : 0;
  GstQuery *query = gst_query_new_latency();
  GstClockTime min = 0;
  if (query_latency(self, query)) gst_query_parse_latency(query, nullptr, &min, nullptr);
  gst_query_unref(query);
  return min;
}

/// The question that the worker asks when it is about to start the frame.
std::function<bool(std::chrono::nanoseconds)> lateness_check(State *state, const Pending &pending) {
  if (pending.settings.late_policy == LatePolicy::wait) return {};
  // A finished frame leaves with the next one's arrival when several are in flight.
  const GstClockTime duration = GST_BUFFER_DURATION(pending.input.get());
  const GstClockTime margin =
      state->max_in_flight > 1 && GST_CLOCK_TIME_IS_VALID(duration) ? duration : 0;
  return [timing = state->timing, running_time = pending.running_time, latency = pending.latency,
          margin](std::chrono::nanoseconds mean) {
    GstClockTimeDiff late;
    const auto needed = mean + mean / 10 + std::chrono::nanoseconds(mean.count() ? margin : 0);
    return timing->lateness(running_time, latency, needed, &late) && late > 0;
  };
}

GstFlowReturn take_in(GstLivepeerUpscale *self, GstBuffer *input, bool discont) {
  State *state = self->state;
  const GstSegment *segment = &GST_BASE_TRANSFORM(self)->segment;
  const GstClockTime pts = GST_BUFFER_PTS(input);
  const bool timed = segment->format == GST_FORMAT_TIME;

  Pending pending;
  pending.input.reset(input);
  pending.running_time =
      timed ? gst_segment_to_running_time(segment, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE;
  const GstClockTime stream_time =
      timed ? gst_segment_to_stream_time(segment, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE;
  if (GST_CLOCK_TIME_IS_VALID(stream_time)) gst_object_sync_values(GST_OBJECT(self), stream_time);
  pending.settings = self->settings->get();
  pending.latency = pending.settings.late_policy == LatePolicy::wait ? 0 : known_latency(self);

  Frame low_res = read_frame(self, input);
  if (segment->flags & GST_SEGMENT_FLAG_TRICKMODE) {
    pending.low_res = std::move(low_res);
    std::lock_guard<std::mutex> lock(state->lock);
    ++state->frames_in;
    state->pending.push_back(std::move(pending));
    return GST_FLOW_OK;
  }

  JobRequest request;
  request.low_res = std::move(low_res);
  request.reuse_threshold = pending.settings.reuse_threshold;
  request.discontinuity = discont;
  request.unchanged = GST_BUFFER_FLAG_IS_SET(input, GST_BUFFER_FLAG_GAP);
  request.too_late = lateness_check(state, pending);

  std::lock_guard<std::mutex> lock(state->lock);
  if (state->flushing || !state->session) return GST_FLOW_FLUSHING;
  ++state->frames_in;
  if (pending.settings.random_seed) pending.settings.upscale.seed = state->drawn_seed;
  request.settings = pending.settings.upscale;
  pending.job = state->session->submit(std::move(request));
  state->pending.push_back(std::move(pending));
  return GST_FLOW_OK;
}

/// After a whole inference: tells live pipelines when the measured latency has changed.
void update_latency(GstLivepeerUpscale *self, const Pending &pending, const JobResult &result) {
  State *state = self->state;
  const auto session = gst_livepeer_upscale_session(self);
  if (!result.inferred || pending.settings.latency != 0 || !session) return;
  const GstClockTime mean = GstClockTime(session->stats().mean_time.count());
  if (!state->latency.update(mean, GstClockTime(g_get_monotonic_time()) * GST_USECOND)) return;
  bool live;
  {
    std::lock_guard<std::mutex> lock(state->lock);
    live = state->live.value_or(false);
  }
  if (live) gst_element_post_message(GST_ELEMENT(self), gst_message_new_latency(GST_OBJECT(self)));
}

const JobResult &wait_for(GstLivepeerUpscale *self, const Pending &pending) {
  static const JobResult scaled;  // what there is to say about a frame without a job
  if (!pending.job) return scaled;
  if (!pending.settings.post_messages) return pending.job->wait();
  return pending.job->wait([&](double fraction, const std::string &) {
    gst_element_post_message(GST_ELEMENT(self),
                             gst_livepeer_message_new_step(
                                 GST_OBJECT(self), GST_BUFFER_PTS(pending.input.get()), fraction));
  });
}

/// Waits for the oldest frame and pushes it.
GstFlowReturn push_oldest(GstLivepeerUpscale *self) {
  State *state = self->state;
  const Pending pending = std::move(state->pending.front());
  state->pending.pop_front();
  const JobResult &result = wait_for(self, pending);
  if (pending.job && result.outcome == JobResult::Outcome::cancelled) return GST_FLOW_FLUSHING;
  if (result.outcome == JobResult::Outcome::failed) throw *result.error;
  update_latency(self, pending, result);

  GstBuffer *output = nullptr;
  const GstFlowReturn flow = gst_livepeer_upscale_make_output(self, pending, result, &output);
  if (flow != GST_FLOW_OK) return flow;
  if (!output) {
    state->discont = true;
    return GST_FLOW_OK;
  }
  if (std::exchange(state->discont, false)) GST_BUFFER_FLAG_SET(output, GST_BUFFER_FLAG_DISCONT);
  {
    std::lock_guard<std::mutex> lock(state->lock);
    if (state->flushing) {
      gst_buffer_unref(output);
      return GST_FLOW_FLUSHING;
    }
    ++state->frames_out;
  }
  // What the parent class answers position queries from; it sees only what it pushes itself.
  GstSegment *segment = &GST_BASE_TRANSFORM(self)->segment;
  if (segment->format == GST_FORMAT_TIME && GST_BUFFER_PTS_IS_VALID(output))
    segment->position = GST_BUFFER_PTS(output) +
                        (GST_BUFFER_DURATION_IS_VALID(output) ? GST_BUFFER_DURATION(output) : 0);
  return std::min(GST_FLOW_OK, gst_pad_push(GST_BASE_TRANSFORM_SRC_PAD(self), output));
}

/// Pushes what is finished, and waits until at most `keep` frames are in flight.
GstFlowReturn push_until(GstLivepeerUpscale *self, size_t keep) {
  State *state = self->state;
  while (!state->pending.empty() && state->flow == GST_FLOW_OK) {
    const Pending &oldest = state->pending.front();
    if (state->pending.size() <= keep && oldest.job && !oldest.job->finished()) break;
    state->flow = guarded(self, "upscaling a frame", [&] { return push_oldest(self); });
  }
  if (state->flow != GST_FLOW_OK && !state->pending.empty()) {
    // Nobody wants the rest.
    if (auto session = gst_livepeer_upscale_session(self)) session->flush();
    state->pending.clear();
  }
  return state->flow;
}

GstFlowReturn drain(GstLivepeerUpscale *self) { return push_until(self, 0); }

/// What downstream said to the last push, once, or for good when it said that it is over.
GstFlowReturn last_flow(State *state) {
  const GstFlowReturn flow = state->flow;
  if (flow != GST_FLOW_EOS && flow != GST_FLOW_ERROR) state->flow = GST_FLOW_OK;
  return flow;
}

GstFlowReturn submit_input_buffer(GstBaseTransform *trans, gboolean discont, GstBuffer *input) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  State *state = self->state;
  // A source of bytes links to anything; what it says of the refusal does not help.
  if (!gst_pad_has_current_caps(GST_BASE_TRANSFORM_SINK_PAD(trans))) {
    gst_buffer_unref(input);
    gst_livepeer_post_error(
        GST_ELEMENT(self),
        Error(ErrorKind::format,
              "What arrives is not decoded video; put a decoder in front of livepeerupscale, as in "
              "decodebin ! videoconvert ! livepeerupscale",
              "a buffer came before any caps"));
    return GST_FLOW_NOT_NEGOTIATED;
  }
  GstFlowReturn flow = last_flow(state);
  // A reconfiguration is the parent's next step: what is in flight belongs to the old one.
  if (flow == GST_FLOW_OK && gst_pad_needs_reconfigure(GST_BASE_TRANSFORM_SRC_PAD(trans)) &&
      !state->pending.empty()) {
    drain(self);
    flow = last_flow(state);
  }
  if (flow != GST_FLOW_OK) {
    gst_buffer_unref(input);
    return flow;
  }
  flow = parent_transform->submit_input_buffer(trans, discont, input);
  if (flow == GST_BASE_TRANSFORM_FLOW_DROPPED) {
    std::lock_guard<std::mutex> lock(state->lock);
    ++state->frames_in;
    ++state->base_dropped;
    state->discont = true;
  }
  return flow;
}

GstFlowReturn generate_output(GstBaseTransform *trans, GstBuffer **output) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  State *state = self->state;
  *output = nullptr;
  GstBuffer *input = std::exchange(trans->queued_buf, nullptr);
  if (!input) return GST_FLOW_OK;
  const bool discont = GST_BUFFER_IS_DISCONT(input);
  state->flow = guarded(self, "reading a frame", [&] { return take_in(self, input, discont); });
  push_until(self, state->max_in_flight - 1);
  return last_flow(state);
}

/// Lets a wait for one of downstream's buffers end, or begin again.
void set_pool_flushing(GstLivepeerUpscale *self, gboolean flushing) {
  GstBufferPool *pool = gst_base_transform_get_buffer_pool(GST_BASE_TRANSFORM(self));
  if (!pool) return;
  gst_buffer_pool_set_flushing(pool, flushing);
  gst_object_unref(pool);
}

gboolean sink_event(GstBaseTransform *trans, GstEvent *event) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_FLUSH_START:
      gst_livepeer_upscale_interrupt(self);
      break;
    case GST_EVENT_FLUSH_STOP:
      gst_livepeer_upscale_clear(self);
      set_pool_flushing(self, FALSE);
      break;
    case GST_EVENT_SEGMENT:
    case GST_EVENT_STREAM_START:
      drain(self);
      // A new segment or stream is a new chance after EOS, and a new picture.
      if (self->state->flow == GST_FLOW_EOS) self->state->flow = GST_FLOW_OK;
      if (auto session = gst_livepeer_upscale_session(self)) session->forget();
      break;
    default:
      if (GST_EVENT_IS_SERIALIZED(event)) drain(self);
      break;
  }
  return parent_transform->sink_event(trans, event);
}

gboolean src_event(GstBaseTransform *trans, GstEvent *event) {
  if (GST_EVENT_TYPE(event) == GST_EVENT_LATENCY) {
    GstClockTime latency;
    gst_event_parse_latency(event, &latency);
    GST_LIVEPEER_UPSCALE(trans)->state->timing->set_pipeline_latency(latency);
  }
  return parent_transform->src_event(trans, event);
}

/// False while stop() may be clearing what the streaming thread has: unlike events and buffers,
/// queries come through pads that are not active, too.
bool flows(State *state) {
  std::lock_guard<std::mutex> lock(state->lock);
  return !state->flushing;
}

gboolean query(GstBaseTransform *trans, GstPadDirection direction, GstQuery *query) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  if (direction == GST_PAD_SINK && GST_QUERY_IS_SERIALIZED(query) && flows(self->state))
    drain(self);
  if (direction == GST_PAD_SRC && GST_QUERY_TYPE(query) == GST_QUERY_LATENCY)
    return query_latency(self, query);
  return parent_transform->query(trans, direction, query);
}

}  // namespace

void gst_livepeer_upscale_interrupt(GstLivepeerUpscale *self) {
  State *state = self->state;
  std::shared_ptr<livepeer::Session> session;
  {
    std::lock_guard<std::mutex> lock(state->lock);
    state->flushing = true;
    session = state->session;
  }
  if (session) session->flush();
  set_pool_flushing(self, TRUE);
}

void gst_livepeer_upscale_clear(GstLivepeerUpscale *self) {
  State *state = self->state;
  state->pending.clear();
  state->flow = GST_FLOW_OK;
  state->discont = false;
  state->last_shown.reset();
  std::lock_guard<std::mutex> lock(state->lock);
  state->flushing = false;
}

void gst_livepeer_upscale_flow_class_init(GstBaseTransformClass *klass) {
  parent_transform = GST_BASE_TRANSFORM_CLASS(g_type_class_peek_parent(klass));
  klass->submit_input_buffer = GST_DEBUG_FUNCPTR(submit_input_buffer);
  klass->generate_output = GST_DEBUG_FUNCPTR(generate_output);
  klass->sink_event = GST_DEBUG_FUNCPTR(sink_event);
  klass->src_event = GST_DEBUG_FUNCPTR(src_event);
  klass->query = GST_DEBUG_FUNCPTR(query);
}
