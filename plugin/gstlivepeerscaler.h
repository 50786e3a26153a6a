#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/** Plain (Lanczos) scaling between two fixed sizes of pixels without padding. One thread at a time.
 */
typedef struct _GstLivepeerScaler GstLivepeerScaler;

/**
 * gst_livepeer_scaler_new:
 * @format: %GST_VIDEO_FORMAT_RGB, or one of %GST_VIDEO_FORMAT_GRAY8 and GRAY16
 *
 * Returns: (transfer full) (nullable): a scaler, to be freed with gst_livepeer_scaler_free(); NULL
 * where GStreamer cannot convert between the sizes
 */
GstLivepeerScaler *gst_livepeer_scaler_new(GstVideoFormat format, gint in_width, gint in_height,
                                           gint out_width, gint out_height);

void gst_livepeer_scaler_free(GstLivepeerScaler *scaler);

/** Scales the pixels at @in into @out. Returns: FALSE where that was not possible. */
gboolean gst_livepeer_scaler_process(GstLivepeerScaler *scaler, const guint8 *in, guint8 *out);

G_END_DECLS
