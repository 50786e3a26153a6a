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

/* Pixels of four bytes, the colours in either order, and one more behind or before. */
static gboolean is_packed_in_4(const GstVideoFrame *frame) {
  return GST_VIDEO_FRAME_COMP_PSTRIDE(frame, 0) == 4 &&
         GST_VIDEO_FRAME_COMP_POFFSET(frame, 0) + GST_VIDEO_FRAME_COMP_POFFSET(frame, 2) ==
             2 * GST_VIDEO_FRAME_COMP_POFFSET(frame, 1);
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

void gst_livepeer_frame_get_alpha(const GstVideoFrame *frame, guint8 *alpha) {
  g_return_if_fail(GST_VIDEO_INFO_HAS_ALPHA(&frame->info));
  copy_component(frame, 3, alpha, 1, FALSE);
}

/* One row of pixels of four bytes, four of them at a time: their colours are three words. In words
 * of little endian red is the lowest byte of @rgb's colours, and the highest if @swapped. */
static inline void set_row_of_4(guint8 *row, const guint8 *rgb, const guint8 *alpha, gint width,
                                gboolean swapped, guint shift) {
  for (gint x = 0; x < width; x += 4, rgb += 12, row += 16) {
    guint32 in[3], pixels[4];

    memcpy(in, rgb, sizeof(in));
    for (gint i = 0; i < 3; i++) in[i] = GUINT32_FROM_LE(in[i]);
    pixels[0] = in[0];
    pixels[1] = in[0] >> 24 | in[1] << 8;
    pixels[2] = in[1] >> 16 | in[2] << 16;
    pixels[3] = in[2] >> 8;
    for (gint i = 0; i < 4; i++) {
      const guint32 opacity = alpha ? alpha[x + i] : 255;
      guint32 pixel = pixels[i] & 0xffffff;
      if (swapped) pixel = GUINT32_SWAP_LE_BE(pixel) >> 8;
      pixels[i] = GUINT32_TO_LE(pixel << shift | opacity << (24 - 3 * shift));
    }
    memcpy(row, pixels, sizeof(pixels));
  }
}

static void set_pixels_of_4(GstVideoFrame *frame, const guint8 *rgb, const guint8 *alpha) {
  const gint width = GST_VIDEO_FRAME_WIDTH(frame);
  const gint red = GST_VIDEO_FRAME_COMP_POFFSET(frame, 0);
  const gint blue = GST_VIDEO_FRAME_COMP_POFFSET(frame, 2);
  const guint shift = 8 * (guint)MIN(red, blue);

  for (gint y = 0; y < GST_VIDEO_FRAME_HEIGHT(frame); y++, rgb += 3 * (gsize)width) {
    /* Apart, so that compilers make vector instructions of each. */
    if (alpha && blue < red)
      set_row_of_4(row_of(frame, y), rgb, alpha, width, TRUE, shift);
    else if (alpha)
      set_row_of_4(row_of(frame, y), rgb, alpha, width, FALSE, shift);
    else if (blue < red)
      set_row_of_4(row_of(frame, y), rgb, NULL, width, TRUE, shift);
    else
      set_row_of_4(row_of(frame, y), rgb, NULL, width, FALSE, shift);
    if (alpha) alpha += width;
  }
}

void gst_livepeer_frame_set(GstVideoFrame *frame, const guint8 *rgb, const guint8 *alpha) {
  const gsize row_size = (gsize)GST_VIDEO_FRAME_WIDTH(frame) * 3;

  if (is_packed_rgb(frame)) {
    for (gint y = 0; y < GST_VIDEO_FRAME_HEIGHT(frame); y++)
      memcpy(row_of(frame, y), rgb + (gsize)y * row_size, row_size);
  } else if (is_packed_in_4(frame)) {
    set_pixels_of_4(frame, rgb, alpha);
  } else {
    for (guint c = 0; c < 3; c++) copy_component(frame, c, (guint8 *)rgb + c, 3, TRUE);
    if (alpha) copy_component(frame, 3, (guint8 *)alpha, 1, TRUE);
  }
}
