#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/**
 * gst_livepeer_transform_meta:
 * @out: what gets the meta
 * @meta: a meta of @in, not of the buffer's memory
 * @in_info: of the picture in @in
 * @out_info: of the picture in @out, enlarged by a whole number
 *
 * Lets @out inherit @meta: positions and sizes follow the picture, by the meta's own transform
 * where it has one. What depends on things that nobody here knows of is left out.
 *
 * Returns: whether the caller has to copy @meta as it is
 */
gboolean gst_livepeer_transform_meta(GstBuffer *out, GstMeta *meta, GstBuffer *in,
                                     const GstVideoInfo *in_info, const GstVideoInfo *out_info);

/**
 * gst_livepeer_add_classification:
 * @buffer: a writable buffer
 * @nsfw: what the safety checker says of the frame
 * @score: its score, of which 0 to 1 is kept
 *
 * Says the verdict in the words of GStreamer's analytics library as well: the class `nsfw` by
 * @score, or `safe` by the rest. Does nothing in a build without that library, which came with
 * GStreamer 1.24.
 */
void gst_livepeer_add_classification(GstBuffer *buffer, gboolean nsfw, gdouble score);

G_END_DECLS
