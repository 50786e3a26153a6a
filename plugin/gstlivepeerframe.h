#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/* Between a mapped video frame of a format of 8-bit RGB and pixels without padding:
 * @rgb holds 3 bytes and @alpha 1 byte for each pixel, row by row. */

void gst_livepeer_frame_get_rgb(const GstVideoFrame *frame, guint8 *rgb);

void gst_livepeer_frame_set_rgb(GstVideoFrame *frame, const guint8 *rgb);

/** The frame's format must have alpha. */
void gst_livepeer_frame_get_alpha(const GstVideoFrame *frame, guint8 *alpha);

/** The frame's format must have alpha. */
void gst_livepeer_frame_set_alpha(GstVideoFrame *frame, const guint8 *alpha);

G_END_DECLS
