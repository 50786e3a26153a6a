#pragma once

#include <string>

namespace upscale_file {

/// A container of clips.
struct Container {
  const char *extension;
  const char *muxer;  ///< as in a launch line
  const char *sound;  ///< what sound becomes that it cannot hold as it is, as in a launch line
  bool chapters;
};

/// An encoder, visually lossless, without frames that refer to later ones: a packet a frame, in
/// order, so that fragments can be joined and timestamps need no shift.
struct Encoder {
  const char *name;      ///< of the factory
  const char *settings;  ///< as in a launch line
  const char *parser;  ///< as in a launch line, to the packets that `containers` take; may be empty
  const char *stream_caps;  ///< of packets for matroska and MP4
  const char *ts_caps;      ///< of packets for MPEG transport streams
  const char *containers;   ///< extensions, each between spaces
  const char *format;       ///< for 8 bits
  const char *deep_format;  ///< for more; may be null
};

/// Of an output's extension; null where it is not a clip's.
const Container *container_of(const std::string &extension);
/// The best that is installed, or the one that is `wanted`. Throws Failure where there is none.
const Encoder &choose_encoder(const std::string &wanted, const Container &container, bool deep);
/// How an encoder makes packets for a container, as in a launch line from its input format on.
std::string encoder_line(const Encoder &encoder, const Container &container);
/// All names, for the help.
std::string encoder_names();

}  // namespace upscale_file
