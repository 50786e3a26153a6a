#include "gstlivepeermetas.h"

#ifdef HAVE_GST_ANALYTICS
#include <gst/analytics/analytics.h>
#endif

/* Enlarging changes the size only: what depends on colours or orientation stays true. */
static gboolean is_understood(GType api) {
  static const gchar *const understood[] = {GST_META_TAG_VIDEO_STR, GST_META_TAG_VIDEO_SIZE_STR,
                                            GST_META_TAG_VIDEO_ORIENTATION_STR,
                                            GST_META_TAG_VIDEO_COLORSPACE_STR, NULL};
  const gchar *const *tag = gst_meta_api_type_get_tags(api);

  while (tag != NULL && *tag != NULL) {
    if (!g_strv_contains(understood, *tag++)) return FALSE;
  }
  return TRUE;
}

/* GStreamer's own transforms of these can only copy, or leave parameters behind. */

static void enlarge_crop(GstBuffer *out, const GstVideoCropMeta *crop, guint by_x, guint by_y) {
  GstVideoCropMeta *enlarged = gst_buffer_add_video_crop_meta(out);

  enlarged->x = crop->x * by_x;
  enlarged->y = crop->y * by_y;
  enlarged->width = crop->width * by_x;
  enlarged->height = crop->height * by_y;
}

/* Standards differ in whether lines are counted from 0 or 1. Multiplied, a bar never covers a line
 * of the picture either way, and 0 stays 0, which says that there is none. */
static void enlarge_bars(GstBuffer *out, const GstVideoBarMeta *bars, guint by_x, guint by_y) {
  const guint by = bars->is_letterbox ? by_y : by_x;

  gst_buffer_add_video_bar_meta(out, bars->field, bars->is_letterbox, bars->bar_data1 * by,
                                bars->bar_data2 * by);
}

static void enlarge_region(GstBuffer *out, const GstVideoRegionOfInterestMeta *region, guint by_x,
                           guint by_y) {
  GstVideoRegionOfInterestMeta *enlarged = gst_buffer_add_video_region_of_interest_meta_id(
      out, region->roi_type, region->x * by_x, region->y * by_y, region->w * by_x,
      region->h * by_y);

  enlarged->id = region->id;
  enlarged->parent_id = region->parent_id;
  for (const GList *param = region->params; param != NULL; param = param->next)
    gst_video_region_of_interest_meta_add_param(enlarged, gst_structure_copy(param->data));
}

gboolean gst_livepeer_transform_meta(GstBuffer *out, GstMeta *meta, GstBuffer *in,
                                     const GstVideoInfo *in_info, const GstVideoInfo *out_info) {
  const GstMetaInfo *info = meta->info;
  const guint by_x = (guint)(GST_VIDEO_INFO_WIDTH(out_info) / GST_VIDEO_INFO_WIDTH(in_info));
  const guint by_y = (guint)(GST_VIDEO_INFO_HEIGHT(out_info) / GST_VIDEO_INFO_HEIGHT(in_info));

  if (info->api == GST_VIDEO_CROP_META_API_TYPE) {
    enlarge_crop(out, (const GstVideoCropMeta *)meta, by_x, by_y);
  } else if (info->api == GST_VIDEO_BAR_META_API_TYPE) {
    enlarge_bars(out, (const GstVideoBarMeta *)meta, by_x, by_y);
  } else if (info->api == GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE) {
    enlarge_region(out, (const GstVideoRegionOfInterestMeta *)meta, by_x, by_y);
  } else if (!gst_meta_api_type_has_tag(info->api,
                                        g_quark_from_static_string(GST_META_TAG_VIDEO_SIZE_STR))) {
    return is_understood(info->api);
  } else if (is_understood(info->api) && info->transform_func != NULL) {
    GstVideoMetaTransform scale = {(GstVideoInfo *)in_info, (GstVideoInfo *)out_info};
    info->transform_func(out, meta, in, gst_video_meta_transform_scale_get_quark(), &scale);
  }
  return FALSE;
}

void gst_livepeer_add_classification(GstBuffer *buffer, gboolean nsfw, gdouble score) {
#ifdef HAVE_GST_ANALYTICS
  GstAnalyticsRelationMeta *relations = gst_buffer_get_analytics_relation_meta(buffer);
  const gdouble level = CLAMP(score, 0, 1);
  GstAnalyticsClsMtd classification;

  if (relations == NULL) relations = gst_buffer_add_analytics_relation_meta(buffer);
  gst_analytics_relation_meta_add_one_cls_mtd(
      relations, (gfloat)(nsfw ? level : 1 - level),
      nsfw ? g_quark_from_static_string("nsfw") : g_quark_from_static_string("safe"),
      &classification);
#else
  (void)buffer;
  (void)nsfw;
  (void)score;
#endif
}
