// Settings that cannot be had, engines that fail, events that carry positions.
#include <gst/video/navigation.h>

#include <cstring>
#include <thread>

#include "runtime/error.h"
#include "support.h"

using livepeer::Error;
using livepeer::ErrorKind;

namespace {

const char *const kSmall = "format=RGB,width=8,height=6";

GstBuffer *frame(unsigned i) { return pattern_new(info_of(kSmall), i * GST_SECOND, i); }

struct Told {
  GQuark domain;
  gint code;
  std::string text, detail;
};

/// The warnings on the bus.
std::vector<Told> warnings(GstBus *bus) {
  std::vector<Told> all;
  while (GstMessage *message = gst_bus_pop_filtered(bus, GST_MESSAGE_WARNING)) {
    GError *error = nullptr;
    gchar *debug = nullptr;
    gst_message_parse_warning(message, &error, &debug);
    all.push_back({error->domain, error->code, error->message, debug ? debug : ""});
    g_clear_error(&error);
    g_free(debug);
    gst_message_unref(message);
  }
  return all;
}

const GstLivepeerUpscaleMeta *push_for_meta(GstHarness *h, unsigned i, GstBuffer **out) {
  fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
  *out = gst_harness_pull(h);
  return gst_buffer_get_livepeer_upscale_meta(*out);
}

}  // namespace

POINT(H4_settings_do_not_end_a_running_stream) {
  engine->max_noise_level = 100;
  BusHarness test(kSmall);
  GstBuffer *out = nullptr;
  fail_unless_equals_int(push_for_meta(test.h, 0, &out)->noise_level, 20);
  gst_buffer_unref(out);
  g_object_set(test.h->element, "noise-level", 700, nullptr);
  for (unsigned i = 1; i < 4; ++i) {
    fail_unless_equals_int(push_for_meta(test.h, i, &out)->noise_level, 100);
    gst_buffer_unref(out);
  }
  auto told = warnings(test.bus);
  fail_unless_equals_int(int(told.size()), 1);
  fail_unless(told[0].domain == GST_LIBRARY_ERROR && told[0].code == GST_LIBRARY_ERROR_SETTINGS);
  engine->least_steps = 4;
  g_object_set(test.h->element, "noise-level", -1, "steps", 2, nullptr);
  for (unsigned i = 4; i < 6; ++i) {
    fail_unless_equals_int(int(push_for_meta(test.h, i, &out)->steps), 4);
    gst_buffer_unref(out);
  }
  fail_unless_equals_int(int(warnings(test.bus).size()), 1);
}

POINT(C6_a_cut_prompt_is_said) {
  engine->longest_prompt = 10;
  BusHarness test(kSmall, "prompt=0123456789abc");
  GstBuffer *out = nullptr;
  push_for_meta(test.h, 0, &out);
  gst_buffer_unref(out);
  const auto told = warnings(test.bus);
  fail_unless_equals_int(int(told.size()), 1);
  fail_unless(told[0].text.find("3") != std::string::npos, "%s", told[0].text.c_str());
}

POINT(I2_the_largest_latency_does_not_wrap) {
  GstHarness *h = harness_new(kSmall, "latency=18446744073709551615 late-policy=scale");
  gst_harness_set_upstream_latency(h, 50 * GST_MSECOND);
  GstQuery *query = gst_query_new_latency();
  fail_unless(gst_pad_peer_query(h->sinkpad, query));
  GstClockTime min = 0;
  gst_query_parse_latency(query, nullptr, &min, nullptr);
  fail_unless(GST_CLOCK_TIME_IS_VALID(min) && min > GstClockTime(1) << 61, "%" G_GUINT64_FORMAT,
              min);
  gst_query_unref(query);
  for (unsigned i = 0; i < 3; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
  fail_unless_equals_int(engine->upscales, 3);  // nothing is late
  gst_harness_teardown(h);
}

POINT(H2_without_a_fallback_a_failing_engine_ends_the_stream_and_names_the_frame) {
  BusHarness test(kSmall);
  fail_unless_equals_int(gst_harness_push(test.h, frame(0)), 0);
  engine->on_upscale = [] { throw Error(ErrorKind::failed, "The numbers ran away", "NaN"); };
  fail_unless_equals_int(gst_harness_push(test.h, frame(3)), GST_FLOW_ERROR);
  GstMessage *message = wait_message(test.bus, GST_MESSAGE_ERROR);
  GError *error = nullptr;
  gchar *debug = nullptr;
  gst_message_parse_error(message, &error, &debug);
  fail_unless(g_error_matches(error, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED));
  fail_unless(strstr(debug, "0:00:03.0") && strstr(debug, "NaN"), "%s", debug);
  g_clear_error(&error);
  g_free(debug);
  gst_message_unref(message);
}

POINT(H3_a_fallback_keeps_the_stream_and_tries_again) {
  for (const char *fallback : {"fallback=scale", "fallback=local"}) {
    engine->on_upscale = {};
    BusHarness test(kSmall, fallback);
    GstBuffer *out = nullptr;
    const auto flags_of_next = [&](unsigned i) {
      const guint flags = push_for_meta(test.h, i, &out)->flags;
      fail_unless_equals_uint64(GST_BUFFER_PTS(out), i * GST_SECOND);
      gst_buffer_unref(out);
      return flags;
    };
    fail_unless_equals_int(int(flags_of_next(0)), GST_LIVEPEER_UPSCALE_INFERRED);
    for (const ErrorKind kind : {ErrorKind::no_space, ErrorKind::init, ErrorKind::failed}) {
      const auto tried = std::make_shared<std::atomic<int>>(0);
      engine->on_upscale = [=] {
        ++*tried;
        throw Error(kind, "The engine is in trouble", "numbers");
      };
      for (unsigned i = 1; i < 6; ++i)
        fail_unless_equals_int(int(flags_of_next(i)), GST_LIVEPEER_UPSCALE_SCALED);
      fail_unless(*tried >= 5, "it is tried again with each frame");
      auto told = warnings(test.bus);
      fail_unless_equals_int(int(told.size()), 1);
      fail_unless(told[0].detail.find("0:00:01.0") != std::string::npos, "%s",
                  told[0].detail.c_str());
      engine->on_upscale = {};
      for (unsigned i = 6; i < 8; ++i)
        fail_unless_equals_int(int(flags_of_next(i)), GST_LIVEPEER_UPSCALE_INFERRED);
      told = warnings(test.bus);
      fail_unless_equals_int(int(told.size()), 1);
      fail_unless(told[0].detail.find("0:00:06.0") != std::string::npos, "%s",
                  told[0].detail.c_str());
    }
  }
}

POINT(K2_a_fallback_is_checked) {
  engine->on_upscale = [] { throw std::bad_alloc(); };
  engine->nsfw_score = 0.9;
  GstHarness *h = harness_new(kSmall, "fallback=scale safety-check=true safety-action=drop");
  fail_unless_equals_int(gst_harness_push(h, frame(0)), 0);
  fail_unless(gst_harness_try_pull(h) == nullptr, "flagged");
  // Where the checker fails too, the frame is hidden.
  engine->score_of = [](const livepeer::Frame &) -> double { throw std::bad_alloc(); };
  fail_unless_equals_int(gst_harness_push(h, frame(1)), 0);
  fail_unless(gst_harness_try_pull(h) == nullptr, "unchecked");
  engine->score_of = [](const livepeer::Frame &) { return 0.1; };
  GstBuffer *discont = frame(2);
  GST_BUFFER_FLAG_SET(discont, GST_BUFFER_FLAG_DISCONT);
  gst_buffer_unref(gst_harness_push_and_pull(h, discont));
  gst_harness_teardown(h);
}

POINT(G4_a_failed_load_has_no_fallback) {
  engine->on_load = [] { throw Error(ErrorKind::open_read, "The file is damaged", "unet"); };
  BusHarness test(kSmall, "fallback=scale");
  fail_unless_equals_int(gst_harness_push(test.h, frame(0)), GST_FLOW_ERROR);
  expect_error(test.bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ);
}

POINT(D1_positions_are_divided_by_four_on_their_way_up) {
  GstHarness *h = harness_new(kSmall);
  const auto sent_up = [&](GstStructure *structure) {
    fail_unless(gst_harness_push_upstream_event(h, gst_event_new_navigation(structure)));
    GstEvent *event = nullptr;
    while ((event = gst_harness_pull_upstream_event(h)) &&
           GST_EVENT_TYPE(event) != GST_EVENT_NAVIGATION)
      gst_event_unref(event);
    return event;
  };
  gdouble x = 0, y = 0;
  GstEvent *event = sent_up(gst_structure_new(
      "application/x-gst-navigation", "event", G_TYPE_STRING, "mouse-button-press", "button",
      G_TYPE_INT, 1, "pointer_x", G_TYPE_DOUBLE, 100.0, "pointer_y", G_TYPE_DOUBLE, 40.0, nullptr));
  fail_unless(gst_navigation_event_parse_mouse_button_event(event, nullptr, &x, &y));
  fail_unless(x == 25 && y == 10, "(%g, %g)", x, y);
  gst_event_unref(event);
  event = sent_up(gst_structure_new("application/x-gst-navigation", "event", G_TYPE_STRING,
                                    "key-press", "key", G_TYPE_STRING, "a", nullptr));
  const char *key = nullptr;
  fail_unless(gst_navigation_event_parse_key_event(event, &key));
  fail_unless_equals_string(key, "a");
  gst_event_unref(event);
  gst_harness_teardown(h);
}

int main() { return run_suite("faults"); }
