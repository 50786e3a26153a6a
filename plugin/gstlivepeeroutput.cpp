/* From a finished frame to the buffer that leaves the livepeerupscale element. */
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
using livepeer::JobResult;

namespace {

constexpr int kFactor = GST_LIVEPEER_UPSCALE_FACTOR;
constexpr int kBlur = 32;  // a blurred frame keeps one sample in so many input pixels each way

/// What is shown for a frame.
struct Picture {
  std::shared_ptr<const Frame> frame;  // null: nothing
  guint flags = 0;
};

std::shared_ptr<Frame> scaled(ScalerPtr &scaler, const Frame &in, int width, int height) {
  if (!scaler)
    scaler.reset(gst_livepeer_scaler_new(GST_VIDEO_FORMAT_RGB, in.width, in.height, width, height));
  auto out = std::make_shared<Frame>(width, height);
  gst_livepeer_scaler_process(scaler.get(), in.pixels.data(), out->pixels.data());
  return out;
}

std::shared_ptr<const Frame> plainly_scaled(State *state, const Frame &in) {
  return scaled(state->scaler, in, in.width * kFactor, in.height * kFactor);
}

std::shared_ptr<const Frame> blurred(State *state, const Frame &in) {
  const auto small =
      scaled(state->shrinker, in, std::max(1, in.width / kBlur), std::max(1, in.height / kBlur));
  return scaled(state->blurrer, *small, in.width * kFactor, in.height * kFactor);
}

Picture late_picture(State *state, const Pending &pending) {
  const Picture plain = {nullptr, GST_LIVEPEER_UPSCALE_LATE};
  switch (pending.settings.late_policy) {
    case LatePolicy::drop:
      return plain;
    case LatePolicy::repeat:
      if (state->last_shown)
        return {state->last_shown, GST_LIVEPEER_UPSCALE_LATE | GST_LIVEPEER_UPSCALE_REUSED};
      break;
    case LatePolicy::scale:
    case LatePolicy::wait:
      break;
  }
  return {plainly_scaled(state, pending.picture()),
          GST_LIVEPEER_UPSCALE_LATE | GST_LIVEPEER_UPSCALE_SCALED};
}

Picture flagged_picture(State *state, const Pending &pending, const JobResult &result,
                        guint flags) {
  flags |= GST_LIVEPEER_UPSCALE_NSFW;
  switch (pending.settings.safety_action) {
    case SafetyAction::mark:
      return {result.high_res, flags};
    case SafetyAction::scale:
      return {plainly_scaled(state, pending.picture()), flags | GST_LIVEPEER_UPSCALE_SCALED};
    case SafetyAction::blur:
      return {blurred(state, pending.picture()), flags | GST_LIVEPEER_UPSCALE_SCALED};
    case SafetyAction::drop:
      return {nullptr, flags};
    case SafetyAction::error:
      break;
  }
  throw Error(ErrorKind::failed,
              "The safety checker flagged a frame, and safety-action says to end the stream then",
              "score " + std::to_string(result.safety.score));
}

Picture choose_picture(State *state, const Pending &pending, const JobResult &result) {
  if (!pending.job) return {plainly_scaled(state, pending.low_res), GST_LIVEPEER_UPSCALE_SCALED};
  if (result.outcome == JobResult::Outcome::late) return late_picture(state, pending);
  const guint flags = (result.inferred ? GST_LIVEPEER_UPSCALE_INFERRED : 0) |
                      (result.reused ? GST_LIVEPEER_UPSCALE_REUSED : 0);
  if (result.safety.nsfw) return flagged_picture(state, pending, result, flags);
  return {result.high_res, flags};
}

/// The input's alpha, scaled; opaque stays opaque.
std::vector<guint8> scaled_alpha(GstLivepeerUpscale *self, GstBuffer *input) {
  GstVideoInfo *info = &GST_VIDEO_FILTER(self)->in_info;
  const gint width = GST_VIDEO_INFO_WIDTH(info), height = GST_VIDEO_INFO_HEIGHT(info);
  GstVideoFrame frame;
  if (!gst_video_frame_map(&frame, info, input, GST_MAP_READ))
    throw Error(ErrorKind::failed, "An input buffer cannot be read");
  std::vector<guint8> alpha(size_t(width) * size_t(height));
  gst_livepeer_frame_get_alpha(&frame, alpha.data());
  gst_video_frame_unmap(&frame);

  std::vector<guint8> result(alpha.size() * kFactor * kFactor);
  if (std::all_of(alpha.begin(), alpha.end(), [&](guint8 a) { return a == alpha[0]; })) {
    std::fill(result.begin(), result.end(), alpha[0]);
    return result;
  }
  ScalerPtr &scaler = self->state->alpha_scaler;
  if (!scaler)
    scaler.reset(gst_livepeer_scaler_new(GST_VIDEO_FORMAT_GRAY8, width, height, width * kFactor,
                                         height * kFactor));
  gst_livepeer_scaler_process(scaler.get(), alpha.data(), result.data());
  return result;
}

void write_picture(GstLivepeerUpscale *self, GstBuffer *input, const Frame &picture,
                   GstBuffer *output) {
  GstVideoInfo *info = &GST_VIDEO_FILTER(self)->out_info;
  std::vector<guint8> alpha;
  if (GST_VIDEO_INFO_HAS_ALPHA(info)) alpha = scaled_alpha(self, input);
  GstVideoFrame frame;
  if (!gst_video_frame_map(&frame, info, output, GST_MAP_WRITE))
    throw Error(ErrorKind::failed, "An output buffer cannot be written",
                "gst_video_frame_map failed on the buffer that downstream's pool gave");
  gst_livepeer_frame_set_rgb(&frame, picture.pixels.data());
  if (!alpha.empty()) gst_livepeer_frame_set_alpha(&frame, alpha.data());
  gst_video_frame_unmap(&frame);
}

GstLivepeerUpscaleMeta *add_meta(GstLivepeerUpscale *self, const Pending &pending,
                                 const JobResult &result, guint flags, GstBuffer *output) {
  const livepeer::UpscaleSettings &asked = pending.settings.upscale;
  const bool done = result.outcome == JobResult::Outcome::done;
  GstLivepeerUpscaleMeta *meta = gst_buffer_add_livepeer_upscale_meta(output);
  meta->seed = done ? result.seed : asked.seed;
  meta->prompt = g_strdup(asked.prompt.c_str());
  meta->negative_prompt = g_strdup(asked.negative_prompt.c_str());
  meta->flags = GstLivepeerUpscaleFlags(flags);
  meta->nsfw_score = result.safety.score;
  meta->time = GstClockTime(result.time.count());
  if (done) {
    meta->steps = result.settings.steps;
    meta->guidance_scale = result.settings.guidance_scale;
    meta->noise_level = result.settings.noise_level;
    meta->noise_temperature = result.settings.noise_temperature;
  }
  if (auto session = gst_livepeer_upscale_session(self))
    meta->model = g_strdup(session->stats().model.c_str());
  return meta;
}

void post_qos(GstLivepeerUpscale *self, const Pending &pending) {
  State *state = self->state;
  GstBuffer *input = pending.input.get();
  const GstSegment *segment = &GST_BASE_TRANSFORM(self)->segment;
  GstClockTimeDiff late = 0;
  state->timing->lateness(pending.running_time, pending.latency, std::chrono::nanoseconds(0),
                          &late);
  const auto session = gst_livepeer_upscale_session(self);
  const gdouble mean = session ? gdouble(session->stats().mean_time.count()) : 0;
  const GstClockTime duration = GST_BUFFER_DURATION(input);
  const gdouble proportion =
      GST_CLOCK_TIME_IS_VALID(duration) && duration > 0 ? mean / gdouble(duration) : 1;
  bool live;
  guint64 processed;
  {
    std::lock_guard<std::mutex> lock(state->lock);
    live = state->live.value_or(false);
    processed = state->frames_out;
  }
  GstMessage *message = gst_message_new_qos(
      GST_OBJECT(self), live, pending.running_time,
      gst_segment_to_stream_time(segment, GST_FORMAT_TIME, GST_BUFFER_PTS(input)),
      GST_BUFFER_PTS(input), duration);
  gst_message_set_qos_values(message, late, proportion, 0);
  gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, processed, ++state->qos_dropped);
  gst_element_post_message(GST_ELEMENT(self), message);
}

}  // namespace

GstFlowReturn gst_livepeer_upscale_make_output(GstLivepeerUpscale *self, const Pending &pending,
                                               const JobResult &result, GstBuffer **output) {
  State *state = self->state;
  GstBaseTransform *trans = GST_BASE_TRANSFORM(self);

  if (result.retried && !std::exchange(state->warned_memory, true))
    gst_livepeer_post_warning(
        GST_ELEMENT(self),
        Error(ErrorKind::no_space,
              "Memory ran out, so smaller tiles were used; set memory-budget or tile-size lower"));
  const Picture picture = choose_picture(state, pending, result);
  if (picture.flags & GST_LIVEPEER_UPSCALE_LATE) post_qos(self, pending);
  if (!picture.frame) return GST_FLOW_OK;

  GstBuffer *buffer = nullptr;
  const GstFlowReturn flow = GST_BASE_TRANSFORM_GET_CLASS(trans)->prepare_output_buffer(
      trans, pending.input.get(), &buffer);
  if (flow != GST_FLOW_OK) return flow;
  BufferPtr owner(buffer);
  write_picture(self, pending.input.get(), *picture.frame, buffer);
  // A GAP buffer has real pixels behind this element.
  GST_BUFFER_FLAG_UNSET(buffer, GST_BUFFER_FLAG_GAP);
  const GstLivepeerUpscaleMeta *meta = add_meta(self, pending, result, picture.flags, buffer);
  if (pending.settings.late_policy != LatePolicy::repeat)
    state->last_shown.reset();
  else if (!(picture.flags & GST_LIVEPEER_UPSCALE_NSFW))
    state->last_shown = picture.frame;
  if (pending.settings.post_messages)
    gst_element_post_message(
        GST_ELEMENT(self),
        gst_livepeer_message_new_upscale(GST_OBJECT(self), meta, buffer, &trans->segment));
  *output = owner.release();
  return GST_FLOW_OK;
}
