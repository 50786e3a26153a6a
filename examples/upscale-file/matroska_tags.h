#pragma once

#include <string>
#include <vector>

#include "gst_ptr.h"

namespace upscale_file {

/// GStreamer 1.22's matroskamux writes words with spaces or beyond ASCII as a launch line would
/// have them, between quotes and with backslashes. Writes the tags' own words over them, which are
/// shorter; zeros fill up strings of Matroska. Throws nothing: at worst the quotes stay.
void unquote_matroska_tags(const std::string &path, const std::vector<const GstTagList *> &tags);

}  // namespace upscale_file
