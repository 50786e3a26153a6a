#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "encoders.h"
#include "gst_ptr.h"
#include "options.h"
#include "packets.h"
#include "pipeline.h"
#include "wake.h"

namespace upscale_file {

/// Frames in, packets out: the element, scaling and an encoder. Both start anew for each fragment,
/// while the model stays loaded. Nothing waits but begin() and interrupt().
class FragmentEncoder {
 public:
  /// `frame`: caps of the first; what is encoded has the size, format and aspect that it asks for.
  FragmentEncoder(Wake &wake, const Encoder &encoder, const Container &container, GstCaps *frame,
                  const Options &options, Pipeline::Look look);
  GstElement *upscale() const { return upscale_.get(); }
  /// A fragment whose packets are written to `path` as they come.
  void begin(const std::string &path);
  bool has_room() const;
  void push(GstSample *frame);
  /// No more frames come in this fragment.
  void end();
  /// Writes what packets there are; throws Failure.
  void drain();
  /// All of the fragment's packets are written, and its file has its name.
  bool finished() const { return finished_; }
  /// Cancels the frame that is being computed and finishes the file with those before it. Returns
  /// whether there is a file.
  bool interrupt();
  /// Frames that have left the element.
  uint64_t frames_done() const { return frames_done_; }

 private:
  void stop();
  void finish_file();

  Wake &wake_;
  Pipeline pipeline_;
  const ElementPtr in_, upscale_, behind_, out_;
  std::string path_;
  std::unique_ptr<PacketWriter> writer_;
  std::map<GstClockTime, GstClockTime> durations_;  ///< of frames inside, by their time
  uint64_t pushed_ = 0;
  std::atomic<uint64_t> frames_done_{0};
  bool finished_ = true, interrupted_ = false;
};

}  // namespace upscale_file
