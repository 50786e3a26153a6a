#include "property.h"

namespace livepeer_examples {

std::optional<std::string> set_property(GstElement *element, const std::string &name,
                                        const std::string &text) {
  GParamSpec *spec = g_object_class_find_property(G_OBJECT_GET_CLASS(element), name.c_str());
  if (!spec || !(spec->flags & G_PARAM_WRITABLE))
    return "the element has no property '" + name + "' to set";
  GValue value = G_VALUE_INIT;
  g_value_init(&value, G_PARAM_SPEC_VALUE_TYPE(spec));
  bool good = true;
  if (G_VALUE_HOLDS_STRING(&value)) {
    good = g_utf8_validate(text.c_str(), gssize(text.size()), nullptr);
    if (good) g_value_set_string(&value, text.c_str());
  } else {
    good = !text.empty() && gst_value_deserialize_with_pspec(&value, text.c_str(), spec) &&
           !g_param_value_validate(spec, &value);
  }
  if (good) g_object_set_property(G_OBJECT(element), name.c_str(), &value);
  g_value_unset(&value);
  if (good) return std::nullopt;
  return "'" + text + "' is not a value of the property " + name + ": " +
         g_param_spec_get_blurb(spec);
}

}  // namespace livepeer_examples
