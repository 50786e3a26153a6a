#pragma once

#include <gst/gst.h>

#include "runtime/error.h"

/// Posts `error` on the bus under the domain and code of its kind. From any thread, without locks.
void gst_livepeer_post_error(GstElement *element, const livepeer::Error &error);
/// The same as a warning.
void gst_livepeer_post_warning(GstElement *element, const livepeer::Error &error);
