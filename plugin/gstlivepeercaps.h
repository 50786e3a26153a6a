#pragma once

#include <gst/video/video.h>

G_BEGIN_DECLS

/** How many times wider and higher the output is. */
#define GST_LIVEPEER_UPSCALE_FACTOR 4
#if GST_CHECK_VERSION(1, 24, 0)
#define GST_LIVEPEER_FORMATS_OF_1_24                                                           \
  ", A444_16LE, A444_16BE, A422_16LE, A422_16BE, A420_16LE, A420_16BE, A444_12LE, A444_12BE, " \
  "A422_12LE, A422_12BE, A420_12LE, A420_12BE, RBGA, A444, A422, GBR_16LE, GBR_16BE, "         \
  "NV12_10LE40_4L4"
#else
#define GST_LIVEPEER_FORMATS_OF_1_24
#endif
#if GST_CHECK_VERSION(1, 26, 0)
#define GST_LIVEPEER_FORMATS_OF_1_26 ", Y416_LE, Y416_BE, Y216_LE, Y216_BE, GRAY10_LE16"
#else
#define GST_LIVEPEER_FORMATS_OF_1_26
#endif
/** What GStreamer unpacks and packs, in system memory and line by line: 8-bit RGB first, which
 * needs no conversion, then by falling quality, and last what came after 1.22. */
#define GST_LIVEPEER_UPSCALE_FORMATS                                                         \
  "{ RGB, BGR, RGBA, BGRA, ARGB, ABGR, RGBx, BGRx, xRGB, xBGR, GBR, GBRA, RGBP, BGRP, "      \
  "ARGB64, ARGB64_LE, RGBA64_LE, BGRA64_LE, ABGR64_LE, ARGB64_BE, RGBA64_BE, BGRA64_BE, "    \
  "ABGR64_BE, AYUV64, GBRA_12LE, GBRA_12BE, Y412_LE, Y412_BE, A444_10LE, GBRA_10LE, "        \
  "A444_10BE, GBRA_10BE, A422_10LE, A422_10BE, A420_10LE, A420_10BE, RGB10A2_LE, "           \
  "BGR10A2_LE, Y410, VUYA, AYUV, A420, AV12, Y444_16LE, Y444_16BE, v216, P016_LE, P016_BE, " \
  "Y444_12LE, GBR_12LE, Y444_12BE, GBR_12BE, I422_12LE, I422_12BE, Y212_LE, Y212_BE, "       \
  "I420_12LE, I420_12BE, P012_LE, P012_BE, Y444_10LE, GBR_10LE, Y444_10BE, GBR_10BE, r210, " \
  "I422_10LE, I422_10BE, NV16_10LE32, Y210, v210, UYVP, I420_10LE, I420_10BE, P010_10LE, "   \
  "P010_10BE, NV12_10LE32, NV12_10LE40, Y444, NV24, IYU2, v308, Y42B, NV61, NV16, VYUY, "    \
  "UYVY, YVYU, YUY2, I420, YV12, NV21, NV12, NV12_64Z32, NV12_4L4, NV12_32L32, "             \
  "NV12_16L32S, Y41B, IYU1, YVU9, YUV9, RGB16, BGR16, RGB15, BGR15, GRAY16_LE, GRAY16_BE, "  \
  "GRAY10_LE32, GRAY8" GST_LIVEPEER_FORMATS_OF_1_24 GST_LIVEPEER_FORMATS_OF_1_26 " }"
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
 * interlaced video is taken too, so that it can be refused with words. Where the colorimetry or the
 * chroma siting of input is not told, output tells what GStreamer takes it for. All other fields
 * pass unchanged.
 *
 * Returns: (transfer full): caps, maybe empty
 */
GstCaps *gst_livepeer_upscale_transform_caps(GstPadDirection direction, GstCaps *caps);

G_END_DECLS
