/* The sink side of the livepeerupscale element: takes frames in, and hands them and the serialized
 * events between them to the source pad's task. */
#include <gst/video/navigation.h>

#include <algorithm>
#include <string>
#include <utility>

#include "gstlivepeererror.h"
#include "gstlivepeerupscaleprivate.h"

#define GST_CAT_DEFAULT gst_livepeer_upscale_debug

using livepeer::Error;
using livepeer::ErrorKind;
using livepeer::JobRequest;

namespace {

GstBaseTransformClass *parent_transform = nullptr;

/// A latency that can be added to any time without an overflow: 146 years.
constexpr GstClockTime kMostLatency = GstClockTime(1) << 62;

/// The pixels of a buffer as the engine takes them; into `pending` goes its alpha where it has one.
void read_frame(GstLivepeerUpscale *self, GstBuffer *buffer, livepeer::Frame &frame,
                Pending &pending) {
  GstVideoInfo *info = &self->internals->negotiated.in;
  if (GST_VIDEO_INFO_INTERLACE_MODE(info) == GST_VIDEO_INTERLACE_MODE_MIXED &&
      GST_BUFFER_FLAG_IS_SET(buffer, GST_VIDEO_BUFFER_FLAG_INTERLACED))
    throw gst_livepeer_upscale_interlaced_error("interlace-mode is mixed, and a frame is flagged");
  MappedFrame mapped(*info, buffer, GST_MAP_READ);
  if (!mapped)
    throw Error(ErrorKind::failed, "An input buffer cannot be read",
                std::to_string(gst_buffer_get_size(buffer)) + " bytes, " +
                    std::to_string(GST_VIDEO_INFO_SIZE(info)) + " expected");
  if (mapped.width() != GST_VIDEO_INFO_WIDTH(info) ||
      mapped.height() != GST_VIDEO_INFO_HEIGHT(info))
    throw Error(ErrorKind::format,
                "An input buffer's video meta and the caps differ in size; put videoconvert "
                "in front",
                std::to_string(mapped.width()) + "x" + std::to_string(mapped.height()) +
                    " against " + std::to_string(GST_VIDEO_INFO_WIDTH(info)) + "x" +
                    std::to_string(GST_VIDEO_INFO_HEIGHT(info)));
  self->internals->negotiated.reader->read(*mapped, frame, pending.alpha);
  if (!pending.alpha.empty()) pending.hidden = gst_livepeer_hide_transparent(frame, pending.alpha);
}

/// Timestamps, flags and metas of a buffer, and nothing that holds its memory.
BufferPtr shell_of(GstBuffer *input) {
  GstBuffer *shell = gst_buffer_new();
  gst_buffer_copy_into(
      shell, input,
      GstBufferCopyFlags(GST_BUFFER_COPY_FLAGS | GST_BUFFER_COPY_TIMESTAMPS | GST_BUFFER_COPY_META),
      0, gsize(-1));
  const auto drop_references = [](GstBuffer *, GstMeta **meta, gpointer) -> gboolean {
    if (gst_meta_api_type_has_tag((*meta)->info->api,
                                  g_quark_from_static_string(GST_META_TAG_MEMORY_REFERENCE_STR)))
      *meta = nullptr;
    return TRUE;
  };
  gst_buffer_foreach_meta(shell, drop_references, nullptr);
  return BufferPtr(shell);
}

/// The latency that this element adds to a live pipeline.
GstClockTime own_latency(GstLivepeerUpscale *self) {
  const GstClockTime set = self->internals->settings.get()->latency;
  return set ? std::min(set, kMostLatency) : self->internals->latency.get();
}

/// Asks upstream, and adds this element's latency where upstream is live.
gboolean query_latency(GstLivepeerUpscale *self, GstQuery *query) {
  if (!gst_pad_peer_query(GST_BASE_TRANSFORM_SINK_PAD(self), query)) return FALSE;
  gboolean live;
  GstClockTime min, max;
  gst_query_parse_latency(query, &live, &min, &max);
  {
    std::lock_guard<std::mutex> lock(self->internals->shared.lock);
    self->internals->shared.values.live = live;
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
    std::lock_guard<std::mutex> lock(self->internals->shared.lock);
    live = self->internals->shared.values.live;
  }
  if (live) return *live ? own_latency(self) : 0;
  GstQuery *query = gst_query_new_latency();
  GstClockTime min = 0;
  if (query_latency(self, query)) gst_query_parse_latency(query, nullptr, &min, nullptr);
  gst_query_unref(query);
  return min;
}

/// The question that the worker asks when it is about to start the frame.
std::function<bool(std::chrono::nanoseconds)> lateness_check(GstLivepeerUpscale *self,
                                                             const Pending &pending) {
  if (pending.settings->late_policy == LatePolicy::wait) return {};
  return [timing = self->internals->timing, running_time = pending.running_time,
          latency = pending.latency](std::chrono::nanoseconds from_now) {
    GstClockTimeDiff late;
    return timing->lateness(running_time, latency, from_now, &late) && late > 0;
  };
}

/// Null while the element is not started.
std::unique_ptr<Pending> take_in(GstLivepeerUpscale *self, GstBuffer *input) {
  const GstSegment *segment = &GST_BASE_TRANSFORM(self)->segment;
  const bool timed = segment->format == GST_FORMAT_TIME;
  const GstClockTime pts = GST_BUFFER_PTS(input);
  auto pending = std::make_unique<Pending>();
  JobRequest request;
  const auto low_res = std::make_shared<livepeer::Frame>();
  read_frame(self, input, *low_res, *pending);
  request.low_res = low_res;
  pending->input = shell_of(input);
  pending->segment = *segment;
  pending->running_time =
      timed ? gst_segment_to_running_time(segment, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE;
  const GstClockTime stream_time =
      timed ? gst_segment_to_stream_time(segment, GST_FORMAT_TIME, pts) : GST_CLOCK_TIME_NONE;
  if (GST_CLOCK_TIME_IS_VALID(stream_time)) gst_object_sync_values(GST_OBJECT(self), stream_time);
  pending->settings = self->internals->settings.get();
  const Settings &settings = *pending->settings;
  pending->latency = settings.late_policy == LatePolicy::wait ? 0 : known_latency(self);
  self->internals->timing->set_base_time(gst_element_get_base_time(GST_ELEMENT(self)));

  request.settings = {pending->settings, &settings.upscale};
  request.reuse_threshold = settings.reuse_threshold;
  SinkState &sink = self->internals->sink;
  request.discontinuity = std::exchange(sink.new_picture, false) || GST_BUFFER_IS_DISCONT(input);
  if (std::exchange(sink.dropped, false))
    GST_BUFFER_FLAG_SET(pending->input.get(), GST_BUFFER_FLAG_DISCONT);
  request.plain = segment->flags & GST_SEGMENT_FLAG_TRICKMODE;
  request.drop_if_late = settings.late_policy == LatePolicy::drop;
  if (GST_CLOCK_TIME_IS_VALID(stream_time)) request.time = std::chrono::nanoseconds(stream_time);
  // The first frame, for which everything has to be made ready, is never late.
  if (!std::exchange(sink.first, false)) request.too_late = lateness_check(self, *pending);

  std::lock_guard<std::mutex> lock(self->internals->shared.lock);
  Shared::Values &shared = self->internals->shared.values;
  // Pads take frames a moment before start(), and upstream may have been running then.
  if (!shared.session) return nullptr;
  ++shared.frames_in;
  if (settings.random_seed) request.seed = shared.drawn_seed;
  pending->job = shared.session->submit(std::move(request));
  return pending;
}

GstFlowReturn submit_input_buffer(GstBaseTransform *trans, gboolean discont, GstBuffer *input) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  Fifo &fifo = self->internals->fifo;
  BufferPtr owner(input);
  // A source of bytes links to anything; what it says of the refusal does not help.
  if (!gst_pad_has_current_caps(GST_BASE_TRANSFORM_SINK_PAD(trans))) {
    gst_livepeer_post_error(
        GST_ELEMENT(self),
        Error(ErrorKind::format,
              "What arrives is not decoded video; put a decoder in front of livepeerupscale, as in "
              "decodebin ! livepeerupscale",
              "a buffer came before any caps"));
    return GST_FLOW_NOT_NEGOTIATED;
  }
  // A reconfiguration is the parent's next step: what is in flight belongs to the old one.
  if (gst_pad_needs_reconfigure(GST_BASE_TRANSFORM_SRC_PAD(trans))) fifo.drain();
  GstFlowReturn flow = fifo.answer();
  if (flow != GST_FLOW_OK) return flow;
  flow = parent_transform->submit_input_buffer(trans, discont, owner.release());
  if (flow == GST_BASE_TRANSFORM_FLOW_DROPPED) {
    self->internals->sink.dropped = true;
    std::lock_guard<std::mutex> lock(self->internals->shared.lock);
    ++self->internals->shared.values.frames_in;
    ++self->internals->shared.values.base_dropped;
  }
  return flow;
}

GstFlowReturn generate_output(GstBaseTransform *trans, GstBuffer **output) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  Internals *internals = self->internals;
  *output = nullptr;
  BufferPtr input(std::exchange(trans->queued_buf, nullptr));
  if (!input) return GST_FLOW_OK;
  try {
    std::unique_ptr<Pending> pending = take_in(self, input.get());
    input.reset();
    if (!pending) return GST_FLOW_FLUSHING;
    return internals->fifo.push(std::move(pending), internals->sink.max_in_flight);
  } catch (...) {
    gst_livepeer_upscale_post_current_error(self, "reading a frame");
    internals->fifo.fail(GST_FLOW_ERROR);
    return internals->fifo.answer();
  }
}

/// The task brings it downstream, behind the frames before.
gboolean enqueue(GstLivepeerUpscale *self, GstEvent *event) {
  return self->internals->fifo.push(EventPtr(event));
}

void start_segment(GstBaseTransform *trans, GstEvent *event) {
  gst_event_copy_segment(event, &trans->segment);
  trans->have_segment = TRUE;
}

gboolean flush_stop(GstBaseTransform *trans, GstEvent *event) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  gboolean reset_time;
  gst_event_parse_flush_stop(event, &reset_time);
  gst_livepeer_upscale_pause_task(self);
  const gboolean forwarded = parent_transform->sink_event(trans, event);
  // Only a pipeline that distributes base times gives a new one, and only while it plays.
  const bool distributed = GST_CLOCK_TIME_IS_VALID(gst_element_get_start_time(GST_ELEMENT(self)));
  if (reset_time && distributed && GST_STATE(self) == GST_STATE_PLAYING)
    self->internals->timing->expect_base_time();
  self->internals->sink.first = true;
  gst_livepeer_upscale_restart_task(self);
  return forwarded;
}

gboolean sink_event(GstBaseTransform *trans, GstEvent *event) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  switch (GST_EVENT_TYPE(event)) {
    case GST_EVENT_FLUSH_START: {
      const gboolean forwarded = parent_transform->sink_event(trans, event);
      gst_livepeer_upscale_pause_task(self);
      return forwarded;
    }
    case GST_EVENT_FLUSH_STOP:
      return flush_stop(trans, event);
    case GST_EVENT_CAPS:
      self->internals->fifo.drain();
      return parent_transform->sink_event(trans, event);
    case GST_EVENT_SEGMENT:
      start_segment(trans, event);
      [[fallthrough]];
    case GST_EVENT_STREAM_START:
      self->internals->sink.new_picture = true;
      return enqueue(self, event);
    default:
      if (GST_EVENT_IS_SERIALIZED(event)) return enqueue(self, event);
      return parent_transform->sink_event(trans, event);
  }
}

/// An event that comes to nothing in a flush must not be taken for one that is refused.
GstFlowReturn sink_event_full(GstPad *, GstObject *parent, GstEvent *event) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(parent);
  const bool is_caps = GST_EVENT_TYPE(event) == GST_EVENT_CAPS;
  if (sink_event(GST_BASE_TRANSFORM(parent), event)) return GST_FLOW_OK;
  if (!self->internals->fifo.is_open()) return GST_FLOW_FLUSHING;
  return is_caps ? GST_FLOW_NOT_NEGOTIATED : GST_FLOW_ERROR;
}

/// Positions in the output become those in the input.
GstEvent *scale_navigation(GstEvent *event) {
  gdouble x, y;
  if (!gst_navigation_event_get_coordinates(event, &x, &y)) return event;
  event = gst_event_make_writable(event);
  gst_navigation_event_set_coordinates(event, x / GST_LIVEPEER_UPSCALE_FACTOR,
                                       y / GST_LIVEPEER_UPSCALE_FACTOR);
  return event;
}

gboolean src_event(GstBaseTransform *trans, GstEvent *event) {
  if (GST_EVENT_TYPE(event) == GST_EVENT_NAVIGATION) event = scale_navigation(event);
  if (GST_EVENT_TYPE(event) == GST_EVENT_LATENCY) {
    GstClockTime latency;
    gst_event_parse_latency(event, &latency);
    GST_LIVEPEER_UPSCALE(trans)->internals->timing->set_pipeline_latency(latency);
  }
  return parent_transform->src_event(trans, event);
}

/// The end of the last frame that left; the parent sees none of them.
bool answer_position(GstLivepeerUpscale *self, GstQuery *query) {
  GstFormat format;
  gst_query_parse_position(query, &format, nullptr);
  std::lock_guard<std::mutex> lock(self->internals->shared.lock);
  const std::optional<gint64> &position = self->internals->shared.values.position;
  if (format != GST_FORMAT_TIME || !position) return false;
  gst_query_set_position(query, format, *position);
  return true;
}

gboolean query(GstBaseTransform *trans, GstPadDirection direction, GstQuery *query) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  if (direction == GST_PAD_SINK) {
    // What waits for its answer waits for the frames before it, too.
    if (GST_QUERY_IS_SERIALIZED(query) && !self->internals->fifo.drain()) return FALSE;
    return parent_transform->query(trans, direction, query);
  }
  switch (GST_QUERY_TYPE(query)) {
    case GST_QUERY_LATENCY:
      return query_latency(self, query);
    case GST_QUERY_POSITION:
      if (answer_position(self, query)) return TRUE;
      break;
    case GST_QUERY_SCHEDULING:
      gst_query_set_scheduling(query, GST_SCHEDULING_FLAG_SEQUENTIAL, 1, -1, 0);
      gst_query_add_scheduling_mode(query, GST_PAD_MODE_PUSH);
      return TRUE;
    default:
      break;
  }
  return parent_transform->query(trans, direction, query);
}

}  // namespace

void gst_livepeer_upscale_flow_init(GstLivepeerUpscale *self) {
  gst_pad_set_event_full_function(GST_BASE_TRANSFORM_SINK_PAD(self),
                                  GST_DEBUG_FUNCPTR(sink_event_full));
}

void gst_livepeer_upscale_flow_class_init(GstBaseTransformClass *klass) {
  parent_transform = GST_BASE_TRANSFORM_CLASS(g_type_class_peek_parent(klass));
  klass->submit_input_buffer = GST_DEBUG_FUNCPTR(submit_input_buffer);
  klass->generate_output = GST_DEBUG_FUNCPTR(generate_output);
  klass->src_event = GST_DEBUG_FUNCPTR(src_event);
  klass->query = GST_DEBUG_FUNCPTR(query);
}
