#pragma once

#include <gst/gst.h>

#include <optional>
#include <string>

namespace livepeer_examples {

/// Sets a property from text, as gst-launch-1.0 does. Returns what is wrong, a sentence without a
/// full stop in which `name` and `text` are as they were given.
std::optional<std::string> set_property(GstElement *element, const std::string &name,
                                        const std::string &text);

}  // namespace livepeer_examples
