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

#define FAR G_MAXUINT16

/* Takes over the colour of pixel @from for pixel @to where that is a shorter way to a visible one.
 */
static void propagate(guint8 *rgb, gsize size, guint16 *distance, gsize to, gsize from) {
  if (distance[from] < FAR && distance[from] + 1 < distance[to]) {
    distance[to] = distance[from] + 1;
    memcpy(rgb + to * size, rgb + from * size, size);
  }
}

void gst_livepeer_fill_transparent(guint8 *rgb, const guint8 *alpha, gsize bytes, gint width,
                                   gint height) {
  const gsize w = (gsize)width, h = (gsize)height, size = 3 * bytes;
  guint16 *distance = g_new(guint16, w * h);
  gboolean any = FALSE;

  for (gsize i = 0; i < w * h; i++) {
    distance[i] = alpha[i * bytes] || alpha[(i + 1) * bytes - 1] ? 0 : FAR;
    any = any || distance[i] != 0;
  }
  if (!any) {
    g_free(distance);
    return;
  }
  /* A distance transform in two sweeps that carries colours along. */
  for (gsize y = 0; y < h; y++) {
    for (gsize x = 0; x < w; x++) {
      const gsize i = y * w + x;
      if (x > 0) propagate(rgb, size, distance, i, i - 1);
      if (y > 0) propagate(rgb, size, distance, i, i - w);
    }
  }
  for (gsize y = h; y-- > 0;) {
    for (gsize x = w; x-- > 0;) {
      const gsize i = y * w + x;
      if (x + 1 < w) propagate(rgb, size, distance, i, i + 1);
      if (y + 1 < h) propagate(rgb, size, distance, i, i + w);
    }
  }
  g_free(distance);
}
