// Prints the element's own properties as the README's table.
#include <gst/gst.h>

#include <string>
#include <vector>

#include "gstlivepeerupscale.h"

namespace {

std::string range_of(const GParamSpec *spec) {
  if (G_IS_PARAM_SPEC_ENUM(spec)) {
    const GEnumClass *values = G_PARAM_SPEC_ENUM(spec)->enum_class;
    std::string text;
    for (guint i = 0; i < values->n_values; ++i)
      text += (i ? ", `" : "`") + std::string(values->values[i].value_nick) + "`";
    return text;
  }
  if (G_IS_PARAM_SPEC_BOOLEAN(spec)) return "boolean";
  if (G_IS_PARAM_SPEC_STRING(spec)) return "string";
  if (G_IS_PARAM_SPEC_BOXED(spec)) return "structure";
  const auto range = [](auto low, auto high) {
    return std::to_string(low) + " to " + std::to_string(high);
  };
  if (G_IS_PARAM_SPEC_UINT(spec))
    return range(G_PARAM_SPEC_UINT(spec)->minimum, G_PARAM_SPEC_UINT(spec)->maximum);
  if (G_IS_PARAM_SPEC_INT(spec))
    return range(G_PARAM_SPEC_INT(spec)->minimum, G_PARAM_SPEC_INT(spec)->maximum);
  if (G_IS_PARAM_SPEC_INT64(spec)) return "64-bit integer";
  if (G_IS_PARAM_SPEC_UINT64(spec)) return "unsigned 64-bit integer";
  const auto *number = G_PARAM_SPEC_DOUBLE(spec);
  gchar *text = g_strdup_printf("%g to %g", number->minimum, number->maximum);
  const std::string copy = text;
  g_free(text);
  return copy;
}

std::string default_of(GParamSpec *spec) {
  if (!(spec->flags & G_PARAM_WRITABLE)) return "";
  const GValue *value = g_param_spec_get_default_value(spec);
  if (G_IS_PARAM_SPEC_ENUM(spec))
    return g_enum_get_value(G_PARAM_SPEC_ENUM(spec)->enum_class, g_value_get_enum(value))
        ->value_nick;
  if (G_IS_PARAM_SPEC_STRING(spec)) {
    const gchar *text = g_value_get_string(value);
    return !text ? "NULL" : *text ? text : "\"\"";
  }
  gchar *text = gst_value_serialize(value);
  const std::string copy = text;
  g_free(text);
  return copy;
}

const char *when(const GParamSpec *spec) {
  if (!(spec->flags & G_PARAM_WRITABLE)) return "read-only";
  if (spec->flags & GST_PARAM_CONTROLLABLE) return "any time, controllable";
  return spec->flags & GST_PARAM_MUTABLE_PLAYING ? "any time" : "before the start";
}

}  // namespace

int main(int argc, char **argv) {
  gst_init(&argc, &argv);
  auto *klass = static_cast<GObjectClass *>(g_type_class_ref(GST_TYPE_LIVEPEER_UPSCALE));
  guint count = 0;
  GParamSpec **specs = g_object_class_list_properties(klass, &count);
  g_print("| property | values | default | when | meaning |\n|---|---|---|---|---|\n");
  for (guint i = 0; i < count; ++i) {
    GParamSpec *spec = specs[i];
    if (spec->owner_type != GST_TYPE_LIVEPEER_UPSCALE) continue;
    const std::string value = default_of(spec);
    g_print("| `%s` | %s | %s | %s | %s |\n", spec->name, range_of(spec).c_str(),
            value.empty() ? "" : ("`" + value + "`").c_str(), when(spec),
            g_param_spec_get_blurb(spec));
  }
  g_free(specs);
  g_type_class_unref(klass);
  return 0;
}
