/* Caps, allocation and metas of the livepeerupscale element. */
#include <string>

#include "gstlivepeererror.h"
#include "gstlivepeerupscaleprivate.h"

#define GST_CAT_DEFAULT gst_livepeer_upscale_debug

using livepeer::Error;
using livepeer::ErrorKind;

namespace {

GstBaseTransformClass *parent_transform = nullptr;

constexpr guint64 kDefaultMaxPixels = 3840 * 2160;

GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE(
    "sink", GST_PAD_SINK, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_LIVEPEER_UPSCALE_SINK_CAPS));
GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE(
    "src", GST_PAD_SRC, GST_PAD_ALWAYS, GST_STATIC_CAPS(GST_LIVEPEER_UPSCALE_SRC_CAPS));

GstCaps *transform_caps(GstBaseTransform *trans, GstPadDirection direction, GstCaps *caps,
                        GstCaps *filter) {
  GstCaps *result = gst_livepeer_upscale_transform_caps(direction, caps);
  if (filter) {
    GstCaps *filtered = gst_caps_intersect_full(filter, result, GST_CAPS_INTERSECT_FIRST);
    gst_caps_unref(result);
    result = filtered;
  }
  GST_LOG_OBJECT(trans, "%" GST_PTR_FORMAT " becomes %" GST_PTR_FORMAT, caps, result);
  return result;
}

void check_video(GstLivepeerUpscale *self, const GstVideoInfo *info) {
  const gint width = GST_VIDEO_INFO_WIDTH(info), height = GST_VIDEO_INFO_HEIGHT(info);
  const GstVideoTransferFunction transfer = info->colorimetry.transfer;
  if (transfer == GST_VIDEO_TRANSFER_SMPTE2084 || transfer == GST_VIDEO_TRANSFER_ARIB_STD_B67)
    throw Error(ErrorKind::format,
                "High dynamic range video is not supported; convert it to standard dynamic range "
                "in front of livepeerupscale",
                std::string("the colorimetry's transfer function is ") +
                    (transfer == GST_VIDEO_TRANSFER_SMPTE2084 ? "PQ" : "HLG"));
  const guint64 pixels = guint64(width) * guint64(height);
  const guint64 limit = self->state->max_pixels ? self->state->max_pixels : kDefaultMaxPixels;
  if (pixels > limit)
    throw Error(ErrorKind::format,
                "The frame is too large; scale it down in front of livepeerupscale or raise "
                "max-pixels",
                std::to_string(width) + "x" + std::to_string(height) + " are " +
                    std::to_string(pixels) + " pixels, max-pixels is " + std::to_string(limit));
  if (auto session = gst_livepeer_upscale_session(self)) session->check_memory(width, height);
}

gboolean set_info(GstVideoFilter *filter, GstCaps *in_caps, GstVideoInfo *in_info, GstCaps *,
                  GstVideoInfo *) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(filter);
  State *state = self->state;
  try {
    check_video(self, in_info);
  } catch (...) {
    if (!state->refused || !gst_caps_is_equal(state->refused.get(), in_caps))
      gst_livepeer_post_error(GST_ELEMENT(self), livepeer::current_error("taking new caps"));
    state->refused.reset(gst_caps_ref(in_caps));
    return FALSE;
  }
  state->refused.reset();
  state->scaler.reset();
  state->alpha_scaler.reset();
  state->shrinker.reset();
  state->blurrer.reset();
  state->last_shown.reset();
  return TRUE;
}

gboolean set_caps(GstBaseTransform *trans, GstCaps *in_caps, GstCaps *out_caps) {
  const gboolean taken = parent_transform->set_caps(trans, in_caps, out_caps);
  // GstVideoFilter takes a filter without transform_frame for one that works in place.
  gst_base_transform_set_in_place(trans, FALSE);
  return taken;
}

/// Copies what does not depend on the size, scales what does and can be, drops the rest.
gboolean transform_meta(GstBaseTransform *trans, GstBuffer *out, GstMeta *meta, GstBuffer *in) {
  const GstMetaInfo *info = meta->info;
  GstVideoFilter *filter = GST_VIDEO_FILTER(trans);

  if (info->api == GST_VIDEO_CROP_META_API_TYPE) {
    const auto *crop = reinterpret_cast<GstVideoCropMeta *>(meta);
    GstVideoCropMeta *scaled = gst_buffer_add_video_crop_meta(out);
    scaled->x = crop->x * GST_LIVEPEER_UPSCALE_FACTOR;
    scaled->y = crop->y * GST_LIVEPEER_UPSCALE_FACTOR;
    scaled->width = crop->width * GST_LIVEPEER_UPSCALE_FACTOR;
    scaled->height = crop->height * GST_LIVEPEER_UPSCALE_FACTOR;
    return FALSE;
  }
  if (gst_meta_api_type_has_tag(info->api, _gst_meta_tag_memory)) return FALSE;
  if (!gst_meta_api_type_has_tag(info->api,
                                 g_quark_from_static_string(GST_META_TAG_VIDEO_SIZE_STR)) &&
      info->api != GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)
    return TRUE;
  if (info->transform_func) {
    GstVideoMetaTransform scale = {&filter->in_info, &filter->out_info};
    info->transform_func(out, meta, in, gst_video_meta_transform_scale_get_quark(), &scale);
  }
  return FALSE;
}

}  // namespace

void gst_livepeer_upscale_negotiation_class_init(GstElementClass *element_class,
                                                 GstBaseTransformClass *trans_class,
                                                 GstVideoFilterClass *filter_class) {
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  parent_transform = GST_BASE_TRANSFORM_CLASS(g_type_class_peek_parent(trans_class));
  trans_class->set_caps = GST_DEBUG_FUNCPTR(set_caps);
  trans_class->transform_caps = GST_DEBUG_FUNCPTR(transform_caps);
  trans_class->transform_meta = GST_DEBUG_FUNCPTR(transform_meta);
  trans_class->passthrough_on_same_caps = FALSE;
  filter_class->set_info = GST_DEBUG_FUNCPTR(set_info);
}
