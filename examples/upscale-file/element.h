#pragma once

#include <map>
#include <string>

#include "gst_ptr.h"
#include "options.h"

namespace upscale_file {

/// Gives the element what the user chose, and a seed that is known. Throws Failure for a property
/// or value that it does not have. Returns all that decides how frames look, by name.
std::map<std::string, std::string> configure(GstElement *upscale, const Options &options);

/// The seed under which configure() left the element.
int64_t seed_of(GstElement *upscale);

/// What tells whether a model is the same: what the element says of it and, where it is a file or
/// folder, the sizes and times of its files.
std::string model_fingerprint(GstElement *upscale);

}  // namespace upscale_file
