#include "copied_streams.h"

#include <gst/app/app.h>
#include <gst/pbutils/pbutils.h>

#include <algorithm>

#include "failure.h"

namespace upscale_file {
namespace {

/// What the muxer's pads of a kind take; empty caps where it has none of them.
CapsPtr taken(const Container &container, const char *pad) {
  g_auto(GStrv) words = g_strsplit(container.muxer, " ", 2);
  g_autoptr(GstElementFactory) factory = gst_element_factory_find(words[0]);
  if (!factory)
    throw Failure(
        std::string(words[0]) +
        " is not installed: apt-get install gstreamer1.0-plugins-good gstreamer1.0-plugins-bad");
  const GList *templates = gst_element_factory_get_static_pad_templates(factory);
  for (; templates; templates = templates->next) {
    auto *one = static_cast<GstStaticPadTemplate *>(templates->data);
    if (one->direction == GST_PAD_SINK && g_str_has_prefix(one->name_template, pad))
      return CapsPtr(gst_static_pad_template_get_caps(one));
  }
  return CapsPtr(gst_caps_new_empty());
}

bool is_a(GstCaps *caps, const char *prefix) {
  return g_str_has_prefix(gst_structure_get_name(gst_caps_get_structure(caps, 0)), prefix);
}

/// Text with marks for slant and weight is what such subtitles hold in files, too.
CapsPtr plainly_named(GstCaps *caps) {
  CapsPtr result(gst_caps_copy(caps));
  GstStructure *what = gst_caps_get_structure(result.get(), 0);
  if (gst_structure_has_name(what, "text/x-raw"))
    gst_structure_set(what, "format", G_TYPE_STRING, "utf8", nullptr);
  return result;
}

/// Whether another framing of the same packets would be taken.
bool takes_when_parsed(GstCaps *wanted, GstCaps *caps) {
  const CapsPtr any(gst_caps_copy(caps));
  gst_structure_remove_field(gst_caps_get_structure(any.get(), 0), "stream-format");
  return gst_caps_can_intersect(any.get(), wanted);
}

std::string described(GstCaps *caps) {
  g_autofree char *text = gst_pb_utils_get_codec_description(caps);
  return text ? text : gst_structure_get_name(gst_caps_get_structure(caps, 0));
}

/// Whether a packet is one of the heads that muxers take from the caps: of FLAC or Vorbis.
bool stands_in_caps(GstBuffer *packet, GstCaps *caps) {
  const GValue *heads = gst_structure_get_value(gst_caps_get_structure(caps, 0), "streamheader");
  if (!heads || !GST_VALUE_HOLDS_ARRAY(heads)) return false;
  if (GST_BUFFER_FLAG_IS_SET(packet, GST_BUFFER_FLAG_HEADER) && !GST_BUFFER_PTS_IS_VALID(packet))
    return true;
  for (guint i = 0; i < gst_value_array_get_size(heads); i++) {
    GstBuffer *head = gst_value_get_buffer(gst_value_array_get_value(heads, i));
    const gsize size = gst_buffer_get_size(packet);
    std::vector<char> bytes(size);
    gst_buffer_extract(packet, 0, bytes.data(), size);
    if (gst_buffer_get_size(head) == size && gst_buffer_memcmp(head, 0, bytes.data(), size) == 0)
      return true;
  }
  return false;
}

/// The name of the best decoder of such sound; empty where none is installed.
std::string decoder_of(GstCaps *caps) {
  GList *all = gst_element_factory_list_get_elements(
      GST_ELEMENT_FACTORY_TYPE_DECODER | GST_ELEMENT_FACTORY_TYPE_MEDIA_AUDIO, GST_RANK_MARGINAL);
  GList *fitting = gst_element_factory_list_filter(all, caps, GST_PAD_SINK, FALSE);
  fitting = g_list_sort(fitting, gst_plugin_feature_rank_compare_func);
  const std::string name = fitting ? GST_OBJECT_NAME(fitting->data) : "";
  gst_plugin_feature_list_free(all);
  gst_plugin_feature_list_free(fitting);
  return name;
}

}  // namespace

struct CopiedStreams::Stream {
  CopiedStreams *owner;
  CopiedStream copied;
  ElementPtr sink;
  std::unique_ptr<PacketWriter> writer;
  uint64_t last_end = 0;
};

CopiedStreams::CopiedStreams(Wake &wake, const Input &input, const Container &container,
                             const Options &options, const std::string &folder)
    : wake_(wake),
      start_(options.start),
      end_(options.duration ? start_ + *options.duration : GST_CLOCK_TIME_NONE),
      folder_(folder),
      container_(container) {
  const bool one_kind = g_str_equal(container.extension, "ts");
  sound_ = taken(container, one_kind ? "sink" : "audio");
  subtitles_ = taken(container, one_kind ? "sink" : "subtitle");
  if (input.kind == Kind::animation) return;
  pipeline_ = std::make_unique<Pipeline>(wake, "filesrc name=file ! parsebin name=parse");
  const ElementPtr file = pipeline_->element("file"), parse = pipeline_->element("parse");
  g_object_set(file.get(), "location", input.path.c_str(), nullptr);
  g_signal_connect(parse.get(), "pad-added", G_CALLBACK(pad_added), this);
  pipeline_->set_state(GST_STATE_PLAYING);
}

CopiedStreams::~CopiedStreams() { pipeline_.reset(); }

void CopiedStreams::pad_added(GstElement *, GstPad *pad, gpointer self) {
  static_cast<CopiedStreams *>(self)->add(pad);
}

void CopiedStreams::one_ended() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    --open_;
  }
  wake_.wake();
}

void CopiedStreams::add(GstPad *pad) {
  CapsPtr caps(gst_pad_get_current_caps(pad));
  if (!caps) caps.reset(gst_pad_query_caps(pad, nullptr));
  const bool sound = is_a(caps.get(), "audio/");
  const bool pictures = is_a(caps.get(), "video/") || is_a(caps.get(), "image/");
  GstCaps *wanted = sound ? sound_.get() : subtitles_.get();
  const CapsPtr named = plainly_named(caps.get());
  std::string line = "appsink name=sink sync=false async=false";
  bool left_out = false, anew = false;
  if (pictures || gst_caps_can_intersect(named.get(), wanted)) {
    // As it is.
  } else if (is_a(caps.get(), "audio/mpeg") && takes_when_parsed(wanted, caps.get())) {
    line = "aacparse ! " + line;
  } else if (const std::string decoder = sound ? decoder_of(caps.get()) : ""; !decoder.empty()) {
    line = decoder + " ! audioconvert ! audioresample ! " + container_.sound + " ! " + line;
    anew = true;
  } else {
    left_out = true;
  }
  GstElement *bin = nullptr;
  if (pictures || left_out)
    bin = gst_element_factory_make("fakesink", nullptr);
  else
    bin = gst_parse_bin_from_description(line.c_str(), TRUE, nullptr);
  const bool copied = !pictures && !left_out && bin;
  std::lock_guard<std::mutex> lock(mutex_);
  if (anew && copied)
    notes_.push_back(described(caps.get()) + " does not go into ." + container_.extension +
                     ": encoded anew by " + container_.sound);
  if (left_out || !bin)
    notes_.push_back(described(caps.get()) + " does not go into ." + container_.extension +
                     " and is left out; .mkv takes most");
  if (!bin) return;
  any_ = true;
  ++open_;
  if (copied) {
    auto stream = std::make_unique<Stream>();
    stream->owner = this;
    stream->copied.path = folder_ + "/stream-" + std::to_string(streams_.size());
    stream->copied.pad = g_str_equal(container_.extension, "ts") ? "sink_%d"
                         : sound                                 ? "audio_%u"
                                                                 : "subtitle_%u";
    stream->sink.reset(gst_bin_get_by_name(GST_BIN(bin), "sink"));
    if (sound) g_object_set(stream->sink.get(), "caps", wanted, nullptr);
    GstAppSinkCallbacks callbacks = {};
    callbacks.new_sample = [](GstAppSink *sink, gpointer data) {
      auto *of = static_cast<Stream *>(data);
      const SamplePtr sample(gst_app_sink_pull_sample(sink));
      if (sample) of->owner->write(*of, sample.get());
      return GST_FLOW_OK;
    };
    callbacks.eos = [](GstAppSink *, gpointer data) {
      static_cast<Stream *>(data)->owner->one_ended();
    };
    gst_app_sink_set_callbacks(GST_APP_SINK(stream->sink.get()), &callbacks, stream.get(), nullptr);
    streams_.push_back(std::move(stream));
  } else {
    g_object_set(bin, "sync", FALSE, "async", FALSE, nullptr);
    const auto look = [](GstPad *, GstPadProbeInfo *info, gpointer self) {
      if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_EOS)
        static_cast<CopiedStreams *>(self)->one_ended();
      return GST_PAD_PROBE_OK;
    };
    gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, look, this, nullptr);
  }
  gst_bin_add(GST_BIN(pipeline_->bin()), bin);
  gst_element_sync_state_with_parent(bin);
  const PadPtr sink(gst_element_get_static_pad(bin, "sink"));
  gst_pad_link(pad, sink.get());
}

void CopiedStreams::write(Stream &stream, GstSample *sample) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (stopped_ || !error_.empty()) return;
  try {
    const GstSegment *segment = gst_sample_get_segment(sample);
    GstBuffer *given = gst_sample_get_buffer(sample);
    if (stands_in_caps(given, gst_sample_get_caps(sample))) return;
    guint64 time = stream.last_end;
    const int sign = GST_BUFFER_PTS_IS_VALID(given)
                         ? gst_segment_to_running_time_full(segment, GST_FORMAT_TIME,
                                                            GST_BUFFER_PTS(given), &time)
                         : 1;
    const GstClockTime duration = GST_BUFFER_DURATION(given);
    stream.last_end = time + (GST_CLOCK_TIME_IS_VALID(duration) ? duration : 0);
    if (sign > 0) position_ = std::max(position_, stream.last_end);
    if (sign <= 0 || time < start_ || time >= end_) return;
    const BufferPtr packet(gst_buffer_copy(given));
    GST_BUFFER_PTS(packet.get()) = time - start_;
    GST_BUFFER_DTS(packet.get()) = GST_BUFFER_PTS(packet.get());
    if (!stream.writer)
      stream.writer = std::make_unique<PacketWriter>(
          stream.copied.path, plainly_named(gst_sample_get_caps(sample)).get());
    stream.writer->write(packet.get());
  } catch (const Failure &failure) {
    error_ = failure.what();
  }
}

bool CopiedStreams::finished() {
  if (!pipeline_) return true;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!error_.empty()) throw Failure(error_);
  }
  try {
    pipeline_->check();
  } catch (const Failure &failure) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!stopped_)
      notes_.push_back(std::string("sound and subtitles are copied as far as they can be read: ") +
                       failure.what());
    stopped_ = true;
  }
  std::lock_guard<std::mutex> lock(mutex_);
  // All pads come before anything flows.
  return stopped_ || (any_ && open_ == 0);
}

std::vector<CopiedStream> CopiedStreams::take(std::vector<std::string> &notes) {
  std::vector<CopiedStream> result;
  std::lock_guard<std::mutex> lock(mutex_);
  stopped_ = true;
  for (const auto &stream : streams_) {
    if (!stream->writer) continue;
    stream->writer->finish(stream->writer->packets());
    stream->writer.reset();
    const PadPtr pad(gst_element_get_static_pad(stream->sink.get(), "sink"));
    stream->copied.tags.reset(gst_tag_list_new_empty());
    gst_tag_list_set_scope(stream->copied.tags.get(), GST_TAG_SCOPE_STREAM);
    for (guint i = 0;; i++) {
      g_autoptr(GstEvent) event = gst_pad_get_sticky_event(pad.get(), GST_EVENT_TAG, i);
      if (!event) break;
      GstTagList *tags = nullptr;
      gst_event_parse_tag(event, &tags);
      if (gst_tag_list_get_scope(tags) == GST_TAG_SCOPE_STREAM)
        gst_tag_list_insert(stream->copied.tags.get(), tags, GST_TAG_MERGE_REPLACE);
    }
    // Else matroska's default holds, English.
    if (gst_tag_list_get_tag_size(stream->copied.tags.get(), GST_TAG_LANGUAGE_CODE) == 0)
      gst_tag_list_add(stream->copied.tags.get(), GST_TAG_MERGE_REPLACE, GST_TAG_LANGUAGE_CODE,
                       "und", nullptr);
    result.push_back(std::move(stream->copied));
  }
  notes = notes_;
  return result;
}

uint64_t CopiedStreams::position() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return position_;
}

}  // namespace upscale_file
