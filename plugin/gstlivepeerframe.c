#include "gstlivepeerframe.h"

#include <string.h>

/* One component (0..2: R, G, B, 3: alpha) to or from every @packed_stride-th byte of @packed. */
static void copy_component(const GstVideoFrame *frame, guint component, guint8 *packed,
                           gsize packed_stride, gboolean to_frame) {
  const gint width = GST_VIDEO_FRAME_WIDTH(frame);
  const gint height = GST_VIDEO_FRAME_HEIGHT(frame);
  const gsize step = (gsize)GST_VIDEO_FRAME_COMP_PSTRIDE(frame, component);
  const gssize stride = GST_VIDEO_FRAME_COMP_STRIDE(frame, component);
  guint8 *row = GST_VIDEO_FRAME_COMP_DATA(frame, component);

  for (gint y = 0; y < height; y++, row += stride) {
    guint8 *pixel = row;
    if (to_frame) {
      for (gint x = 0; x < width; x++, pixel += step, packed += packed_stride) *pixel = *packed;
    } else {
      for (gint x = 0; x < width; x++, pixel += step, packed += packed_stride) *packed = *pixel;
    }
  }
}

static gboolean is_packed_rgb(const GstVideoFrame *frame) {
  return GST_VIDEO_FRAME_FORMAT(frame) == GST_VIDEO_FORMAT_RGB;
}

static guint8 *row_of(const GstVideoFrame *frame, gint y) {
  return (guint8 *)GST_VIDEO_FRAME_PLANE_DATA(frame, 0) +
         (gssize)y * GST_VIDEO_FRAME_PLANE_STRIDE(frame, 0);
}

void gst_livepeer_frame_get_rgb(const GstVideoFrame *frame, guint8 *rgb) {
  const gsize row_size = (gsize)GST_VIDEO_FRAME_WIDTH(frame) * 3;

  if (is_packed_rgb(frame)) {
    for (gint y = 0; y < GST_VIDEO_FRAME_HEIGHT(frame); y++)
      memcpy(rgb + (gsize)y * row_size, row_of(frame, y), row_size);
    return;
  }
  for (guint c = 0; c < 3; c++) copy_component(frame, c, rgb + c, 3, FALSE);
}

void gst_livepeer_frame_set_rgb(GstVideoFrame *frame, const guint8 *rgb) {
  const gsize row_size = (gsize)GST_VIDEO_FRAME_WIDTH(frame) * 3;

  if (is_packed_rgb(frame)) {
    for (gint y = 0; y < GST_VIDEO_FRAME_HEIGHT(frame); y++)
      memcpy(row_of(frame, y), rgb + (gsize)y * row_size, row_size);
    return;
  }
  for (guint c = 0; c < 3; c++) copy_component(frame, c, (guint8 *)rgb + c, 3, TRUE);
}

void gst_livepeer_frame_get_alpha(const GstVideoFrame *frame, guint8 *alpha) {
  g_return_if_fail(GST_VIDEO_INFO_HAS_ALPHA(&frame->info));
  copy_component(frame, 3, alpha, 1, FALSE);
}

void gst_livepeer_frame_set_alpha(GstVideoFrame *frame, const guint8 *alpha) {
  g_return_if_fail(GST_VIDEO_INFO_HAS_ALPHA(&frame->info));
  copy_component(frame, 3, (guint8 *)alpha, 1, TRUE);
}
