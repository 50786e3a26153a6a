#include "gstlivepeercaps.h"

#define FACTOR GST_LIVEPEER_UPSCALE_FACTOR

/* Each function sets @out to @in times four (@up) or divided by four; FALSE: no size is left. */

static gboolean scale_int(gint in, gboolean up, gint *out) {
  if (up) {
    if (in < 1 || in > G_MAXINT / FACTOR) return FALSE;
    *out = in * FACTOR;
    return TRUE;
  }
  *out = in / FACTOR;
  return in >= FACTOR && in % FACTOR == 0;
}

static gboolean scale_range(const GValue *in, gboolean up, GValue *out) {
  gint min = gst_value_get_int_range_min(in);
  gint max = gst_value_get_int_range_max(in);
  gint step = gst_value_get_int_range_step(in);

  if (up) {
    min = MAX(min, step);
    max = MIN(max, G_MAXINT / FACTOR / step * step);
    if (min > max) return FALSE;
    min *= FACTOR;
    max *= FACTOR;
    step *= FACTOR;
  } else {
    /* Sizes that are multiples of the step and of four are multiples of both; a quarter of them are
     * the multiples of step / gcd(step, 4). */
    const gint common = step % 4 == 0 ? 4 : step % 2 == 0 ? 2 : 1;
    step /= common;
    min = MAX(min / FACTOR + (min % FACTOR != 0), 1);
    min = ((min - 1) / step + 1) * step;
    max = max / FACTOR / step * step;
    if (min > max) return FALSE;
  }
  if (min == max) {
    g_value_init(out, G_TYPE_INT);
    g_value_set_int(out, min);
  } else {
    g_value_init(out, GST_TYPE_INT_RANGE);
    gst_value_set_int_range_step(out, min, max, step);
  }
  return TRUE;
}

static gboolean scale_value(const GValue *in, gboolean up, GValue *out) {
  if (G_VALUE_HOLDS_INT(in)) {
    gint value;
    if (!scale_int(g_value_get_int(in), up, &value)) return FALSE;
    g_value_init(out, G_TYPE_INT);
    g_value_set_int(out, value);
    return TRUE;
  }
  if (GST_VALUE_HOLDS_INT_RANGE(in)) return scale_range(in, up, out);
  if (GST_VALUE_HOLDS_LIST(in)) {
    g_value_init(out, GST_TYPE_LIST);
    for (guint i = 0; i < gst_value_list_get_size(in); i++) {
      GValue scaled = G_VALUE_INIT;
      if (scale_value(gst_value_list_get_value(in, i), up, &scaled))
        gst_value_list_append_and_take_value(out, &scaled);
    }
    if (gst_value_list_get_size(out) > 0) return TRUE;
    g_value_unset(out);
  }
  return FALSE;
}

static gboolean scale_field(GstStructure *structure, const gchar *field, gboolean up) {
  const GValue *value = gst_structure_get_value(structure, field);
  GValue scaled = G_VALUE_INIT;

  if (value == NULL) return TRUE;
  if (!scale_value(value, up, &scaled)) return FALSE;
  gst_structure_take_value(structure, field, &scaled);
  return TRUE;
}

/* System memory, or the fields of alternate video in it. */
static gboolean is_taken(const GstCapsFeatures *features, gboolean *fields) {
  *fields = gst_caps_features_contains(features, GST_CAPS_FEATURE_FORMAT_INTERLACED);
  if (gst_caps_features_is_any(features)) return TRUE;
  for (guint i = 0; i < gst_caps_features_get_size(features); i++) {
    const gchar *feature = gst_caps_features_get_nth(features, i);
    if (!g_str_equal(feature, GST_CAPS_FEATURE_MEMORY_SYSTEM_MEMORY) &&
        !g_str_equal(feature, GST_CAPS_FEATURE_FORMAT_INTERLACED))
      return FALSE;
  }
  return TRUE;
}

static gboolean can_be_progressive(const GstStructure *structure) {
  const GValue *mode = gst_structure_get_value(structure, "interlace-mode");
  GValue progressive = G_VALUE_INIT;
  gboolean possible;

  if (mode == NULL) return TRUE;
  g_value_init(&progressive, G_TYPE_STRING);
  g_value_set_static_string(&progressive, "progressive");
  possible = gst_value_intersect(NULL, mode, &progressive);
  g_value_unset(&progressive);
  return possible;
}

static GstStructure *with_mode(const GstStructure *structure, const gchar *mode) {
  GstStructure *copy = gst_structure_copy(structure);

  gst_structure_set(copy, "interlace-mode", G_TYPE_STRING, mode, NULL);
  return copy;
}

/* Output is progressive, whatever the input is. */
static GstCaps *append_output(GstCaps *caps, GstStructure *structure) {
  if (gst_structure_has_field(structure, "interlace-mode"))
    gst_structure_set(structure, "interlace-mode", G_TYPE_STRING, "progressive", NULL);
  gst_structure_remove_field(structure, "field-order");
  return gst_caps_merge_structure(caps, structure);
}

/* Progressive input first; the rest is only taken to be refused with words. */
static GstCaps *append_input(GstCaps *caps, GstStructure *structure) {
  if (!can_be_progressive(structure)) {
    gst_structure_free(structure);
    return caps;
  }
  gst_structure_remove_field(structure, "interlace-mode");
  caps = gst_caps_merge_structure(caps, with_mode(structure, "progressive"));
  caps = gst_caps_merge_structure(caps, gst_structure_copy(structure));
  caps = gst_caps_merge_structure_full(
      caps, with_mode(structure, "alternate"),
      gst_caps_features_new(GST_CAPS_FEATURE_FORMAT_INTERLACED, NULL));
  gst_structure_free(structure);
  return caps;
}

/* Colours that caps do not tell are guessed by the height, which is not the same on both sides.
 * What @input is taken for is told of the output. */
static void tell_colours(const GstStructure *input, GstStructure *output) {
  GstCaps *caps = gst_caps_new_full(gst_structure_copy(input), NULL);
  GstVideoInfo info;

  if (gst_caps_is_fixed(caps) && gst_video_info_from_caps(&info, caps) &&
      !GST_VIDEO_INFO_IS_RGB(&info)) {
    gchar *colorimetry = gst_video_colorimetry_to_string(&info.colorimetry);
    gchar *site = gst_video_chroma_site_to_string(info.chroma_site);

    if (colorimetry != NULL && !gst_structure_has_field(output, "colorimetry"))
      gst_structure_set(output, "colorimetry", G_TYPE_STRING, colorimetry, NULL);
    if (site != NULL && !gst_structure_has_field(output, "chroma-site"))
      gst_structure_set(output, "chroma-site", G_TYPE_STRING, site, NULL);
    g_free(colorimetry);
    g_free(site);
  }
  gst_caps_unref(caps);
}

GstCaps *gst_livepeer_upscale_transform_caps(GstPadDirection direction, GstCaps *caps) {
  const gboolean up = direction == GST_PAD_SINK;
  GstCaps *result = gst_caps_new_empty();

  for (guint i = 0; i < gst_caps_get_size(caps); i++) {
    GstStructure *structure;
    gboolean fields;

    if (!is_taken(gst_caps_get_features(caps, i), &fields) || (fields && !up)) continue;
    structure = gst_structure_copy(gst_caps_get_structure(caps, i));
    if (up) tell_colours(gst_caps_get_structure(caps, i), structure);
    if (!scale_field(structure, "width", up) || !scale_field(structure, "height", up))
      gst_structure_free(structure);
    else
      result = up ? append_output(result, structure) : append_input(result, structure);
  }
  return result;
}
