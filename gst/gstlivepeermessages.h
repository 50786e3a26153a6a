#pragma once

#include "gst/gstlivepeermeta.h"

G_BEGIN_DECLS

/** Name of the element message about a frame; its fields are those of the meta, with the flags as
 * booleans `inferred`, `reused`, `late`, `scaled`, `nsfw`, the time as double `milliseconds`, and
 * `timestamp`, `duration`, `running-time`, `stream-time` in nanoseconds. */
#define GST_LIVEPEER_UPSCALE_MESSAGE "livepeer-upscale"
/** Name of the element message about a step: double `fraction` (0 to 1) and `timestamp`. */
#define GST_LIVEPEER_UPSCALE_STEP_MESSAGE "livepeer-upscale-step"

/** About one frame, timed in @segment. */
GST_LIVEPEER_API
GstMessage *gst_livepeer_message_new_upscale(GstObject *src, const GstLivepeerUpscaleMeta *meta,
                                             GstBuffer *buffer, const GstSegment *segment);

/** About one step of the frame at @timestamp. */
GST_LIVEPEER_API
GstMessage *gst_livepeer_message_new_step(GstObject *src, GstClockTime timestamp, gdouble fraction);

/** FALSE: @message is not about a step. @timestamp and @fraction may be %NULL. */
GST_LIVEPEER_API
gboolean gst_livepeer_message_parse_step(GstMessage *message, GstClockTime *timestamp,
                                         gdouble *fraction);

/** The safety checker's verdict on a frame. FALSE: @message is not about a frame. @nsfw and @score
 * may be %NULL. */
GST_LIVEPEER_API
gboolean gst_livepeer_message_parse_safety(GstMessage *message, gboolean *nsfw, gdouble *score);

/** A PROGRESS message whose structure also has the int field `percent`. */
GST_LIVEPEER_API
GstMessage *gst_livepeer_message_new_progress(GstObject *src, GstProgressType type,
                                              const gchar *code, gint percent, const gchar *text);

G_END_DECLS
