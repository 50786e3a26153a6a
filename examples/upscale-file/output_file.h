#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "copied_streams.h"
#include "packets.h"
#include "pipeline.h"

namespace upscale_file {

/// The file that comes out, written as fragments are finished: pictures from fragments, everything
/// else as it was copied. It has another name until publish().
class OutputFile {
 public:
  OutputFile(Wake &wake, const Container &container, std::string unfinished, std::string path);
  ~OutputFile();
  /// Before the first fragment. `tags` and `chapters` may be null.
  void begin(std::vector<CopiedStream> streams, const GstTagList *tags, GstToc *chapters);
  bool has_begun() const { return pipeline_ != nullptr; }
  /// Adds the pictures of a fragment, and what belongs to them. Throws Failure; waits for the disk.
  void append(const std::string &fragment);
  /// Closes the file. `whole`: with all sound there is, else as far as the pictures.
  void finish(bool whole);
  /// Nanoseconds by which the sound ends before the pictures; 0 where there is none.
  uint64_t silence() const;
  const std::string &unfinished() const { return unfinished_; }
  /// Gives the closed file its name.
  void publish();

 private:
  struct Stream;
  struct TagsToPush;
  static GstPadProbeReturn push_tags(GstPad *pad, GstPadProbeInfo *info, gpointer what);
  void add(Stream &stream, GstCaps *caps);
  void push_until(Stream &stream, GstClockTime time);

  Wake &wake_;
  const Container &container_;
  const std::string unfinished_, path_;
  std::unique_ptr<Pipeline> pipeline_;
  std::vector<std::unique_ptr<Stream>> streams_;  ///< the first are the pictures
  std::atomic<int> tags_waiting_{0};              ///< streams whose tags are still to be pushed
  bool first_pushed_ = false;
  GstClockTime time_ = 0;
};

}  // namespace upscale_file
