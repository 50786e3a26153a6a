/**
 * SECTION:element-livepeerupscale
 * @title: livepeerupscale
 * @short_description: makes video four times as wide and high with a diffusion model
 *
 * Each frame is upscaled by a diffusion model, so that the picture gains detail that plain scaling
 * cannot give. The model is the one that comes with the plugin, or a snapshot folder of a diffusers
 * upscaling pipeline. A prompt may say what the picture shows or how it should look.
 *
 * The element takes RGB, YUV and grey of 8 to 16 bits, with or without alpha, of standard or high
 * dynamic range, and gives exactly four times the size in the same format and colours. It does not
 * scale to other sizes (put videoscale or videocrop around it), or take interlaced video (put
 * deinterlace in front). Timestamps are never touched, and a frame leaves as soon as it is
 * finished. A model takes its time: without `max-in-flight` above 1 the rest of the pipeline waits
 * meanwhile. With a live source, `late-policy` says what becomes of frames that cannot be ready in
 * time, `latency` how long the sinks wait for them (0: as long as the model is measured to take;
 * applications then have to handle LATENCY messages, as gst-launch-1.0 does), and a queue in front
 * keeps the source from losing frames. An engine that fails in mid-stream ends it, unless
 * `fallback` says to go on with plainly scaled frames.
 *
 * ## Example launch lines
 * |[
 * gst-launch-1.0 filesrc location=examples/samples/cat.png ! pngdec \
 *   ! livepeerupscale safety-check=false ! pngenc ! filesink location=out.png
 * ]| Upscales a picture.
 * |[
 * gst-launch-1.0 videotestsrc num-buffers=10 ! video/x-raw,format=I420,width=80,height=60 \
 *   ! livepeerupscale safety-check=false steps=1 prompt=sharp \
 *   ! vp8enc deadline=1 ! webmmux ! filesink location=out.webm
 * ]| Upscales a test clip, with a prompt.
 */
#include <utility>

#include "gstlivepeererror.h"
#include "gstlivepeerupscaleprivate.h"
#include "runtime/log.h"
#include "runtime/machine.h"

GST_DEBUG_CATEGORY(gst_livepeer_upscale_debug);
GST_DEBUG_CATEGORY_STATIC(gst_livepeer_engine_debug);
#define GST_CAT_DEFAULT gst_livepeer_upscale_debug

using livepeer::ModelSpec;
using livepeer::Session;

G_DEFINE_TYPE_WITH_CODE(GstLivepeerUpscale, gst_livepeer_upscale, GST_TYPE_BASE_TRANSFORM,
                        G_IMPLEMENT_INTERFACE(GST_TYPE_PRESET, nullptr))
GST_ELEMENT_REGISTER_DEFINE(livepeerupscale, "livepeerupscale", GST_RANK_NONE,
                            GST_TYPE_LIVEPEER_UPSCALE)

namespace {

guint prop_stats;

GstDebugLevel debug_level(livepeer::LogLevel level) {
  switch (level) {
    case livepeer::LogLevel::error:
      return GST_LEVEL_ERROR;
    case livepeer::LogLevel::warning:
      return GST_LEVEL_WARNING;
    case livepeer::LogLevel::info:
      return GST_LEVEL_INFO;
    case livepeer::LogLevel::debug:
      return GST_LEVEL_DEBUG;
    case livepeer::LogLevel::trace:
      break;
  }
  return GST_LEVEL_TRACE;
}

GstStructure *make_stats(GstLivepeerUpscale *self) {
  const std::shared_ptr<const Settings> settings = self->internals->settings.get();
  Shared::Values now;
  {
    std::lock_guard<std::mutex> lock(self->internals->shared.lock);
    now = self->internals->shared.values;
  }
  const livepeer::SessionStats s = now.session ? now.session->stats() : livepeer::SessionStats();
  const auto model = now.session ? now.session->model() : nullptr;
  const uint64_t seed = settings->random_seed ? now.drawn_seed : settings->upscale.seed;
  return gst_structure_new(
      "livepeer-upscale-stats", "in", G_TYPE_UINT64, now.frames_in, "out", G_TYPE_UINT64,
      now.frames_out, "inferred", G_TYPE_UINT64, s.inferred, "reused", G_TYPE_UINT64, s.reused,
      "late", G_TYPE_UINT64, s.late + now.base_dropped, "cancelled", G_TYPE_UINT64, s.cancelled,
      "flagged", G_TYPE_UINT64, s.flagged, "load-time", G_TYPE_UINT64, guint64(s.load_time.count()),
      "last-time", G_TYPE_UINT64, guint64(s.last_time.count()), "mean-time", G_TYPE_UINT64,
      guint64(s.mean_time.count()), "seed", G_TYPE_INT64, gint64(seed), "model", G_TYPE_STRING,
      model ? model->id().c_str() : "", "device", G_TYPE_STRING,
      model ? model->device().c_str() : "", "precision", G_TYPE_STRING,
      model ? model->precision().c_str() : "", "lora", G_TYPE_STRING,
      model ? now.session->spec().lora.c_str() : "", "cpu-level", G_TYPE_STRING,
      model ? model->cpu_level().c_str() : "", "queue-depth", G_TYPE_UINT, guint(s.queue_depth),
      "peak-memory", G_TYPE_UINT64, livepeer::peak_memory(), nullptr);
}

/// While the model is open, another set of LoRAs is loaded beside it.
void lora_changed(GstLivepeerUpscale *self) {
  const std::shared_ptr<Session> session = gst_livepeer_upscale_session(self);
  if (!session) return;
  const auto reporter = std::make_shared<LoadReporter>(GST_ELEMENT(self), kChangingLora);
  reporter->start();
  try {
    livepeer::Runtime::instance().change_lora(session, self->internals->settings.get()->spec.lora,
                                              gst_livepeer_observe(reporter));
  } catch (...) {
    reporter->failed(livepeer::current_error("changing the LoRA"));
  }
}

void set_property(GObject *object, guint id, const GValue *value, GParamSpec *spec) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(object);
  if ((spec->flags & GST_PARAM_MUTABLE_READY) && GST_STATE(self) > GST_STATE_READY)
    GST_WARNING_OBJECT(self, "%s takes effect at the next start", spec->name);
  self->internals->settings.set_property(id, value);
  if (g_str_equal(spec->name, "latency")) gst_livepeer_upscale_latency_changed(self);
  if (g_str_equal(spec->name, "lora")) lora_changed(self);
}

void get_property(GObject *object, guint id, GValue *value, GParamSpec *) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(object);
  if (id == prop_stats)
    g_value_take_boxed(value, make_stats(self));
  else
    self->internals->settings.get_property(id, value);
}

void finalize(GObject *object) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(object);
  delete self->internals;
  G_OBJECT_CLASS(gst_livepeer_upscale_parent_class)->finalize(object);
}

uint64_t draw_seed() {
  guint32 seed;
  do seed = g_random_int();
  while (seed == 0);
  return seed;
}

gboolean start(GstBaseTransform *trans) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  Internals *internals = self->internals;
  KeptModel &kept = internals->kept;
  const std::shared_ptr<const Settings> settings = internals->settings.get();
  Shared::Values values;
  values.reporter = std::make_shared<LoadReporter>(GST_ELEMENT(self), kOpening);
  values.reporter->start();
  try {
    const std::vector<std::string> complaints = settings->upscale.validate();
    if (!complaints.empty())
      throw livepeer::Error(livepeer::ErrorKind::settings, complaints.front());
    if (!(settings->spec == kept.spec)) kept = {nullptr, settings->spec};
    values.session = livepeer::Runtime::instance().open(settings->spec, settings->limits,
                                                        gst_livepeer_observe(values.reporter));
  } catch (...) {
    values.reporter->failed(livepeer::current_error("opening the model"));
    return FALSE;
  }
  values.drawn_seed = draw_seed();
  internals->sink = {};
  internals->sink.max_in_flight = settings->max_in_flight;
  internals->sink.max_pixels = settings->max_pixels;
  internals->latency.reset();
  internals->timing->reset();
  {
    std::lock_guard<std::mutex> lock(internals->shared.lock);
    internals->shared.values = std::move(values);
  }
  // Set meanwhile, when there was no session to tell.
  if (internals->settings.get()->spec.lora != settings->spec.lora) lora_changed(self);
  return TRUE;
}

gboolean stop(GstBaseTransform *trans) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  Shared::Values values;
  {
    std::lock_guard<std::mutex> lock(self->internals->shared.lock);
    std::swap(values, self->internals->shared.values);
  }
  self->internals->task = {};
  if (!values.session) return TRUE;
  if (auto model = values.session->model())
    self->internals->kept = {std::move(model), values.session->spec()};
  values.session->close();
  values.reporter->cancel();
  return TRUE;
}

gboolean open_engine(GstElement *element) {
  const std::optional<livepeer::Error> error = livepeer::Runtime::instance().prepare();
  if (error) gst_livepeer_post_error(element, *error);
  return !error;
}

GstStateChangeReturn change_state(GstElement *element, GstStateChange transition) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(element);
  Internals *internals = self->internals;
  if (transition == GST_STATE_CHANGE_NULL_TO_READY) {
    if (!open_engine(element)) return GST_STATE_CHANGE_FAILURE;
  } else if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING) {
    GstClock *clock = gst_element_get_clock(element);
    internals->timing->play(clock, gst_element_get_base_time(element));
    gst_clear_object(&clock);
  } else if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED) {
    internals->timing->pause();
  } else if (transition == GST_STATE_CHANGE_PAUSED_TO_READY) {
    // Before the parent waits for the streaming threads.
    gst_livepeer_upscale_interrupt(self);
  }
  const GstStateChangeReturn result =
      GST_ELEMENT_CLASS(gst_livepeer_upscale_parent_class)->change_state(element, transition);
  if (transition == GST_STATE_CHANGE_READY_TO_NULL) internals->kept.model.reset();
  return result;
}

}  // namespace

std::shared_ptr<Session> gst_livepeer_upscale_session(GstLivepeerUpscale *self) {
  std::lock_guard<std::mutex> lock(self->internals->shared.lock);
  return self->internals->shared.values.session;
}

void gst_livepeer_upscale_post_current_error(GstLivepeerUpscale *self, const char *doing) {
  const livepeer::Error error = livepeer::current_error(doing);
  std::shared_ptr<LoadReporter> reporter;
  {
    std::lock_guard<std::mutex> lock(self->internals->shared.lock);
    reporter = self->internals->shared.values.reporter;
  }
  if (!reporter || reporter->claim_error()) gst_livepeer_post_error(GST_ELEMENT(self), error);
}

static void gst_livepeer_upscale_class_init(GstLivepeerUpscaleClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS(klass);
  GstBaseTransformClass *trans_class = GST_BASE_TRANSFORM_CLASS(klass);

  GST_DEBUG_CATEGORY_INIT(gst_livepeer_upscale_debug, "livepeerupscale", 0, "livepeerupscale");
  GST_DEBUG_CATEGORY_INIT(gst_livepeer_engine_debug, "livepeerupscale-engine", 0,
                          "The engine of livepeerupscale");
  livepeer::set_log_sink([](livepeer::LogLevel level, const std::string &line) {
    GST_CAT_LEVEL_LOG(gst_livepeer_engine_debug, debug_level(level), nullptr, "%s", line.c_str());
  });

  object_class->set_property = set_property;
  object_class->get_property = get_property;
  object_class->finalize = finalize;
  prop_stats = gst_livepeer_settings_install(object_class);
  g_object_class_install_property(
      object_class, prop_stats,
      g_param_spec_boxed(
          "stats", "Statistics", "What has become of the frames since the start",
          GST_TYPE_STRUCTURE,
          GParamFlags(G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | GST_PARAM_DOC_SHOW_DEFAULT)));

  gst_element_class_set_static_metadata(
      element_class, "Livepeer diffusion upscaler", "Filter/Effect/Converter/Video/Scaler",
      "Makes video four times as wide and high with a diffusion model",
      "The livepeerupscale authors");
  element_class->change_state = GST_DEBUG_FUNCPTR(change_state);
  trans_class->start = GST_DEBUG_FUNCPTR(start);
  trans_class->stop = GST_DEBUG_FUNCPTR(stop);
  gst_livepeer_upscale_flow_class_init(trans_class);
  gst_livepeer_upscale_negotiation_class_init(element_class, trans_class);
}

static void gst_livepeer_upscale_init(GstLivepeerUpscale *self) {
  self->internals = new Internals;
  gst_livepeer_upscale_flow_init(self);
  gst_livepeer_upscale_task_init(self);
}
