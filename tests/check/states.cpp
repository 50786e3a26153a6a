// L1, all state patterns without a model; L8, a storm.
#include <atomic>
#include <cstdlib>
#include <random>
#include <thread>

#include "runtime/error.h"
#include "support.h"

using namespace std::chrono_literals;

namespace {

constexpr GstState kStates[] = {GST_STATE_NULL, GST_STATE_READY, GST_STATE_PAUSED,
                                GST_STATE_PLAYING};

struct Seen {
  std::atomic<int> frames{0};
  std::atomic<int> wrong{0};
};

/// Whatever happens around it, a frame is complete and of the size that the caps say.
GstPadProbeReturn look_at_frame(GstPad *sink, GstPadProbeInfo *info, gpointer data) {
  auto *seen = static_cast<Seen *>(data);
  GstCaps *caps = gst_pad_get_current_caps(sink);
  GstVideoInfo video;
  if (!caps || !gst_video_info_from_caps(&video, caps) ||
      gst_buffer_get_size(GST_PAD_PROBE_INFO_BUFFER(info)) != GST_VIDEO_INFO_SIZE(&video))
    ++seen->wrong;
  ++seen->frames;
  gst_clear_caps(&caps);
  return GST_PAD_PROBE_OK;
}

/// Empties the bus; an error of any element but `pardoned` fails the test.
void expect_no_error(GstElement *pipeline, GstElement *pardoned) {
  GstBus *bus = gst_element_get_bus(pipeline);
  while (GstMessage *message = gst_bus_pop(bus)) {
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR &&
        GST_MESSAGE_SRC(message) != GST_OBJECT(pardoned)) {
      GError *error = nullptr;
      gchar *debug = nullptr;
      gst_message_parse_error(message, &error, &debug);
      fail_unless(false, "%s (%s)", error->message, debug);
    }
    gst_message_unref(message);
  }
  gst_object_unref(bus);
}

/// As many as the environment wants, for those who have the time.
int storm_frames() {
  const char *text = g_getenv("STORM_FRAMES");
  return text ? std::atoi(text) : 5000;
}

}  // namespace

POINT(L1_every_pair_of_states) {
  for (const bool model : {true, false}) {
    if (!model)
      engine->on_check = [] {
        throw livepeer::Error(livepeer::ErrorKind::not_found, "There is no such model");
      };
    GstElement *element = element_new();
    for (const GstState from : kStates) {
      for (const GstState to : kStates) {
        gst_element_set_state(element, from);
        gst_element_set_state(element, to);
        GstState state;
        gst_element_get_state(element, &state, nullptr, kGiveUpTime);
        fail_unless(!model || state == to);
      }
    }
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
  }
}

POINT(L8_storm) {
  // Thousands of frames through a pipeline, while a second thread flushes, seeks, changes caps,
  // properties and states at random. Seeded, so that a failure can be repeated as far as threads
  // allow.
  engine->step_time = 1ms;
  const auto calls = std::make_shared<std::atomic<int>>(0);
  engine->on_upscale = [calls] {
    if (++*calls % 20 == 0) throw livepeer::Error(livepeer::ErrorKind::failed, "Now and then");
  };
  GstElement *pipeline = pipeline_new(
      "videotestsrc name=src pattern=snow ! capsfilter name=filter caps-change-mode=delayed ! "
      "livepeerupscale name=up "
      "safety-check=false fallback=scale max-in-flight=3 ! fakesink name=out");
  GstElement *src = gst_bin_get_by_name(GST_BIN(pipeline), "src");
  GstElement *filter = gst_bin_get_by_name(GST_BIN(pipeline), "filter");
  GstElement *up = gst_bin_get_by_name(GST_BIN(pipeline), "up");
  GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
  Seen seen;
  GstPad *pad = gst_element_get_static_pad(out, "sink");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, look_at_frame, &seen, nullptr);
  gst_object_unref(pad);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);

  std::mt19937 random(20240607);
  const char *const formats[] = {"RGB", "BGRA", "GBR", "xRGB"};
  const int wanted = storm_frames();
  int frames = 0;
  auto progress = Clock::now();
  while (seen.frames < wanted) {
    fail_unless(seen.wrong == 0, "%d frames are not what the caps say", seen.wrong.load());
    if (seen.frames != frames) {
      frames = seen.frames;
      progress = Clock::now();
    }
    fail_unless(elapsed_ms(progress) < kGiveUp, "stuck after %d frames", frames);
    switch (random() % 8) {
      case 0:
        gst_element_seek_simple(pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH,
                                random() % 1000 * GST_MSECOND);
        break;
      case 1: {
        GstCaps *caps = gst_caps_new_simple(
            "video/x-raw", "format", G_TYPE_STRING, formats[random() % 4], "width", G_TYPE_INT,
            int(1 + random() % 40), "height", G_TYPE_INT, int(1 + random() % 40), nullptr);
        g_object_set(filter, "caps", caps, nullptr);
        gst_caps_unref(caps);
        break;
      }
      case 2:
        g_object_set(up, "prompt", random() % 2 ? "a" : "b", "seed", gint64(random()), "steps",
                     guint(random() % 3), nullptr);
        break;
      case 3:
        g_object_set(up, "late-policy", int(random() % 4), "post-messages", int(random() % 2),
                     "reuse-threshold", double(random() % 3) - 1, "safety-action",
                     int(random() % 4), nullptr);
        break;
      case 4:
        engine->nsfw_score = double(random() % 100) / 100;
        g_object_set(up, "max-in-flight", guint(1 + random() % 5), "safety-check",
                     int(random() % 2), nullptr);
        break;
      case 5:
        if (random() % 4 == 0) {
          gst_element_set_state(pipeline, kStates[random() % 4]);
          // An event that meets an element half closed fails, which the source takes for an error.
          expect_no_error(pipeline, src);
          gst_element_set_state(pipeline, GST_STATE_PLAYING);
        }
        break;
      case 6:
        gst_element_send_event(src, gst_event_new_flush_start());
        gst_element_send_event(src, gst_event_new_flush_stop(random() % 2));
        break;
      default: {
        GstStructure *stats = nullptr;
        g_object_get(up, "stats", &stats, nullptr);
        gst_structure_free(stats);
        std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
      }
    }
    expect_no_error(pipeline, nullptr);
  }
  for (GstElement *element : {src, filter, up, out}) gst_object_unref(element);
  pipeline_free(pipeline);
}

int main() { return run_suite("states"); }
