#include "gst/gstlivepeermessages.h"

GstMessage *gst_livepeer_message_new_upscale(GstObject *src, const GstLivepeerUpscaleMeta *meta,
                                             GstBuffer *buffer, const GstSegment *segment) {
  const GstClockTime timestamp = GST_BUFFER_PTS(buffer);
  const gboolean timed = segment->format == GST_FORMAT_TIME;
  const GstClockTime running_time =
      timed ? gst_segment_to_running_time(segment, GST_FORMAT_TIME, timestamp)
            : GST_CLOCK_TIME_NONE;
  const GstClockTime stream_time =
      timed ? gst_segment_to_stream_time(segment, GST_FORMAT_TIME, timestamp) : GST_CLOCK_TIME_NONE;

#define FLAG(name) G_TYPE_BOOLEAN, (meta->flags & GST_LIVEPEER_UPSCALE_##name) != 0
  return gst_message_new_element(
      src,
      gst_structure_new(
          GST_LIVEPEER_UPSCALE_MESSAGE, "timestamp", G_TYPE_UINT64, timestamp, "duration",
          G_TYPE_UINT64, GST_BUFFER_DURATION(buffer), "running-time", G_TYPE_UINT64, running_time,
          "stream-time", G_TYPE_UINT64, stream_time, "seed", G_TYPE_INT64, (gint64)meta->seed,
          "steps", G_TYPE_UINT, meta->steps, "guidance-scale", G_TYPE_DOUBLE, meta->guidance_scale,
          "noise-level", G_TYPE_INT, meta->noise_level, "noise-temperature", G_TYPE_DOUBLE,
          meta->noise_temperature, "model", G_TYPE_STRING, meta->model, "milliseconds",
          G_TYPE_DOUBLE, (gdouble)meta->time / (gdouble)GST_MSECOND, "inferred", FLAG(INFERRED),
          "reused", FLAG(REUSED), "late", FLAG(LATE), "scaled", FLAG(SCALED), "nsfw", FLAG(NSFW),
          "nsfw-score", G_TYPE_DOUBLE, meta->nsfw_score, NULL));
#undef FLAG
}

GstMessage *gst_livepeer_message_new_step(GstObject *src, GstClockTime timestamp,
                                          gdouble fraction) {
  return gst_message_new_element(
      src, gst_structure_new(GST_LIVEPEER_UPSCALE_STEP_MESSAGE, "timestamp", G_TYPE_UINT64,
                             timestamp, "fraction", G_TYPE_DOUBLE, fraction, NULL));
}

static const GstStructure *named(GstMessage *message, const gchar *name) {
  const GstStructure *structure = gst_message_get_structure(message);

  if (GST_MESSAGE_TYPE(message) != GST_MESSAGE_ELEMENT) return NULL;
  return structure && gst_structure_has_name(structure, name) ? structure : NULL;
}

gboolean gst_livepeer_message_parse_step(GstMessage *message, GstClockTime *timestamp,
                                         gdouble *fraction) {
  const GstStructure *structure = named(message, GST_LIVEPEER_UPSCALE_STEP_MESSAGE);

  if (structure == NULL) return FALSE;
  if (timestamp) gst_structure_get_uint64(structure, "timestamp", timestamp);
  if (fraction) gst_structure_get_double(structure, "fraction", fraction);
  return TRUE;
}

gboolean gst_livepeer_message_parse_safety(GstMessage *message, gboolean *nsfw, gdouble *score) {
  const GstStructure *structure = named(message, GST_LIVEPEER_UPSCALE_MESSAGE);

  if (structure == NULL) return FALSE;
  if (nsfw) gst_structure_get_boolean(structure, "nsfw", nsfw);
  if (score) gst_structure_get_double(structure, "nsfw-score", score);
  return TRUE;
}

GstMessage *gst_livepeer_message_new_progress(GstObject *src, GstProgressType type,
                                              const gchar *code, gint percent, const gchar *text) {
  GstMessage *message = gst_message_new_progress(src, type, code, text);

  gst_structure_set(gst_message_writable_structure(message), "percent", G_TYPE_INT, percent, NULL);
  return message;
}
