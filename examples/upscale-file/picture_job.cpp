#include "picture_job.h"

#include <fcntl.h>
#include <gst/app/app.h>
#include <gst/video/video.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "common/picture.h"
#include "element.h"
#include "failure.h"
#include "frame_source.h"
#include "output_size.h"
#include "picture_bytes.h"
#include "pipeline.h"
#include "text.h"

namespace upscale_file {
namespace {

struct PictureKind {
  const char *extension;
  const char *encoder;  ///< as in a launch line
};

const PictureKind kKinds[] = {
    {"png", "pngenc"},
    {"jpg", "jpegenc quality=97"},
    {"jpeg", "jpegenc quality=97"},
    {"webp", "webpenc quality=97"},
};

const PictureKind *kind_of(const std::string &extension) {
  for (const PictureKind &kind : kKinds)
    if (extension == kind.extension) return &kind;
  return nullptr;
}

SamplePtr sample_of(livepeer_examples::Picture picture) {
  const CapsPtr caps(gst_caps_new_simple(
      "video/x-raw", "format", G_TYPE_STRING, "RGB", "width", G_TYPE_INT, picture.width, "height",
      G_TYPE_INT, picture.height, "framerate", GST_TYPE_FRACTION, 0, 1, nullptr));
  auto *pixels = new std::vector<uint8_t>(std::move(picture.pixels));
  const BufferPtr buffer(gst_buffer_new_wrapped_full(
      GstMemoryFlags(0), pixels->data(), pixels->size(), 0, pixels->size(), pixels,
      [](gpointer data) { delete static_cast<std::vector<uint8_t> *>(data); }));
  GST_BUFFER_PTS(buffer.get()) = 0;
  return SamplePtr(gst_sample_new(buffer.get(), caps.get(), nullptr, nullptr));
}

/// The picture in a file, and how it is to be turned.
SamplePtr decode(const Input &input, std::string &turn) {
  if (is_cut_off(input.path))
    throw Failure("'" + shown(input.path) + "' cannot be decoded: its end is missing");
  g_autofree char *data = nullptr;
  gsize size = 0;
  g_autoptr(GError) error = nullptr;
  if (!g_file_get_contents(input.path.c_str(), &data, &size, &error))
    throw Failure(shown(error->message));
  try {
    livepeer_examples::Picture picture = livepeer_examples::decode_picture({data, size});
    turn = turn_of(picture.orientation);
    return sample_of(std::move(picture));
  } catch (const std::runtime_error &refusal) {
    throw Failure("'" + shown(input.path) + "' cannot be decoded: " + refusal.what());
  }
}

SamplePtr first_frame(Wake &wake, const Options &options, const Input &input) {
  const std::unique_ptr<FrameSource> frames = open_frames(wake, input, options);
  while (!wake.signal()) {
    if (SamplePtr frame = frames->next()) return frame;
    if (frames->ended()) throw Failure("'" + shown(input.path) + "' has no frame there");
    wake.wait(std::chrono::milliseconds(50));
  }
  throw Interrupted();
}

/// A new file beside the output, under a name that nothing has; removed unless it is published.
class Unfinished {
 public:
  explicit Unfinished(const std::string &output) : output_(output), path_(output + ".XXXXXX") {
    file_ = g_mkstemp_full(path_.data(), O_WRONLY | O_CLOEXEC, 0666);
    if (file_ < 0) fail();
  }
  ~Unfinished() {
    if (file_ < 0) return;
    close(file_);
    std::remove(path_.c_str());
  }
  int file() const { return file_; }
  void publish() {
    if (std::rename(path_.c_str(), output_.c_str()) != 0) fail();
    if (close(std::exchange(file_, -1)) != 0) fail();
  }

 private:
  [[noreturn]] void fail() const {
    throw Failure("'" + shown(output_) + "' cannot be written: " + std::strerror(errno));
  }

  const std::string output_;
  std::string path_;
  int file_ = -1;
};

}  // namespace

bool is_picture(const std::string &extension) { return kind_of(extension) != nullptr; }

void run_picture(Wake &wake, const Options &options, const Input &input,
                 const std::string &extension, const std::string &output, Progress &progress) {
  if (g_file_test(output.c_str(), G_FILE_TEST_EXISTS) && !options.overwrite)
    throw Failure("'" + shown(output) + "' exists: --overwrite replaces it");
  std::string turn;
  if (is_animated_png(input.path)) progress.note("of an animated PNG the first frame is taken");
  // What knows colour profiles knows no alpha, and the other way round.
  const bool still = input.kind == Kind::picture && !is_png_with_alpha(input.path);
  const SamplePtr frame = still ? decode(input, turn) : first_frame(wake, options, input);
  GstCaps *caps = gst_sample_get_caps(frame.get());
  std::atomic<int> loaded{-1};
  std::atomic<double> fraction{0};
  const auto look = [&](GstMessage *message) {
    const GstStructure *what = gst_message_get_structure(message);
    int percent = 0;
    double part = 0;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_PROGRESS &&
        gst_structure_get_int(what, "percent", &percent))
      loaded = percent;
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ELEMENT &&
        gst_structure_get_double(what, "fraction", &part))
      fraction = part;
  };
  const std::string flip = turn.empty() ? "" : " ! videoflip video-direction=" + turn;
  Pipeline pipeline(wake,
                    "appsrc name=in format=time" + flip +
                        " ! livepeerupscale name=upscale post-messages=true"
                        " ! videoconvertscale method=lanczos ! capsfilter name=fitted ! " +
                        kind_of(extension)->encoder + " ! fdsink name=file async=false",
                    look);
  const ElementPtr in = pipeline.element("in"), upscale = pipeline.element("upscale");
  configure(upscale.get(), options);
  OutputSize size = output_size(caps, options, false);
  if (extension == "webp") {  // its encoder refuses less
    size.width = std::max(size.width, 16);
    size.height = std::max(size.height, 16);
  }
  if (turn.find_first_of('9') == 0 || turn.find('-') != std::string::npos)
    std::swap(size.width, size.height);
  const CapsPtr fitted(gst_caps_new_simple("video/x-raw", "width", G_TYPE_INT, size.width, "height",
                                           G_TYPE_INT, size.height, nullptr));
  g_object_set(pipeline.element("fitted").get(), "caps", fitted.get(), nullptr);
  Unfinished unfinished(output);
  g_object_set(pipeline.element("file").get(), "fd", unfinished.file(), nullptr);
  pipeline.set_state(GST_STATE_PLAYING);
  gst_app_src_push_sample(GST_APP_SRC(in.get()), frame.get());
  gst_app_src_end_of_stream(GST_APP_SRC(in.get()));
  while (!pipeline.ended()) {
    pipeline.check();
    if (wake.signal()) throw Interrupted();
    if (loaded >= 0 && fraction == 0) progress.load(loaded);
    if (fraction > 0) progress.picture(fraction);
    wake.wait(std::chrono::milliseconds(100));
  }
  pipeline.check();  // what fails ends its stream, too
  pipeline.set_state(GST_STATE_READY);
  unfinished.publish();
  progress.done(output, seed_of(upscale.get()));
}

}  // namespace upscale_file
