/* Caps, allocation and metas of the livepeerupscale element. */
#include <algorithm>
#include <string>

#include "gstlivepeererror.h"
#include "gstlivepeermetas.h"
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
  if (GST_VIDEO_INFO_INTERLACE_MODE(info) != GST_VIDEO_INTERLACE_MODE_PROGRESSIVE &&
      GST_VIDEO_INFO_INTERLACE_MODE(info) != GST_VIDEO_INTERLACE_MODE_MIXED)
    throw gst_livepeer_upscale_interlaced_error(
        std::string("interlace-mode is ") +
        gst_video_interlace_mode_to_string(GST_VIDEO_INFO_INTERLACE_MODE(info)));
  const guint64 pixels = guint64(width) * guint64(height);
  const guint64 limit =
      self->internals->sink.max_pixels ? self->internals->sink.max_pixels : kDefaultMaxPixels;
  if (pixels > limit)
    throw Error(ErrorKind::format,
                "The frame is too large; scale it down in front of livepeerupscale or raise "
                "max-pixels",
                std::to_string(width) + "x" + std::to_string(height) + " are " +
                    std::to_string(pixels) + " pixels, max-pixels is " + std::to_string(limit));
  if (auto session = gst_livepeer_upscale_session(self))
    session->check_memory(width, height, gst_livepeer_is_plain_rgb(*info) ? 1 : 2);
}

/// Bounds of the sides come from the templates; those of a frame in bytes are GStreamer's own.
Negotiated described(GstCaps *in_caps, GstCaps *out_caps) {
  Negotiated result;
  if (gst_video_info_from_caps(&result.in, in_caps) &&
      gst_video_info_from_caps(&result.out, out_caps))
    return result;
  gchar *text = gst_caps_to_string(in_caps);
  const std::string detail = text;
  g_free(text);
  throw Error(
      ErrorKind::format,
      "GStreamer cannot describe such frames or what they would become, most likely as they "
      "are too large; scale them down in front of livepeerupscale",
      detail);
}

gboolean set_caps(GstBaseTransform *trans, GstCaps *in_caps, GstCaps *out_caps) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  Internals *internals = self->internals;
  Negotiated negotiated;
  if (!internals->fifo.drain()) return FALSE;
  try {
    negotiated = described(in_caps, out_caps);
    check_video(self, &negotiated.in);
    const unsigned n_threads = internals->settings.get()->limits.n_threads;
    negotiated.out.colorimetry = negotiated.in.colorimetry;
    negotiated.out.chroma_site = negotiated.in.chroma_site;
    const auto light = std::make_shared<const LightScale>(negotiated.in);
    negotiated.reader = std::make_shared<const PixelReader>(negotiated.in, light, n_threads);
    negotiated.writer = std::make_shared<const PixelWriter>(negotiated.out, light, n_threads);
  } catch (...) {
    CapsPtr &refused = internals->sink.refused;
    if (!refused || !gst_caps_is_equal(refused.get(), in_caps))
      gst_livepeer_post_error(GST_ELEMENT(self), livepeer::current_error("taking new caps"));
    refused.reset(gst_caps_ref(in_caps));
    return FALSE;
  }
  internals->negotiated = negotiated;
  internals->sink.refused.reset();
  internals->sink.new_picture = true;
  internals->task.scalers = {};
  internals->task.since_flush.last_shown.reset();
  return TRUE;
}

/// Whether downstream wants its buffers in no particular memory.
bool takes_any_memory(GstQuery *query) {
  if (gst_query_get_n_allocation_pools(query) > 0) return false;
  for (guint i = 0; i < gst_query_get_n_allocation_params(query); ++i) {
    GstAllocator *allocator = nullptr;
    GstAllocationParams params;
    gst_query_parse_nth_allocation_param(query, i, &allocator, &params);
    const bool any =
        !allocator && !params.flags && !params.align && !params.prefix && !params.padding;
    if (allocator) gst_object_unref(allocator);
    if (!any) return false;
  }
  return true;
}

/// Downstream's pool, or one of our own; downstream's padding where it is told by video meta.
gboolean decide_allocation(GstBaseTransform *trans, GstQuery *query) {
  GstLivepeerUpscale *self = GST_LIVEPEER_UPSCALE(trans);
  if (!self->internals->fifo.drain()) return FALSE;
  Negotiated &negotiated = self->internals->negotiated;
  negotiated.lends_pictures = GST_VIDEO_INFO_FORMAT(&negotiated.out) == GST_VIDEO_FORMAT_RGB &&
                              gst_livepeer_is_plain_rgb(negotiated.out) && takes_any_memory(query);
  GstCaps *caps;
  GstBufferPool *pool = nullptr;
  guint size = 0, min = 0, max = 0;
  const bool offered = gst_query_get_n_allocation_pools(query) > 0;
  gst_query_parse_allocation(query, &caps, nullptr);
  if (offered) gst_query_parse_nth_allocation_pool(query, 0, &pool, &size, &min, &max);
  size = std::max(size, guint(GST_VIDEO_INFO_SIZE(&negotiated.out)));
  if (!pool) pool = gst_video_buffer_pool_new();
  GstStructure *config = gst_buffer_pool_get_config(pool);
  gst_buffer_pool_config_set_params(config, caps, size, min, max);
  if (gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr))
    gst_buffer_pool_config_add_option(config, GST_BUFFER_POOL_OPTION_VIDEO_META);
  gst_buffer_pool_set_config(pool, config);  // the parent looks at the result
  if (offered)
    gst_query_set_nth_allocation_pool(query, 0, pool, size, min, max);
  else
    gst_query_add_allocation_pool(query, pool, size, min, max);
  gst_object_unref(pool);
  return parent_transform->decide_allocation(trans, query);
}

gboolean propose_allocation(GstBaseTransform *trans, GstQuery *decided, GstQuery *query) {
  if (!parent_transform->propose_allocation(trans, decided, query)) return FALSE;
  gst_query_add_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr);
  return TRUE;
}

/// Never called: generate_output() is this element's own. Without it the base class would take the
/// element for one that works in place.
GstFlowReturn transform(GstBaseTransform *, GstBuffer *, GstBuffer *) {
  return GST_FLOW_NOT_SUPPORTED;
}

gboolean transform_meta(GstBaseTransform *trans, GstBuffer *out, GstMeta *meta, GstBuffer *in) {
  const Negotiated &negotiated = GST_LIVEPEER_UPSCALE(trans)->internals->negotiated;
  return gst_livepeer_transform_meta(out, meta, in, &negotiated.in, &negotiated.out);
}

}  // namespace

Error gst_livepeer_upscale_interlaced_error(const std::string &detail) {
  return Error(ErrorKind::format,
               "Interlaced video is not upscaled; put deinterlace in front of livepeerupscale",
               detail);
}

void gst_livepeer_upscale_negotiation_class_init(GstElementClass *element_class,
                                                 GstBaseTransformClass *trans_class) {
  gst_element_class_add_static_pad_template(element_class, &sink_template);
  gst_element_class_add_static_pad_template(element_class, &src_template);
  parent_transform = GST_BASE_TRANSFORM_CLASS(g_type_class_peek_parent(trans_class));
  trans_class->set_caps = GST_DEBUG_FUNCPTR(set_caps);
  trans_class->transform_caps = GST_DEBUG_FUNCPTR(transform_caps);
  trans_class->transform_meta = GST_DEBUG_FUNCPTR(transform_meta);
  trans_class->passthrough_on_same_caps = FALSE;
  trans_class->decide_allocation = GST_DEBUG_FUNCPTR(decide_allocation);
  trans_class->propose_allocation = GST_DEBUG_FUNCPTR(propose_allocation);
  trans_class->transform = GST_DEBUG_FUNCPTR(transform);
}
