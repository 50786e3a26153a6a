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

#if GST_CHECK_VERSION(1, 24, 0)

/* The fields in their order, numbers in little endian, texts as bytes, since nobody promises that
 * they are UTF-8. Another order is another version. */
#define SERIALIZED_VERSION 0
#define SERIALIZED_TYPE "(tudidmaymaymaytud)"
#define SERIALIZED_FORMAT "(tudidm^aym^aym^aytud)"

static GVariant *in_little_endian(GVariant *native) {
#if G_BYTE_ORDER == G_LITTLE_ENDIAN
  return g_variant_ref(native);
#else
  return g_variant_byteswap(native);
#endif
}

static gboolean meta_serialize(const GstMeta *meta, GstByteArrayInterface *data, guint8 *version) {
  const GstLivepeerUpscaleMeta *upscale = (const GstLivepeerUpscaleMeta *)meta;
  GVariant *native = g_variant_ref_sink(g_variant_new(
      SERIALIZED_FORMAT, upscale->seed, upscale->steps, upscale->guidance_scale,
      upscale->noise_level, upscale->noise_temperature, upscale->prompt, upscale->negative_prompt,
      upscale->model, upscale->time, (guint)upscale->flags, upscale->nsfw_score));
  GVariant *fields = in_little_endian(native);
  const gboolean appended = gst_byte_array_interface_append_data(data, g_variant_get_data(fields),
                                                                 g_variant_get_size(fields));

  g_variant_unref(fields);
  g_variant_unref(native);
  *version = SERIALIZED_VERSION;
  return appended;
}

static GstMeta *meta_deserialize(const GstMetaInfo *info, GstBuffer *buffer, const guint8 *data,
                                 gsize size, guint8 version) {
  GstLivepeerUpscaleMeta *upscale = NULL;
  GBytes *bytes = g_bytes_new(data, size);
  GVariant *fields =
      g_variant_ref_sink(g_variant_new_from_bytes(G_VARIANT_TYPE(SERIALIZED_TYPE), bytes, FALSE));
  GVariant *native = in_little_endian(fields);
  guint flags;

  (void)info;
  if (version == SERIALIZED_VERSION && g_variant_is_normal_form(fields)) {
    upscale = gst_buffer_add_livepeer_upscale_meta(buffer);
    g_variant_get(native, SERIALIZED_FORMAT, &upscale->seed, &upscale->steps,
                  &upscale->guidance_scale, &upscale->noise_level, &upscale->noise_temperature,
                  &upscale->prompt, &upscale->negative_prompt, &upscale->model, &upscale->time,
                  &flags, &upscale->nsfw_score);
    upscale->flags = (GstLivepeerUpscaleFlags)flags;
  }
  g_variant_unref(native);
  g_variant_unref(fields);
  g_bytes_unref(bytes);
  return (GstMeta *)upscale;
}

static const GstMetaInfo *meta_register(void) {
  GstMetaInfo *info = gst_meta_info_new(GST_LIVEPEER_UPSCALE_META_API_TYPE,
                                        "GstLivepeerUpscaleMeta", sizeof(GstLivepeerUpscaleMeta));

  info->init_func = meta_init;
  info->free_func = meta_free;
  info->transform_func = meta_transform;
  info->serialize_func = meta_serialize;
  info->deserialize_func = meta_deserialize;
  return gst_meta_info_register(info);
}

#else

static const GstMetaInfo *meta_register(void) {
  return gst_meta_register(GST_LIVEPEER_UPSCALE_META_API_TYPE, "GstLivepeerUpscaleMeta",
                           sizeof(GstLivepeerUpscaleMeta), meta_init, meta_free, meta_transform);
}

#endif

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

  if (g_once_init_enter(&info)) g_once_init_leave(&info, (gsize)meta_register());
  return (const GstMetaInfo *)info;
}

GstLivepeerUpscaleMeta *gst_buffer_add_livepeer_upscale_meta(GstBuffer *buffer) {
  return (GstLivepeerUpscaleMeta *)gst_buffer_add_meta(buffer, gst_livepeer_upscale_meta_get_info(),
                                                       NULL);
}

GstLivepeerUpscaleMeta *gst_buffer_get_livepeer_upscale_meta(GstBuffer *buffer) {
  return (GstLivepeerUpscaleMeta *)gst_buffer_get_meta(buffer, GST_LIVEPEER_UPSCALE_META_API_TYPE);
}
