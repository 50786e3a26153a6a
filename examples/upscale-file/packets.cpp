#include "packets.h"

#include <gst/audio/audio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "failure.h"
#include "text.h"

namespace upscale_file {
namespace {

constexpr uint64_t kMagic = 0x314b5055'4c56494cU;
constexpr uint64_t kLast = ~uint64_t(0);

struct Head {
  uint64_t size, pts, dts, duration, flags, clip_start, clip_end;
};

}  // namespace

PacketWriter::PacketWriter(std::string path, GstCaps *caps)
    : path_(std::move(path)),
      unfinished_(path_ + ".new"),
      file_(std::fopen(unfinished_.c_str(), "wb")) {
  if (!file_) fail();
  g_autofree char *text = gst_caps_to_string(caps);
  const uint64_t head[] = {kMagic, std::strlen(text)};
  put(head, sizeof head);
  put(text, head[1]);
}

PacketWriter::~PacketWriter() {
  if (!file_) return;
  file_.reset();
  std::remove(unfinished_.c_str());
}

void PacketWriter::fail() {
  throw Failure("'" + shown(path_) + "' cannot be written: " + std::strerror(errno));
}

void PacketWriter::put(const void *data, size_t size) {
  if (std::fwrite(data, 1, size, file_.get()) != size) fail();
}

void PacketWriter::write(GstBuffer *packet) {
  const gsize size = gst_buffer_get_size(packet);
  std::vector<char> data(size);
  gst_buffer_extract(packet, 0, data.data(), size);
  const GstAudioClippingMeta *clip = gst_buffer_get_audio_clipping_meta(packet);
  const Head head = {size,
                     GST_BUFFER_PTS(packet),
                     GST_BUFFER_DTS(packet),
                     GST_BUFFER_DURATION(packet),
                     GST_BUFFER_FLAGS(packet),
                     clip ? clip->start : 0,
                     clip ? clip->end : 0};
  put(&head, sizeof head);
  put(data.data(), size);
  ++packets_;
}

void PacketWriter::finish(uint64_t frames) {
  const uint64_t end[] = {kLast, frames};
  put(end, sizeof end);
  // A name stands for what is on the disk, also after a power cut.
  if (std::fflush(file_.get()) != 0 || fsync(fileno(file_.get())) != 0) fail();
  if (std::fclose(file_.release()) != 0 || std::rename(unfinished_.c_str(), path_.c_str()) != 0)
    fail();
}

PacketReader::PacketReader(const std::string &path)
    : path_(path), file_(std::fopen(path.c_str(), "rb")) {
  if (!file_) fail();
  uint64_t end[2], head[2];
  if (std::fseek(file_.get(), -long(sizeof end), SEEK_END) != 0) fail();
  get(end, sizeof end);
  if (end[0] != kLast) fail();
  frames_ = end[1];
  std::rewind(file_.get());
  get(head, sizeof head);
  if (head[0] != kMagic || head[1] > (1 << 20)) fail();
  std::string text(head[1], '\0');
  get(text.data(), text.size());
  caps_.reset(gst_caps_from_string(text.c_str()));
  if (!caps_) fail();
}

void PacketReader::fail() const {
  throw Failure("'" + shown(path_) +
                "' cannot be read: " + (errno ? std::strerror(errno) : "it is damaged"));
}

void PacketReader::get(void *data, size_t size) {
  errno = 0;
  if (std::fread(data, 1, size, file_.get()) != size) fail();
}

BufferPtr PacketReader::next() {
  Head head;
  get(&head.size, sizeof head.size);
  if (head.size == kLast) return nullptr;
  get(&head.pts, sizeof head - sizeof head.size);
  BufferPtr packet(gst_buffer_new_allocate(nullptr, head.size, nullptr));
  GstMapInfo map;
  if (!packet || !gst_buffer_map(packet.get(), &map, GST_MAP_WRITE))
    throw Failure("there is no memory for a packet");
  const bool whole = std::fread(map.data, 1, map.size, file_.get()) == map.size;
  gst_buffer_unmap(packet.get(), &map);
  if (!whole) fail();
  GST_BUFFER_PTS(packet.get()) = head.pts;
  GST_BUFFER_DTS(packet.get()) = head.dts;
  GST_BUFFER_DURATION(packet.get()) = head.duration;
  GST_BUFFER_FLAG_SET(packet.get(),
                      head.flags & (GST_BUFFER_FLAG_DELTA_UNIT | GST_BUFFER_FLAG_HEADER |
                                    GST_BUFFER_FLAG_DISCONT | GST_BUFFER_FLAG_GAP));
  if (head.clip_start || head.clip_end)
    gst_buffer_add_audio_clipping_meta(packet.get(), GST_FORMAT_DEFAULT, head.clip_start,
                                       head.clip_end);
  return packet;
}

}  // namespace upscale_file
