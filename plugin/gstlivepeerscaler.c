#include "gstlivepeerscaler.h"

struct _GstLivepeerScaler {
  GstVideoInfo in, out;
  GstVideoConverter *converter;
};

static void packed_info(GstVideoInfo *info, GstVideoFormat format, gint width, gint height) {
  gst_video_info_set_format(info, format, (guint)width, (guint)height);
  info->stride[0] = width * GST_VIDEO_INFO_COMP_PSTRIDE(info, 0);
  info->size = (gsize)info->stride[0] * (gsize)height;
}

GstLivepeerScaler *gst_livepeer_scaler_new(GstVideoFormat format, gint in_width, gint in_height,
                                           gint out_width, gint out_height) {
  GstLivepeerScaler *scaler = g_new0(GstLivepeerScaler, 1);

  packed_info(&scaler->in, format, in_width, in_height);
  packed_info(&scaler->out, format, out_width, out_height);
  scaler->converter = gst_video_converter_new(
      &scaler->in, &scaler->out,
      gst_structure_new("options", GST_VIDEO_CONVERTER_OPT_RESAMPLER_METHOD,
                        GST_TYPE_VIDEO_RESAMPLER_METHOD, GST_VIDEO_RESAMPLER_METHOD_LANCZOS,
                        GST_VIDEO_CONVERTER_OPT_DITHER_METHOD, GST_TYPE_VIDEO_DITHER_METHOD,
                        GST_VIDEO_DITHER_NONE, NULL));
  if (scaler->converter != NULL) return scaler;
  g_free(scaler);
  return NULL;
}

void gst_livepeer_scaler_free(GstLivepeerScaler *scaler) {
  if (scaler == NULL) return;
  gst_video_converter_free(scaler->converter);
  g_free(scaler);
}

gboolean gst_livepeer_scaler_process(GstLivepeerScaler *scaler, const guint8 *in, guint8 *out) {
  GstBuffer *in_buffer = gst_buffer_new_wrapped_full(
      GST_MEMORY_FLAG_READONLY, (gpointer)in, scaler->in.size, 0, scaler->in.size, NULL, NULL);
  GstBuffer *out_buffer = gst_buffer_new_wrapped_full((GstMemoryFlags)0, out, scaler->out.size, 0,
                                                      scaler->out.size, NULL, NULL);
  GstVideoFrame in_frame, out_frame;
  gboolean done = FALSE;

  if (gst_video_frame_map(&in_frame, &scaler->in, in_buffer, GST_MAP_READ)) {
    if (gst_video_frame_map(&out_frame, &scaler->out, out_buffer, GST_MAP_WRITE)) {
      gst_video_converter_frame(scaler->converter, &in_frame, &out_frame);
      done = TRUE;
      gst_video_frame_unmap(&out_frame);
    }
    gst_video_frame_unmap(&in_frame);
  }
  gst_buffer_unref(in_buffer);
  gst_buffer_unref(out_buffer);
  return done;
}
