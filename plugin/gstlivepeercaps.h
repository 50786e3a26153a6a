#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/** How many times wider and higher the output is. */
#define GST_LIVEPEER_UPSCALE_FACTOR 4
/** 8-bit RGB, packed or planar, with or without alpha. */
#define GST_LIVEPEER_UPSCALE_FORMATS \
  "{ RGB, BGR, RGBA, BGRA, ARGB, ABGR, RGBx, BGRx, xRGB, xBGR, GBR, GBRA, RGBP, BGRP }"
#define GST_LIVEPEER_UPSCALE_INPUT           \
  ", format = " GST_LIVEPEER_UPSCALE_FORMATS \
  ", width = [ 1, 65535 ], height = [ 1, 65535 ], framerate = (fraction) [ 0, max ]"
#define GST_LIVEPEER_UPSCALE_SINK_CAPS     \
  "video/x-raw" GST_LIVEPEER_UPSCALE_INPUT \
  ", interlace-mode = progressive; "       \
  "video/x-raw" GST_LIVEPEER_UPSCALE_INPUT \
  "; "                                     \
  "video/x-raw(format:Interlaced)" GST_LIVEPEER_UPSCALE_INPUT ", interlace-mode = alternate"
#define GST_LIVEPEER_UPSCALE_SRC_CAPS                   \
  "video/x-raw, format = " GST_LIVEPEER_UPSCALE_FORMATS \
  ", width = [ 4, 262140, 4 ], height = [ 4, 262140, 4 ], framerate = (fraction) [ 0, max ]"

/**
 * gst_livepeer_upscale_transform_caps:
 * @direction: the pad that @caps are of
 * @caps: caps of one side
 *
 * The caps of the other side: widths and heights times four (from the sink) or divided by four
 * (from the source; sizes that are not a multiple of four are left out). Structures that are
 * not in system memory are left out. Output is progressive; input is progressive by preference, but
 * interlaced video is taken too, so that it can be refused with words. All other fields pass
 * unchanged.
 *
 * Returns: (transfer full): caps, maybe empty
 */
GstCaps *gst_livepeer_upscale_transform_caps(GstPadDirection direction, GstCaps *caps);

G_END_DECLS
