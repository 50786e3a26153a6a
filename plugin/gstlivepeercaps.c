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
    min = MAX((min + FACTOR - 1) / FACTOR, 1);
    min = (min + step - 1) / step * step;
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

static gboolean make_progressive(GstStructure *structure) {
  const GValue *mode = gst_structure_get_value(structure, "interlace-mode");
  GValue progressive = G_VALUE_INIT;
  gboolean possible;

  if (mode == NULL) return TRUE;
  g_value_init(&progressive, G_TYPE_STRING);
  g_value_set_static_string(&progressive, "progressive");
  possible = gst_value_intersect(NULL, mode, &progressive);
  if (possible) gst_structure_set_value(structure, "interlace-mode", &progressive);
  g_value_unset(&progressive);
  return possible;
}

GstCaps *gst_livepeer_upscale_transform_caps(GstPadDirection direction, GstCaps *caps) {
  const gboolean up = direction == GST_PAD_SINK;
  GstCaps *result = gst_caps_new_empty();

  for (guint i = 0; i < gst_caps_get_size(caps); i++) {
    GstCapsFeatures *features = gst_caps_get_features(caps, i);
    GstStructure *structure;

    if (!gst_caps_features_is_any(features) &&
        !gst_caps_features_is_equal(features, GST_CAPS_FEATURES_MEMORY_SYSTEM_MEMORY))
      continue;
    structure = gst_structure_copy(gst_caps_get_structure(caps, i));
    if (scale_field(structure, "width", up) && scale_field(structure, "height", up) &&
        make_progressive(structure)) {
      result = gst_caps_merge_structure(result, structure);
    } else {
      gst_structure_free(structure);
    }
  }
  return result;
}
