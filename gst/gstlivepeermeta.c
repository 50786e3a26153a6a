#include "gst/gstlivepeermeta.h"

static gboolean meta_init(GstMeta *meta, gpointer params, GstBuffer *buffer) {
  GstLivepeerUpscaleMeta *upscale = (GstLivepeerUpscaleMeta *)meta;
  const GstMeta header = upscale->meta;

  (void)params;
  (void)buffer;
  *upscale = (GstLivepeerUpscaleMeta){.meta = header};
  return TRUE;
}

static void meta_free(GstMeta *meta, GstBuffer *buffer) {
  GstLivepeerUpscaleMeta *upscale = (GstLivepeerUpscaleMeta *)meta;

  (void)buffer;
  g_free(upscale->prompt);
  g_free(upscale->negative_prompt);
  g_free(upscale->model);
}

/* It says how the picture was made, which stays true whatever is done to it afterwards. */
static gboolean meta_transform(GstBuffer *to, GstMeta *meta, GstBuffer *from, GQuark type,
                               gpointer data) {
  const GstLivepeerUpscaleMeta *source = (const GstLivepeerUpscaleMeta *)meta;
  GstLivepeerUpscaleMeta *copy = gst_buffer_add_livepeer_upscale_meta(to);
  const GstMeta header = copy->meta;

  (void)from;
  (void)type;
  (void)data;
  *copy = *source;
  copy->meta = header;
  copy->prompt = g_strdup(source->prompt);
  copy->negative_prompt = g_strdup(source->negative_prompt);
  copy->model = g_strdup(source->model);
  return TRUE;
}

GType gst_livepeer_upscale_meta_api_get_type(void) {
  static gsize type = 0;

  if (g_once_init_enter(&type)) {
    static const gchar *tags[] = {GST_META_TAG_VIDEO_STR, NULL};
    g_once_init_leave(&type, gst_meta_api_type_register("GstLivepeerUpscaleMetaAPI", tags));
  }
  return type;
}

const GstMetaInfo *gst_livepeer_upscale_meta_get_info(void) {
  static gsize info = 0;

  if (g_once_init_enter(&info)) {
    g_once_init_leave(
        &info, (gsize)gst_meta_register(GST_LIVEPEER_UPSCALE_META_API_TYPE,
                                        "GstLivepeerUpscaleMeta", sizeof(GstLivepeerUpscaleMeta),
                                        meta_init, meta_free, meta_transform));
  }
  return (const GstMetaInfo *)info;
}

GstLivepeerUpscaleMeta *gst_buffer_add_livepeer_upscale_meta(GstBuffer *buffer) {
  return (GstLivepeerUpscaleMeta *)gst_buffer_add_meta(buffer, gst_livepeer_upscale_meta_get_info(),
                                                       NULL);
}

GstLivepeerUpscaleMeta *gst_buffer_get_livepeer_upscale_meta(GstBuffer *buffer) {
  return (GstLivepeerUpscaleMeta *)gst_buffer_get_meta(buffer, GST_LIVEPEER_UPSCALE_META_API_TYPE);
}
