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

G_END_DECLS
