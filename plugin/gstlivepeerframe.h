#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/* Between a mapped video frame of a format of 8-bit RGB and pixels without padding:
 * @rgb holds 3 bytes and @alpha 1 byte for each pixel, row by row. */

void gst_livepeer_frame_get_rgb(const GstVideoFrame *frame, guint8 *rgb);

/** The frame's format must have alpha. */
void gst_livepeer_frame_get_alpha(const GstVideoFrame *frame, guint8 *alpha);

/** @frame must be a multiple of 4 wide. @alpha may be NULL where its format has none. */
void gst_livepeer_frame_set(GstVideoFrame *frame, const guint8 *rgb, const guint8 *alpha);

G_END_DECLS
