/* From a finished frame to the buffer that leaves the livepeerupscale element. */
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "gstlivepeererror.h"
#include "gstlivepeermetas.h"
#include "gstlivepeerupscaleprivate.h"

#define GST_CAT_DEFAULT gst_livepeer_upscale_debug

using livepeer::Error;
using livepeer::ErrorKind;
using livepeer::Frame;
using livepeer::JobResult;

namespace {

constexpr int kFactor = GST_LIVEPEER_UPSCALE_FACTOR;
constexpr GstVideoFormat kGray16 =
    G_BYTE_ORDER == G_LITTLE_ENDIAN ? GST_VIDEO_FORMAT_GRAY16_LE : GST_VIDEO_FORMAT_GRAY16_BE;
constexpr int kBlur = 32;  // a blurred frame keeps one sample in so many input pixels each way

/// What is shown for a frame.
struct Picture {
  std::shared_ptr<const Frame> frame;  // null: nothing
  guint flags = 0;
  bool own = true;  // enlarged from this frame's pixels, and sharp
};

/// `scaler` is made where there is none yet. Throws Error{failed}.
void scale(ScalerPtr &scaler, GstVideoFormat format, int in_width, int in_height, const guint8 *in,
           int width, int height, guint8 *out) {
  if (!scaler) scaler.reset(gst_livepeer_scaler_new(format, in_width, in_height, width, height));
  if (!scaler || !gst_livepeer_scaler_process(scaler.get(), in, out))
    throw Error(ErrorKind::failed,
                "A frame could not be scaled plainly; scale it down in front of the element",
                std::to_string(in_width) + "x" + std::to_string(in_height) + " to " +
                    std::to_string(width) + "x" + std::to_string(height));
}

/// One number a pixel.
GstVideoFormat plane_format(const Frame &frame) {
  return frame.samples.bytes == 1 ? GST_VIDEO_FORMAT_GRAY8 : kGray16;
}

std::shared_ptr<Frame> scaled(ScalerPtr &scaler, const Frame &in, int width, int height) {
  auto out = std::make_shared<Frame>(Frame::unset(width, height, in.samples));
  if (in.samples.bytes == 1) {
    scale(scaler, GST_VIDEO_FORMAT_RGB, in.width, in.height, in.pixels.data(), width, height,
          out->pixels.data());
    return out;
  }
  // GStreamer knows no RGB of 16 bits without alpha.
  std::vector<guint16> from(size_t(in.width) * size_t(in.height));
  std::vector<guint16> to(size_t(width) * size_t(height));
  for (size_t c = 0; c < 3; ++c) {
    const auto *numbers = in.row<guint16>(0);
    for (size_t i = 0; i < from.size(); ++i) from[i] = numbers[3 * i + c];
    scale(scaler, kGray16, in.width, in.height, reinterpret_cast<const guint8 *>(from.data()),
          width, height, reinterpret_cast<guint8 *>(to.data()));
    auto *scaled = out->row<guint16>(0);
    for (size_t i = 0; i < to.size(); ++i) scaled[3 * i + c] = to[i];
  }
  return out;
}

std::shared_ptr<const Frame> plainly_scaled(TaskState &task, const Frame &in) {
  return scaled(task.scalers.plain, in, in.width * kFactor, in.height * kFactor);
}

std::shared_ptr<const Frame> blurred(TaskState &task, const Frame &in) {
  const auto small = scaled(task.scalers.shrinker, in, std::max(1, in.width / kBlur),
                            std::max(1, in.height / kBlur));
  return scaled(task.scalers.blurrer, *small, in.width * kFactor, in.height * kFactor);
}

/// What is shown of a frame that is not upscaled, apart from what the safety check says.
Picture plain_picture(TaskState &task, const Pending &pending, const JobResult &result) {
  guint flags = 0;
  if (result.outcome == JobResult::Outcome::late) {
    flags = GST_LIVEPEER_UPSCALE_LATE;
    if (pending.settings->late_policy == LatePolicy::repeat && task.since_flush.last_shown)
      return {task.since_flush.last_shown, flags | GST_LIVEPEER_UPSCALE_REUSED, false};
  }
  return {plainly_scaled(task, *pending.job->request().low_res),
          flags | GST_LIVEPEER_UPSCALE_SCALED};
}

/// What is shown of a frame that was flagged, or that nobody could check.
Picture hidden_picture(TaskState &task, const Pending &pending, SafetyAction action, guint flags) {
  const Frame &low_res = *pending.job->request().low_res;
  switch (action) {
    case SafetyAction::scale:
      return {plainly_scaled(task, low_res), flags | GST_LIVEPEER_UPSCALE_SCALED};
    case SafetyAction::drop:
      return {nullptr, flags, false};
    case SafetyAction::mark:
    case SafetyAction::blur:
    case SafetyAction::error:
      break;
  }
  return {blurred(task, low_res), flags | GST_LIVEPEER_UPSCALE_SCALED, false};
}

Picture choose_picture(TaskState &task, const Pending &pending, const JobResult &result) {
  const bool done = result.outcome == JobResult::Outcome::done;
  const bool late = result.outcome == JobResult::Outcome::late;
  const guint flags = (result.inferred ? GST_LIVEPEER_UPSCALE_INFERRED : 0) |
                      (result.reused ? GST_LIVEPEER_UPSCALE_REUSED : 0) |
                      (late ? GST_LIVEPEER_UPSCALE_LATE : 0) |
                      (result.safety.nsfw ? GST_LIVEPEER_UPSCALE_NSFW : 0);
  if (late && pending.settings->late_policy == LatePolicy::drop) return {nullptr, flags};
  const SafetyAction action = pending.settings->safety_action;
  if (result.unchecked) {
    if (action == SafetyAction::error) throw *result.unchecked;
    // Plain scaling would show it.
    return hidden_picture(task, pending, action == SafetyAction::drop ? action : SafetyAction::blur,
                          flags);
  }
  if (result.safety.nsfw && action == SafetyAction::error)
    throw Error(ErrorKind::failed,
                "The safety checker flagged a frame, and safety-action says to end the stream then",
                "score " + std::to_string(result.safety.score));
  if (result.safety.nsfw && action != SafetyAction::mark)
    return hidden_picture(task, pending, action, flags);
  if (done) return {result.high_res, flags};
  Picture plain = plain_picture(task, pending, result);
  plain.flags |= flags;
  return plain;
}

/// The input's alpha, scaled; opaque stays opaque.
livepeer::Bytes scaled_alpha(TaskState &task, const Pending &pending) {
  const livepeer::Bytes &alpha = pending.alpha;
  const Frame &low_res = *pending.job->request().low_res;
  const int width = low_res.width, height = low_res.height;
  const auto bytes = size_t(low_res.samples.bytes);
  livepeer::Bytes result(alpha.size() * kFactor * kFactor);
  // All pixels are equal where each is equal to the next one.
  if (std::equal(alpha.begin(), alpha.end() - ptrdiff_t(bytes), alpha.begin() + ptrdiff_t(bytes))) {
    if (bytes == 1)
      std::fill(result.begin(), result.end(), alpha[0]);
    else
      std::fill_n(reinterpret_cast<guint16 *>(result.data()), result.size() / sizeof(guint16),
                  *reinterpret_cast<const guint16 *>(alpha.data()));
    return result;
  }
  scale(task.scalers.alpha, plane_format(low_res), width, height, alpha.data(), width * kFactor,
        height * kFactor, result.data());
  return result;
}

/// What is shown, with what alpha hid put back.
std::shared_ptr<const Frame> whole_picture(TaskState &task, const Pending &pending,
                                           const Picture &shown, const livepeer::Bytes &alpha) {
  if (!shown.own || pending.hidden.empty()) return shown.frame;
  auto whole = std::make_shared<Frame>(*shown.frame);
  gst_livepeer_put_back(
      *whole, *scaled(task.scalers.hidden, pending.hidden, whole->width, whole->height), alpha);
  return whole;
}

void write_picture(GstLivepeerUpscale *self, const Pending &pending, const Picture &shown,
                   GstBuffer *output) {
  TaskState &task = self->internals->task;
  livepeer::Bytes alpha;
  if (!pending.alpha.empty()) alpha = scaled_alpha(task, pending);
  const auto picture = whole_picture(task, pending, shown, alpha);
  MappedFrame frame(self->internals->negotiated.out, output, GST_MAP_WRITE);
  if (!frame)
    throw Error(ErrorKind::failed, "An output buffer cannot be written",
                "gst_video_frame_map failed on the buffer that downstream's pool gave");
  if (frame.width() != picture->width || frame.height() != picture->height)
    throw Error(ErrorKind::failed, "An output buffer has another size than the picture",
                "its video meta, of the buffer that downstream's pool gave, differs from the caps");
  self->internals->negotiated.writer->write(
      *picture, shown.own ? pending.job->request().low_res.get() : nullptr, alpha, &*frame);
}

/// The picture itself in a buffer. Nobody may write to it: the frame after it may show parts of it
/// again. Whoever wants to gets a copy from GStreamer.
BufferPtr lent_picture(GstBaseTransform *trans, const Pending &pending, const Picture &shown) {
  using Owner = std::shared_ptr<const Frame>;
  const livepeer::Bytes &pixels = shown.frame->pixels;
  BufferPtr buffer(
      gst_buffer_new_wrapped_full(GST_MEMORY_FLAG_READONLY, const_cast<guint8 *>(pixels.data()),
                                  pixels.size(), 0, pixels.size(), new Owner(shown.frame),
                                  [](gpointer owner) { delete static_cast<Owner *>(owner); }));
  GST_BASE_TRANSFORM_GET_CLASS(trans)->copy_metadata(trans, pending.input.get(), buffer.get());
  return buffer;
}

/// A buffer of the pool with the picture in it; null, and why, where there is none.
BufferPtr written_picture(GstLivepeerUpscale *self, const Pending &pending, const Picture &shown,
                          GstFlowReturn &flow) {
  GstBaseTransform *trans = GST_BASE_TRANSFORM(self);
  GstBuffer *buffer = nullptr;
  flow = GST_BASE_TRANSFORM_GET_CLASS(trans)->prepare_output_buffer(trans, pending.input.get(),
                                                                    &buffer);
  if (flow != GST_FLOW_OK) return nullptr;
  BufferPtr owner(buffer);
  write_picture(self, pending, shown, buffer);
  return owner;
}

GstLivepeerUpscaleMeta *add_meta(GstLivepeerUpscale *self, const Pending &pending,
                                 const JobResult &result, guint flags, GstBuffer *output) {
  const livepeer::UpscaleSettings &asked = pending.settings->upscale;
  const bool done = result.outcome == JobResult::Outcome::done;
  GstLivepeerUpscaleMeta *meta = gst_buffer_add_livepeer_upscale_meta(output);
  meta->seed = done ? result.seed : pending.job->request().seed.value_or(asked.seed);
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
  if (const auto session = gst_livepeer_upscale_session(self)) {
    const auto model = session->model();
    meta->model = g_strdup(model ? model->id().c_str() : "");
  }
  return meta;
}

void post_qos(GstLivepeerUpscale *self, const Pending &pending) {
  Internals *internals = self->internals;
  const GstBuffer *input = pending.input.get();
  GstClockTimeDiff late = 0;
  internals->timing->lateness(pending.running_time, pending.latency, std::chrono::nanoseconds(0),
                              &late);
  const auto session = gst_livepeer_upscale_session(self);
  const gdouble mean = session ? gdouble(session->stats().mean_time.count()) : 0;
  const GstClockTime duration = GST_BUFFER_DURATION(input);
  const gdouble proportion =
      GST_CLOCK_TIME_IS_VALID(duration) && duration > 0 ? mean / gdouble(duration) : 1;
  bool live;
  guint64 processed;
  {
    std::lock_guard<std::mutex> lock(internals->shared.lock);
    live = internals->shared.values.live.value_or(false);
    processed = internals->shared.values.frames_out;
  }
  GstMessage *message = gst_message_new_qos(
      GST_OBJECT(self), live, pending.running_time,
      gst_segment_to_stream_time(&pending.segment, GST_FORMAT_TIME, GST_BUFFER_PTS(input)),
      GST_BUFFER_PTS(input), duration);
  gst_message_set_qos_values(message, late, proportion, 0);
  gst_message_set_qos_stats(message, GST_FORMAT_BUFFERS, processed, ++internals->task.qos_dropped);
  gst_element_post_message(GST_ELEMENT(self), message);
}

/// Tells each sentence once a start.
void warn_once(GstLivepeerUpscale *self, const Error &warning) {
  constexpr size_t kMost = 32;
  std::set<std::string> &warned = self->internals->task.warned;
  if (warned.size() < kMost && warned.insert(warning.what()).second)
    gst_livepeer_post_warning(GST_ELEMENT(self), warning);
}

void warn(GstLivepeerUpscale *self, const JobResult &result) {
  if (result.retried)
    warn_once(
        self,
        Error(ErrorKind::no_space,
              "Memory ran out, so smaller tiles were used; set memory-budget or tile-size lower"));
  if (result.unchecked)
    warn_once(self,
              Error(result.unchecked->kind(), "A frame could not be checked, and is hidden",
                    std::string(result.unchecked->what()) + " " + result.unchecked->detail()));
  for (const Error &note : result.settings.notes) warn_once(self, note);
}

}  // namespace

GstFlowReturn gst_livepeer_upscale_make_output(GstLivepeerUpscale *self, const Pending &pending,
                                               const JobResult &result, GstBuffer **output) {
  TaskState &task = self->internals->task;
  warn(self, result);
  const Picture picture = choose_picture(task, pending, result);
  if (picture.flags & GST_LIVEPEER_UPSCALE_LATE) post_qos(self, pending);
  if (!picture.frame) return GST_FLOW_OK;

  GstFlowReturn flow = GST_FLOW_OK;
  BufferPtr owner = self->internals->negotiated.lends_pictures
                        ? lent_picture(GST_BASE_TRANSFORM(self), pending, picture)
                        : written_picture(self, pending, picture, flow);
  GstBuffer *buffer = owner.get();
  if (!buffer) return flow;
  const GstLivepeerUpscaleMeta *meta = add_meta(self, pending, result, picture.flags, buffer);
  if (pending.settings->upscale.safety_check && !result.unchecked)
    gst_livepeer_add_classification(buffer, result.safety.nsfw, result.safety.score);
  if (pending.settings->late_policy != LatePolicy::repeat)
    task.since_flush.last_shown.reset();
  else if (!(picture.flags & GST_LIVEPEER_UPSCALE_NSFW))
    task.since_flush.last_shown = picture.frame;
  GST_LOG_OBJECT(self, "the frame at %" GST_TIME_FORMAT " leaves:%s%s%s%s%s",
                 GST_TIME_ARGS(GST_BUFFER_PTS(buffer)),
                 picture.flags & GST_LIVEPEER_UPSCALE_INFERRED ? " inferred" : "",
                 picture.flags & GST_LIVEPEER_UPSCALE_REUSED ? " reused" : "",
                 picture.flags & GST_LIVEPEER_UPSCALE_LATE ? " late" : "",
                 picture.flags & GST_LIVEPEER_UPSCALE_SCALED ? " scaled" : "",
                 picture.flags & GST_LIVEPEER_UPSCALE_NSFW ? " flagged" : "");
  if (pending.settings->post_messages)
    gst_element_post_message(
        GST_ELEMENT(self),
        gst_livepeer_message_new_upscale(GST_OBJECT(self), meta, buffer, &pending.segment));
  *output = owner.release();
  return GST_FLOW_OK;
}
