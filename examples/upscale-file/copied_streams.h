#pragma once

#include <mutex>
#include <string>
#include <vector>

#include "encoders.h"
#include "gst_ptr.h"
#include "input.h"
#include "options.h"
#include "packets.h"
#include "pipeline.h"

namespace upscale_file {

/// A stream of the input besides its pictures, as packets in a file.
struct CopiedStream {
  std::string path;
  std::string pad;  ///< template of the muxer
  TagsPtr tags;
};

/// Copies sound and subtitles into files of packets, in threads of its own, while pictures are
/// worked on: whatever the order in which the input has them, nothing ever waits for anything.
class CopiedStreams {
 public:
  CopiedStreams(Wake &wake, const Input &input, const Container &container, const Options &options,
                const std::string &folder);
  ~CopiedStreams();
  /// All has been copied. Throws Failure.
  bool finished();
  /// What there is, and no more. `notes` tells what could not be copied.
  std::vector<CopiedStream> take(std::vector<std::string> &notes);
  /// Where the last packet ended, in the input's own time.
  uint64_t position() const;

 private:
  struct Stream;
  static void pad_added(GstElement *parse, GstPad *pad, gpointer self);
  void one_ended();
  void add(GstPad *pad);
  void write(Stream &stream, GstSample *sample);

  Wake &wake_;
  const uint64_t start_, end_;
  const std::string folder_;
  const Container &container_;
  CapsPtr sound_, subtitles_;  ///< what the container takes
  mutable std::mutex mutex_;
  std::vector<std::unique_ptr<Stream>> streams_;
  std::vector<std::string> notes_;
  std::string error_;
  uint64_t position_ = 0;
  int open_ = 0;  ///< streams that have not ended
  bool any_ = false, stopped_ = false;
  std::unique_ptr<Pipeline> pipeline_;
};

}  // namespace upscale_file
