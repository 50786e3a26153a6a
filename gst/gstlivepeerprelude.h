#pragma once

#include <gst/gst.h>
#include <gst/video/video.h>

#if defined(__GNUC__)
#define GST_LIVEPEER_API extern __attribute__((visibility("default")))
#else
#define GST_LIVEPEER_API extern
#endif
