#include "encoders.h"

#include <gst/gst.h>

#include <cstring>

#include "failure.h"
#include "text.h"

namespace upscale_file {
namespace {

const Container kContainers[] = {
    // Blocks are at most 32767 units away from the beginning of their cluster.
    {"mkv", "matroskamux timecodescale=100000 max-cluster-duration=3000000000", "opusenc", true},
    {"webm", "webmmux", "opusenc", true},
    {"mp4", "mp4mux", "avenc_aac", false},
    {"mov", "qtmux", "avenc_aac", false},
    {"ts", "mpegtsmux", "avenc_aac", false},
};

#define AVC "video/x-h264,stream-format=avc,alignment=au"
#define AVC_TS "video/x-h264,stream-format=byte-stream,alignment=au"
#define HEVC "video/x-h265,stream-format=hvc1,alignment=au"
#define HEVC_TS "video/x-h265,stream-format=byte-stream,alignment=au"

const Encoder kX264 = {
    "x264enc",   "pass=qual quantizer=17 bframes=0 key-int-max=250 speed-preset=fast",
    "h264parse", AVC,
    AVC_TS,      " mkv mp4 mov ts ",
    "I420",      "I420_10LE"};
const Encoder kX265 = {
    "x265enc",   "option-string=crf=18:bframes=0:log-level=error key-int-max=250 speed-preset=fast",
    "h265parse", HEVC,
    HEVC_TS,     " mkv mp4 mov ts ",
    "I420",      "I420_10LE"};
const Encoder kVp9 = {
    "vp9enc",
    "end-usage=cq cq-level=18 target-bitrate=1000000000 deadline=1000000 cpu-used=4 row-mt=true "
    "threads=8 keyframe-max-dist=250",
    "",
    "video/x-vp9",
    "",
    " mkv webm ",
    "I420",
    "I420_10LE"};
const Encoder kOpenH264 = {"openh264enc", "rate-control=off complexity=high gop-size=250",
                           "h264parse",   AVC,
                           AVC_TS,        " mkv mp4 mov ts ",
                           "I420",        nullptr};
const Encoder kMpeg4 = {"avenc_mpeg4",
                        "pass=quant quantizer=2 gop-size=250 max-bframes=0",
                        "mpeg4videoparse",
                        "video/mpeg",
                        "video/mpeg,parsed=true",
                        " mkv mp4 mov ts ",
                        "I420",
                        nullptr};
const Encoder kVp8 = {
    "vp8enc",
    "end-usage=cq cq-level=10 target-bitrate=1000000000 deadline=1000000 cpu-used=4 threads=8",
    "",
    "video/x-vp8",
    "",
    " mkv webm ",
    "I420",
    nullptr};
const Encoder kAv1 = {
    "av1enc",   "max-quantizer=18 target-bitrate=1000000 cpu-used=6 keyframe-max-dist=250",
    "av1parse", "video/x-av1,stream-format=obu-stream,alignment=tu",
    "",         " mkv webm mp4 mov ",
    "I420",     "I420_10LE"};

// Best first: what is well coded and plays everywhere. Players that know 10 bits of H.264 are few.
const Encoder *const kPlain[] = {&kX264, &kX265, &kVp9, &kOpenH264, &kMpeg4, &kVp8, &kAv1};
const Encoder *const kDeep[] = {&kX265, &kVp9, &kX264, &kAv1, &kOpenH264, &kMpeg4, &kVp8};

bool is_installed(const std::string &name) {
  g_autoptr(GstElementFactory) factory = gst_element_factory_find(name.c_str());
  return factory != nullptr;
}

bool parts_are_installed(const Encoder &encoder) {
  return is_installed(encoder.name) && (!*encoder.parser || is_installed(encoder.parser));
}

bool fits(const Encoder &encoder, const Container &container) {
  return std::strstr(encoder.containers, (" " + std::string(container.extension) + " ").c_str());
}

}  // namespace

const Container *container_of(const std::string &extension) {
  for (const Container &container : kContainers)
    if (extension == container.extension) return &container;
  return nullptr;
}

const Encoder &choose_encoder(const std::string &wanted, const Container &container, bool deep) {
  const auto &order = deep ? kDeep : kPlain;
  for (const Encoder *encoder : order) {
    if (wanted.empty() ? fits(*encoder, container) && parts_are_installed(*encoder)
                       : wanted == encoder->name) {
      if (!fits(*encoder, container))
        throw Failure("a ." + std::string(container.extension) + " file cannot hold what " +
                      wanted + " makes");
      if (!parts_are_installed(*encoder))
        throw Failure(wanted +
                      " is not installed: it is in gstreamer1.0-plugins-ugly, -bad, -good or "
                      "gstreamer1.0-libav");
      return *encoder;
    }
  }
  if (!wanted.empty())
    throw Failure("--encoder '" + shown(wanted) + "' is none of " + encoder_names());
  throw Failure(
      "no encoder for ." + std::string(container.extension) +
      " files is installed: apt-get install gstreamer1.0-plugins-ugly gstreamer1.0-plugins-bad");
}

std::string encoder_line(const Encoder &encoder, const Container &container) {
  std::string line = std::string(encoder.name) + " name=encoder " + encoder.settings;
  if (*encoder.parser) line += std::string(" ! ") + encoder.parser;
  const bool transport = std::strcmp(container.extension, "ts") == 0;
  return line + " ! " + (transport ? encoder.ts_caps : encoder.stream_caps);
}

std::string encoder_names() {
  std::string names;
  for (const Encoder *encoder : kPlain)
    names += (names.empty() ? "" : ", ") + std::string(encoder->name);
  return names;
}

}  // namespace upscale_file
