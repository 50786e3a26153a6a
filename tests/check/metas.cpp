// Section E: what a frame carries beside its picture.
#ifdef HAVE_GST_ANALYTICS
#include <gst/analytics/analytics.h>
#endif

#include <cstring>

#include "support.h"

namespace {

const char *const kSmall = "format=RGB,width=64,height=48";

GstBuffer *frame() { return pattern_new(info_of(kSmall), 0); }

/// The buffer that comes out for `in`.
GstBuffer *upscaled(GstBuffer *in, const char *properties = "") {
  GstHarness *h = harness_new(kSmall, properties);
  GstBuffer *out = gst_harness_push_and_pull(h, in);
  gst_harness_teardown(h);
  return out;
}

unsigned count(GstBuffer *buffer, GType api) { return gst_buffer_get_n_meta(buffer, api); }

/// Metas of the test's own, by name and tags.
using Tags = std::vector<const gchar *>;

void register_meta(const char *name, Tags tags, GstCustomMetaTransformFunction transform = {}) {
  if (gst_meta_get_info(name)) return;
  tags.push_back(nullptr);
  fail_unless(gst_meta_register_custom(name, tags.data(), transform, nullptr, nullptr) != nullptr);
}

void add_meta(GstBuffer *buffer, const char *name) {
  GstCustomMeta *meta = gst_buffer_add_custom_meta(buffer, name);
  gst_structure_set(gst_custom_meta_get_structure(meta), "width", G_TYPE_INT, 9, nullptr);
}

/// Its width; 0 where the buffer has no such meta.
int width_of(GstBuffer *buffer, const char *name) {
  GstCustomMeta *meta = gst_buffer_get_custom_meta(buffer, name);
  gint width = 0;
  if (meta) gst_structure_get_int(gst_custom_meta_get_structure(meta), "width", &width);
  return width;
}

/// A transform that copies, and scales where `kScales`.
template <bool kScales>
gboolean transform_width(GstBuffer *to, GstCustomMeta *meta, GstBuffer *, GQuark type,
                         gpointer data, gpointer) {
  gint width = 0;
  gst_structure_get_int(gst_custom_meta_get_structure(meta), "width", &width);
  if (GST_VIDEO_META_TRANSFORM_IS_SCALE(type)) {
    if (!kScales) return FALSE;
    const auto *scale = static_cast<GstVideoMetaTransform *>(data);
    width = width * GST_VIDEO_INFO_WIDTH(scale->out_info) / GST_VIDEO_INFO_WIDTH(scale->in_info);
  }
  GstCustomMeta *copy =
      gst_buffer_add_custom_meta(to, gst_structure_get_name(gst_custom_meta_get_structure(meta)));
  gst_structure_set(gst_custom_meta_get_structure(copy), "width", G_TYPE_INT, width, nullptr);
  return TRUE;
}

}  // namespace

POINT(E7_positions_follow_the_picture) {
  GstBuffer *in = frame();
  GstVideoCropMeta *crop = gst_buffer_add_video_crop_meta(in);
  crop->x = 1;
  crop->y = 2;
  crop->width = 30;
  crop->height = 20;
  gst_buffer_add_video_region_of_interest_meta(in, "face", 3, 4, 10, 11);
  auto *region = gst_buffer_add_video_region_of_interest_meta(in, "hand", 5, 6, 7, 8);
  region->id = 2;
  region->parent_id = 1;
  gst_video_region_of_interest_meta_add_param(
      region, gst_structure_new("roi/x264", "delta-qp", G_TYPE_DOUBLE, -1.0, nullptr));
  gst_buffer_add_video_bar_meta(in, 0, TRUE, 6, 42);
  gst_buffer_add_video_bar_meta(in, 0, FALSE, 0, 60);

  GstBuffer *out = upscaled(in);
  crop = gst_buffer_get_video_crop_meta(out);
  fail_unless(crop && crop->x == 4 && crop->y == 8 && crop->width == 120 && crop->height == 80);
  fail_unless_equals_int(int(count(out, GST_VIDEO_REGION_OF_INTEREST_META_API_TYPE)), 2);
  region = gst_buffer_get_video_region_of_interest_meta_id(out, 0);
  fail_unless(region && region->x == 12 && region->y == 16 && region->w == 40 && region->h == 44);
  region = gst_buffer_get_video_region_of_interest_meta_id(out, 2);
  fail_unless(region && region->x == 20 && region->y == 24 && region->w == 28 && region->h == 32);
  fail_unless(region->parent_id == 1 && region->roi_type == g_quark_from_static_string("hand"));
  fail_unless(gst_video_region_of_interest_meta_get_param(region, "roi/x264") != nullptr);
  using Bars = std::pair<guint, guint>;
  std::vector<Bars> bars;
  gpointer state = nullptr;
  while (GstMeta *meta =
             gst_buffer_iterate_meta_filtered(out, &state, GST_VIDEO_BAR_META_API_TYPE)) {
    const auto *bar = reinterpret_cast<GstVideoBarMeta *>(meta);
    bars.emplace_back(bar->bar_data1, bar->bar_data2);
  }
  fail_unless(bars.size() == 2 && bars[0] == Bars(24, 168) && bars[1] == Bars(0, 240));
  gst_buffer_unref(out);
}

POINT(E7_what_belongs_to_the_moment_passes_unchanged) {
  GstBuffer *in = frame();
  const guint8 caption[] = {1, 2, 3};
  gst_buffer_add_video_caption_meta(in, GST_VIDEO_CAPTION_TYPE_CEA608_RAW, caption, 3);
  gst_buffer_add_video_caption_meta(in, GST_VIDEO_CAPTION_TYPE_CEA708_RAW, caption, 3);
  gst_buffer_add_video_time_code_meta_full(in, 25, 1, nullptr, GST_VIDEO_TIME_CODE_FLAGS_NONE, 1, 2,
                                           3, 4, 0);
  gst_buffer_add_video_afd_meta(in, 0, GST_VIDEO_AFD_SPEC_ATSC_A53,
                                GST_VIDEO_AFD_16_9_LETTER_16_9_FULL);
  GstCaps *caps = gst_caps_new_empty_simple("timestamp/x-ntp");
  gst_buffer_add_reference_timestamp_meta(in, caps, 77, GST_CLOCK_TIME_NONE);

  GstBuffer *out = upscaled(in);
  fail_unless_equals_int(int(count(out, GST_VIDEO_CAPTION_META_API_TYPE)), 2);
  const GstVideoCaptionMeta *captions = gst_buffer_get_video_caption_meta(out);
  fail_unless(captions->caption_type == GST_VIDEO_CAPTION_TYPE_CEA608_RAW && captions->size == 3);
  fail_unless(captions->data[2] == 3);
  const GstVideoTimeCodeMeta *code = gst_buffer_get_video_time_code_meta(out);
  fail_unless(code && code->tc.hours == 1 && code->tc.seconds == 3 && code->tc.frames == 4);
  fail_unless_equals_int(int(count(out, GST_VIDEO_AFD_META_API_TYPE)), 1);
  const auto *afd =
      reinterpret_cast<GstVideoAFDMeta *>(gst_buffer_get_meta(out, GST_VIDEO_AFD_META_API_TYPE));
  fail_unless(afd->spec == GST_VIDEO_AFD_SPEC_ATSC_A53 &&
              afd->afd == GST_VIDEO_AFD_16_9_LETTER_16_9_FULL);
  const auto *timestamp = gst_buffer_get_reference_timestamp_meta(out, caps);
  fail_unless(timestamp && timestamp->timestamp == 77);
  gst_caps_unref(caps);
  gst_buffer_unref(out);
}

POINT(E7_other_metas_by_their_tags_and_by_what_their_transform_answers) {
  register_meta("CheckPlain", {});
  register_meta("CheckColours", {"video", "colorspace", "orientation"});
  register_meta("CheckScaled", {"video", "size"}, transform_width<true>);
  register_meta("CheckRefused", {"video", "size"}, transform_width<false>);
  register_meta("CheckSizeOnly", {"size"});
  register_meta("CheckUnknown", {"video", "x-unheard-of"});
  register_meta("CheckUnknownSize", {"size", "x-unheard-of"}, transform_width<true>);
  register_meta("CheckMemory", {"video", "memory"});
  const std::pair<const char *, int> wanted[] = {
      {"CheckPlain", 9},    {"CheckColours", 9}, {"CheckScaled", 36},     {"CheckRefused", 0},
      {"CheckSizeOnly", 0}, {"CheckUnknown", 0}, {"CheckUnknownSize", 0}, {"CheckMemory", 0}};
  GstBuffer *in = frame();
  for (const auto &[name, width] : wanted) add_meta(in, name);
  GstBuffer *out = upscaled(in);
  for (const auto &[name, width] : wanted) {
    fail_unless(width_of(out, name) == width, "%s is %d, not %d", name, width_of(out, name), width);
    fail_unless(count(out, gst_meta_get_info(name)->api) == unsigned(width > 0), "%s", name);
  }
  gst_buffer_unref(out);
}

POINT(E8_the_meta_tells_what_was_done_and_survives_copies) {
  GstHarness *h = harness_new("format=RGB,width=4,height=4", "seed=5 steps=3 prompt=sharp model=m");
  const GstVideoInfo info = info_of("format=RGB,width=4,height=4");
  GstBuffer *out = gst_harness_push_and_pull(h, pattern_new(info, 0));
  GstBuffer *copy = gst_buffer_copy(out);
  gst_buffer_unref(out);
  const GstLivepeerUpscaleMeta *meta = gst_buffer_get_livepeer_upscale_meta(copy);
  fail_unless(meta != nullptr);
  fail_unless_equals_uint64(meta->seed, 5);
  fail_unless_equals_int(int(meta->steps), 3);
  fail_unless_equals_string(meta->prompt, "sharp");
  fail_unless_equals_string(meta->model, "m");
  fail_unless_equals_int(meta->flags, GST_LIVEPEER_UPSCALE_INFERRED);
  gst_buffer_unref(copy);
  out = gst_harness_push_and_pull(h, pattern_new(info, GST_SECOND));
  fail_unless_equals_int(gst_buffer_get_livepeer_upscale_meta(out)->flags,
                         GST_LIVEPEER_UPSCALE_REUSED);
  gst_buffer_unref(out);
  gst_harness_teardown(h);
}

#if GST_CHECK_VERSION(1, 24, 0)
POINT(E8_the_meta_serializes) {
  GstBuffer *from = gst_buffer_new(), *to = gst_buffer_new();
  GstLivepeerUpscaleMeta *sent = gst_buffer_add_livepeer_upscale_meta(from);
  sent->seed = ~guint64(1);
  sent->steps = 7;
  sent->guidance_scale = 1.5;
  sent->noise_level = -1;
  sent->noise_temperature = 0.25;
  sent->prompt = g_strdup("sharp, not UTF-8: \xff");
  sent->model = g_strdup("");
  sent->time = 3 * GST_SECOND;
  sent->flags = GST_LIVEPEER_UPSCALE_NSFW;
  sent->nsfw_score = 0.75;
  GByteArray *bytes = g_byte_array_new();
  fail_unless(gst_meta_serialize_simple(&sent->meta, bytes));
  guint32 consumed = 0;
  const auto *got = reinterpret_cast<GstLivepeerUpscaleMeta *>(
      gst_meta_deserialize(to, bytes->data, bytes->len, &consumed));
  fail_unless(got && got == gst_buffer_get_livepeer_upscale_meta(to) && consumed == bytes->len);
  fail_unless(got->seed == sent->seed && got->steps == 7 && got->guidance_scale == 1.5);
  fail_unless(got->noise_level == -1 && got->noise_temperature == 0.25);
  fail_unless_equals_string(got->prompt, sent->prompt);
  fail_unless(got->negative_prompt == nullptr);
  fail_unless_equals_string(got->model, "");
  fail_unless(got->time == 3 * GST_SECOND && got->nsfw_score == 0.75);
  fail_unless(got->flags == GST_LIVEPEER_UPSCALE_NSFW);
  g_byte_array_unref(bytes);
  gst_buffer_unref(from);
  gst_buffer_unref(to);
}

namespace {

gboolean append(GstByteArrayInterface *array, gsize length) {
  auto *bytes = reinterpret_cast<std::vector<guint8> *>(array->_gst_reserved[0]);
  bytes->resize(length);
  array->data = bytes->data();
  return TRUE;
}

}  // namespace

POINT(E8_a_damaged_meta_is_no_meta_or_one_with_whole_texts) {
  const GstMetaInfo *info = gst_livepeer_upscale_meta_get_info();
  GstBuffer *from = gst_buffer_new();
  GstLivepeerUpscaleMeta *sent = gst_buffer_add_livepeer_upscale_meta(from);
  sent->prompt = g_strdup("a longer prompt than the numbers around it take");
  std::vector<guint8> bytes;
  GstByteArrayInterface array;
  gst_byte_array_interface_init(&array);
  array.resize = append;
  array._gst_reserved[0] = &bytes;
  guint8 version = 99;
  fail_unless(info->serialize_func(&sent->meta, &array, &version));
  const auto read = [&](const std::vector<guint8> &data, guint8 in_version) {
    GstBuffer *to = gst_buffer_new();
    auto *got = reinterpret_cast<GstLivepeerUpscaleMeta *>(
        info->deserialize_func(info, to, data.data(), data.size(), in_version));
    size_t length = 0;
    for (const char *text : {got ? got->prompt : nullptr, got ? got->negative_prompt : nullptr})
      length += text ? strlen(text) : 0;
    fail_unless(length <= data.size());
    const bool found = got != nullptr;
    fail_unless(found == (gst_buffer_get_livepeer_upscale_meta(to) != nullptr));
    gst_buffer_unref(to);
    return found;
  };
  fail_unless(read(bytes, version));
  fail_if(read(bytes, guint8(version + 1)));
  fail_if(read({}, version));
  unsigned refused = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    refused += !read(std::vector<guint8>(bytes.begin(), bytes.begin() + long(i)), version);
    std::vector<guint8> changed = bytes;
    changed[i] ^= 0xff;
    read(changed, version);
  }
  fail_unless(refused == bytes.size(), "%u of %zu", refused, bytes.size());
  gst_buffer_unref(from);
}
#endif

#ifdef HAVE_GST_ANALYTICS
namespace {

/// The class that a buffer's only classification says, and how sure it is; "" where there is none.
std::string classification(GstBuffer *buffer, gfloat *level) {
  GstAnalyticsRelationMeta *relations = gst_buffer_get_analytics_relation_meta(buffer);
  gpointer state = nullptr;
  GstAnalyticsMtd found, another;
  const GstAnalyticsMtdType type = gst_analytics_cls_mtd_get_mtd_type();
  if (!relations || !gst_analytics_relation_meta_iterate(relations, &state, type, &found))
    return "";
  fail_if(gst_analytics_relation_meta_iterate(relations, &state, type, &another));
  fail_unless(gst_analytics_cls_mtd_get_length(&found) == 1);
  *level = gst_analytics_cls_mtd_get_level(&found, 0);
  return g_quark_to_string(gst_analytics_cls_mtd_get_quark(&found, 0));
}

}  // namespace

POINT(E8_a_verdict_is_a_classification) {
  gfloat level = 0;
  engine->nsfw_score = 0.875;
  GstBuffer *out = upscaled(frame(), "safety-check=true safety-action=mark");
  fail_unless(classification(out, &level) == "nsfw" && level == 0.875f);
  gst_buffer_unref(out);
  engine->nsfw_score = 0.25;
  out = upscaled(frame(), "safety-check=true");
  fail_unless(classification(out, &level) == "safe" && level == 0.75f);
  gst_buffer_unref(out);
  out = upscaled(frame());
  fail_unless(classification(out, &level).empty());
  gst_buffer_unref(out);
  // Buffers that come back to their pool keep no verdict.
  GstHarness *h = harness_new(kSmall, "safety-check=true");
  for (int i = 0; i < 5; ++i) {
    out = gst_harness_push_and_pull(h, frame());
    fail_unless(classification(out, &level) == "safe");
    gst_buffer_unref(out);
  }
  gst_harness_teardown(h);
}

POINT(E7_E8_detected_objects_follow_the_picture_beside_a_verdict) {
  GstBuffer *in = frame();
  GstAnalyticsODMtd object;
  fail_unless(gst_analytics_relation_meta_add_od_mtd(gst_buffer_add_analytics_relation_meta(in),
                                                     g_quark_from_static_string("cat"), 3, 4, 10,
                                                     11, 0.5f, &object));
  GstBuffer *out = upscaled(in, "safety-check=true");
  gfloat level = 0;
  fail_unless(classification(out, &level) == "safe");
  fail_unless_equals_int(int(count(out, GST_ANALYTICS_RELATION_META_API_TYPE)), 1);
  gpointer state = nullptr;
  fail_unless(gst_analytics_relation_meta_iterate(gst_buffer_get_analytics_relation_meta(out),
                                                  &state, gst_analytics_od_mtd_get_mtd_type(),
                                                  &object));
  gint x = 0, y = 0, width = 0, height = 0;
  fail_unless(gst_analytics_od_mtd_get_location(&object, &x, &y, &width, &height, &level));
  fail_unless(x == 12 && y == 16 && width == 40 && height == 44 && level == 0.5f);
  gst_buffer_unref(out);
}
#endif

int main() { return run_suite("metas"); }
