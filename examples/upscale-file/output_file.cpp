#include "output_file.h"

#include <gst/app/app.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "failure.h"
#include "matroska_tags.h"
#include "text.h"

namespace upscale_file {
namespace {

constexpr guint64 kBytesWaiting = 16 << 20;

}  // namespace

struct OutputFile::Stream {
  ElementPtr source;
  std::unique_ptr<PacketReader> packets;  ///< null for the pictures
  TagsPtr tags;
  std::string pad;
  GstClockTime pushed = 0;
  bool sound = false;
  bool ended = false;
};

struct OutputFile::TagsToPush {
  OutputFile *file;
  Stream *stream;
};

OutputFile::OutputFile(Wake &wake, const Container &container, std::string unfinished,
                       std::string path)
    : wake_(wake),
      container_(container),
      unfinished_(std::move(unfinished)),
      path_(std::move(path)) {}

OutputFile::~OutputFile() {
  if (!pipeline_) return;
  pipeline_.reset();
  std::remove(unfinished_.c_str());
}

void OutputFile::begin(std::vector<CopiedStream> copied, const GstTagList *tags, GstToc *chapters) {
  pipeline_ = std::make_unique<Pipeline>(
      wake_,
      std::string(container_.muxer) + " name=mux ! filesink name=file async=false sync=false");
  g_object_set(pipeline_->element("file").get(), "location", unfinished_.c_str(), nullptr);
  const ElementPtr mux = pipeline_->element("mux");
  if (chapters && container_.chapters && GST_IS_TOC_SETTER(mux.get()))
    gst_toc_setter_set_toc(GST_TOC_SETTER(mux.get()), chapters);
  streams_.push_back(std::make_unique<Stream>());
  if (tags) streams_[0]->tags.reset(gst_tag_list_copy(tags));
  streams_[0]->pad = g_str_equal(container_.extension, "ts") ? "sink_%d" : "video_%u";
  for (CopiedStream &one : copied) {
    auto stream = std::make_unique<Stream>();
    stream->packets = std::make_unique<PacketReader>(one.path);
    stream->tags = std::move(one.tags);
    stream->pad = one.pad;
    streams_.push_back(std::move(stream));
  }
}

void OutputFile::add(Stream &stream, GstCaps *caps) {
  GstElement *source = gst_element_factory_make("appsrc", nullptr);
  stream.source.reset(GST_ELEMENT(gst_object_ref_sink(source)));
  stream.sound =
      g_str_has_prefix(gst_structure_get_name(gst_caps_get_structure(caps, 0)), "audio/");
  gst_bin_add(GST_BIN(pipeline_->bin()), GST_ELEMENT(gst_object_ref(source)));
  g_object_set(source, "format", GST_FORMAT_TIME, "caps", caps, "max-bytes", guint64(0), nullptr);
  const ElementPtr mux = pipeline_->element("mux");
  if (!gst_element_link_pads(source, "src", mux.get(), stream.pad.c_str())) {
    g_autofree char *text = gst_caps_to_string(caps);
    throw Failure(std::string("a .") + container_.extension + " file does not take " + text);
  }
  GstAppSrcCallbacks callbacks = {};
  callbacks.need_data = [](GstAppSrc *, guint, gpointer wake) {
    static_cast<Wake *>(wake)->wake();
  };
  gst_app_src_set_callbacks(GST_APP_SRC(source), &callbacks, &wake_, nullptr);
  if (stream.tags && !gst_tag_list_is_empty(stream.tags.get())) {
    const PadPtr out(gst_element_get_static_pad(source, "src"));
    ++tags_waiting_;
    gst_pad_add_probe(out.get(), GST_PAD_PROBE_TYPE_BUFFER, push_tags,
                      new TagsToPush{this, &stream},
                      [](gpointer what) { delete static_cast<TagsToPush *>(what); });
  }
}

/// In front of the first buffer, behind what the source sends by itself.
GstPadProbeReturn OutputFile::push_tags(GstPad *pad, GstPadProbeInfo *, gpointer data) {
  const auto *what = static_cast<TagsToPush *>(data);
  gst_pad_push_event(pad, gst_event_new_tag(gst_tag_list_ref(what->stream->tags.get())));
  --what->file->tags_waiting_;
  what->file->wake_.wake();
  return GST_PAD_PROBE_REMOVE;
}

/// All that begins before `time`, and one more: so the muxer never waits for what is sparse.
void OutputFile::push_until(Stream &stream, GstClockTime time) {
  auto *source = GST_APP_SRC(stream.source.get());
  while (!stream.ended && stream.pushed <= time) {
    BufferPtr packet = stream.packets->next();
    if (!packet) {
      stream.ended = true;
      gst_app_src_end_of_stream(source);
      return;
    }
    if (GST_BUFFER_PTS_IS_VALID(packet.get())) stream.pushed = GST_BUFFER_PTS(packet.get());
    gst_app_src_push_buffer(source, packet.release());
  }
}

void OutputFile::append(const std::string &fragment) {
  PacketReader pictures(fragment);
  Stream &first = *streams_[0];
  if (!first.source) {
    add(first, pictures.caps());
    for (size_t i = 1; i < streams_.size(); i++) add(*streams_[i], streams_[i]->packets->caps());
    pipeline_->set_state(GST_STATE_PLAYING);
  }
  while (BufferPtr packet = pictures.next()) {
    if (GST_BUFFER_PTS_IS_VALID(packet.get())) time_ = GST_BUFFER_PTS(packet.get());
    for (size_t i = 1; i < streams_.size(); i++) push_until(*streams_[i], time_);
    // With the first picture the muxer writes its head, and languages stand in there.
    while (!first_pushed_ && tags_waiting_ > (first.tags ? 1 : 0)) {
      pipeline_->check();
      wake_.wait(std::chrono::milliseconds(20));
    }
    first_pushed_ = true;
    gst_app_src_push_buffer(GST_APP_SRC(first.source.get()), packet.release());
    pipeline_->check();
    while (gst_app_src_get_current_level_bytes(GST_APP_SRC(first.source.get())) > kBytesWaiting) {
      wake_.wait(std::chrono::milliseconds(20));
      pipeline_->check();
    }
  }
}

void OutputFile::finish(bool whole) {
  for (auto &stream : streams_) {
    if (whole && stream->packets) push_until(*stream, GST_CLOCK_TIME_NONE - 1);
    if (!stream->ended) gst_app_src_end_of_stream(GST_APP_SRC(stream->source.get()));
    stream->ended = true;
  }
  while (!pipeline_->ended()) {
    pipeline_->check();
    wake_.wait(std::chrono::milliseconds(100));
  }
  pipeline_->set_state(GST_STATE_NULL);
  pipeline_.reset();
  std::vector<const GstTagList *> tags;
  for (const auto &stream : streams_)
    if (stream->tags) tags.push_back(stream->tags.get());
  if (g_str_has_prefix(container_.muxer, "matroska") || g_str_has_prefix(container_.muxer, "webm"))
    unquote_matroska_tags(unfinished_, tags);
}

uint64_t OutputFile::silence() const {
  bool any = false;
  GstClockTime end = 0;
  for (const auto &stream : streams_) {
    any = any || stream->sound;
    if (stream->sound) end = std::max(end, stream->pushed);
  }
  return any && end < time_ ? time_ - end : 0;
}

void OutputFile::publish() {
  if (std::rename(unfinished_.c_str(), path_.c_str()) != 0)
    throw Failure("'" + shown(path_) + "' cannot be written: " + std::strerror(errno));
}

}  // namespace upscale_file
