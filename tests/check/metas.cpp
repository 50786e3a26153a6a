// Section E: what a frame carries beside its picture.
#include "support.h"

namespace {

const char *const kSmall = "format=RGB,width=64,height=48";

GstBuffer *frame() { return pattern_new(info_of(kSmall), 0); }

/// The buffer that comes out for `in`.
GstBuffer *upscaled(GstBuffer *in) {
  GstHarness *h = harness_new(kSmall);
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

int main() { return run_suite("metas"); }
