#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "gst_ptr.h"

namespace upscale_file {

struct CloseFile {
  void operator()(FILE *file) const { std::fclose(file); }
};
using FilePtr = std::unique_ptr<FILE, CloseFile>;

/// Encoded packets of one stream in a file of this program's own, for the time of a job: caps, then
/// packets with the nanoseconds that they had. A file has its name only when it is complete.
class PacketWriter {
 public:
  /// Both throw Failure, where there is no space for example.
  PacketWriter(std::string path, GstCaps *caps);
  ~PacketWriter();
  void write(GstBuffer *packet);
  /// `frames`: how many went into the packets.
  void finish(uint64_t frames);
  uint64_t packets() const { return packets_; }

 private:
  void put(const void *data, size_t size);
  [[noreturn]] void fail();

  const std::string path_, unfinished_;
  FilePtr file_;
  uint64_t packets_ = 0;
};

class PacketReader {
 public:
  /// Throws Failure where `path` is not a complete file of packets.
  explicit PacketReader(const std::string &path);
  GstCaps *caps() const { return caps_.get(); }
  uint64_t frames() const { return frames_; }
  /// The next packet; null at the end.
  BufferPtr next();

 private:
  [[noreturn]] void fail() const;
  void get(void *data, size_t size);

  const std::string path_;
  FilePtr file_;
  CapsPtr caps_;
  uint64_t frames_ = 0;
};

}  // namespace upscale_file
