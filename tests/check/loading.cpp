// Section G: model loading and sharing, and H for what goes wrong there.
#include <algorithm>
#include <future>
#include <thread>

#include "runtime/error.h"
#include "support.h"

using namespace std::chrono_literals;
using livepeer::Error;
using livepeer::ErrorKind;

namespace {

const char *const kSmall = "format=RGB,width=8,height=6";

GstBuffer *frame(unsigned i) { return pattern_new(info_of(kSmall), i * GST_SECOND, i); }

constexpr int kError = -1;

/// Waits until the engine has come to the closed gate of a load.
void wait_for_load() {
  wait_until([] { return engine->loading.stopped() > 0; });
}

struct Progress {
  int type;  // a GstProgressType or kError
  int percent;
};

/// The progress and error messages that are on the bus now or come within `wait`, in order; an
/// error message counts as kError.
std::vector<Progress> progress_of(GstBus *bus, GstClockTime wait) {
  std::vector<Progress> all;
  while (GstMessage *message = gst_bus_timed_pop_filtered(
             bus, wait, GstMessageType(GST_MESSAGE_PROGRESS | GST_MESSAGE_ERROR))) {
    Progress progress = {kError, 0};
    if (GST_MESSAGE_TYPE(message) == GST_MESSAGE_PROGRESS) {
      gchar *code = nullptr;
      GstProgressType type;
      gst_message_parse_progress(message, &type, &code, nullptr);
      progress.type = type;
      fail_unless_equals_string(code, "open");
      g_free(code);
      fail_unless(
          gst_structure_get_int(gst_message_get_structure(message), "percent", &progress.percent));
    }
    all.push_back(progress);
    gst_message_unref(message);
    if (progress.type == GST_PROGRESS_TYPE_COMPLETE || progress.type == GST_PROGRESS_TYPE_ERROR ||
        progress.type == GST_PROGRESS_TYPE_CANCELED)
      break;
  }
  return all;
}

}  // namespace

POINT(G1_nothing_heavy_before_paused) {
  GstElement *element = element_new();
  fail_unless(gst_element_set_state(element, GST_STATE_READY) == GST_STATE_CHANGE_SUCCESS);
  fail_unless_equals_int(engine->loads, 0);
  gst_element_set_state(element, GST_STATE_NULL);
  gst_object_unref(element);
}

POINT(G2_H1_a_failed_check_posts_one_error_and_fails_the_state_change) {
  const std::vector<std::tuple<ErrorKind, GQuark, int>> kinds = {
      {ErrorKind::not_found, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND},
      {ErrorKind::open_read, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ},
      {ErrorKind::no_space, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT},
      {ErrorKind::init, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_INIT},
      {ErrorKind::settings, GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS},
      {ErrorKind::format, GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT},
      {ErrorKind::failed, GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED}};
  for (const auto &[kind, domain, code] : kinds) {
    engine->on_check = [kind = kind] { throw Error(kind, "something to do about it", "numbers"); };
    GstElement *element = element_new();
    GstBus *bus = gst_bus_new();
    gst_element_set_bus(element, bus);
    fail_unless(gst_element_set_state(element, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE);
    GstMessage *start = wait_message(bus, GST_MESSAGE_PROGRESS);
    gst_message_unref(start);
    expect_error(bus, domain, code);
    const auto rest = progress_of(bus, 0);
    fail_unless(rest.size() == 1 && rest[0].type == GST_PROGRESS_TYPE_ERROR);
    gst_element_set_state(element, GST_STATE_NULL);
    gst_element_set_bus(element, nullptr);
    gst_object_unref(bus);
    gst_object_unref(element);
  }
}

POINT(A3_G2_no_exception_of_any_type_leaves_a_callback) {
  const std::vector<std::function<void()>> throwers = {
      [] { throw std::runtime_error("x"); }, [] { throw std::bad_alloc(); }, [] { throw 7; }};
  for (const auto &thrower : throwers) {
    engine->on_check = thrower;
    GstElement *element = element_new();
    fail_unless(gst_element_set_state(element, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE);
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
    engine->on_check = {};
    for (const auto place : {&livepeer::FakeEngine::on_load, &livepeer::FakeEngine::on_upscale}) {
      *engine.*place = thrower;
      {
        BusHarness test(
            kSmall, std::string("model=") + (place == &livepeer::FakeEngine::on_load ? "a" : "b"));
        fail_unless_equals_int(gst_harness_push(test.h, frame(0)), GST_FLOW_ERROR);
        gst_message_unref(wait_message(test.bus, GST_MESSAGE_ERROR));
        fail_unless_equals_int(gst_harness_push(test.h, frame(1)), GST_FLOW_ERROR);
        fail_unless(gst_bus_pop_filtered(test.bus, GST_MESSAGE_ERROR) == nullptr, "H4");
      }
      *engine.*place = nullptr;
    }
  }
}

POINT(G3_the_state_change_returns_at_once_and_progress_is_told) {
  expect_within(kAtOnce, [] {
    engine->loading.close();
    GstElement *element = element_new();
    GstBus *bus = gst_bus_new();
    gst_element_set_bus(element, bus);
    const auto start = Clock::now();
    gst_element_set_state(element, GST_STATE_PAUSED);
    const double took = elapsed_ms(start);
    engine->loading.open();
    const auto all = progress_of(bus, kGiveUpTime);
    fail_unless(all.size() >= 4);
    fail_unless_equals_int(all.front().type, GST_PROGRESS_TYPE_START);
    fail_unless_equals_int(all.back().type, GST_PROGRESS_TYPE_COMPLETE);
    fail_unless_equals_int(all.back().percent, 100);
    for (size_t i = 1; i + 1 < all.size(); ++i) {
      fail_unless_equals_int(all[i].type, GST_PROGRESS_TYPE_CONTINUE);
      fail_unless(all[i].percent >= all[i - 1].percent);
    }
    gst_element_set_state(element, GST_STATE_NULL);
    gst_element_set_bus(element, nullptr);
    gst_object_unref(bus);
    gst_object_unref(element);
    wait_until([] { return engine->models_alive == 0; });
    return took;
  });
}

POINT(G3_G5_a_cancelled_load_says_so) {
  expect_within(kAtOnce, [] {
    engine->loading.close();
    GstElement *element = element_new();
    GstBus *bus = gst_bus_new();
    gst_element_set_bus(element, bus);
    gst_element_set_state(element, GST_STATE_PAUSED);
    wait_for_load();
    const auto start = Clock::now();
    gst_element_set_state(element, GST_STATE_READY);
    const double took = elapsed_ms(start);
    const auto all = progress_of(bus, kGiveUpTime);
    fail_unless_equals_int(all.back().type, GST_PROGRESS_TYPE_CANCELED);
    engine->loading.open();
    gst_element_set_state(element, GST_STATE_NULL);
    gst_element_set_bus(element, nullptr);
    gst_object_unref(bus);
    gst_object_unref(element);
    return took;
  });
}

POINT(G4_the_first_frame_waits_and_can_be_interrupted) {
  for (const bool flush : {true, false}) {
    expect_within(kAtOnce, [=] {
      engine->loading.close();
      GstHarness *h = harness_new(kSmall);
      auto pushed = std::async(std::launch::async, [=] { return gst_harness_push(h, frame(0)); });
      wait_until([=] { return stat(h->element, "in") == 1; });
      wait_for_load();
      const auto start = Clock::now();
      if (flush)
        gst_harness_push_event(h, gst_event_new_flush_start());
      else
        gst_element_set_state(h->element, GST_STATE_NULL);
      fail_unless_equals_int(pushed.get(), GST_FLOW_FLUSHING);
      const double took = elapsed_ms(start);
      gst_harness_teardown(h);
      engine->loading.open();
      return took;
    });
  }
}

POINT(G4_H4_a_failed_load_ends_the_stream_once) {
  engine->load_time = 100ms;
  engine->on_load = [] { throw Error(ErrorKind::open_read, "The file is damaged", "unet"); };
  BusHarness test(kSmall);
  fail_unless_equals_int(gst_harness_push(test.h, frame(0)), GST_FLOW_ERROR);
  fail_unless_equals_int(gst_harness_push(test.h, frame(1)), GST_FLOW_ERROR);
  const auto all = progress_of(test.bus, kGiveUpTime);
  fail_unless(all.size() >= 3);
  fail_unless_equals_int(all[all.size() - 2].type, kError);
  fail_unless_equals_int(all.back().type, GST_PROGRESS_TYPE_ERROR);
  fail_unless_equals_int(int(std::count_if(all.begin(), all.end(),
                                           [](const Progress &p) { return p.type == kError; })),
                         1);
  fail_unless(gst_bus_pop_filtered(test.bus, GST_MESSAGE_ERROR) == nullptr);
}

POINT(G6_weights_are_shared_and_freed_with_the_last) {
  GstHarness *a = harness_new(kSmall), *b = harness_new(kSmall);
  GstHarness *c = harness_new(kSmall, "precision=bfloat16");
  for (GstHarness *h : {a, b, c}) fail_unless_equals_int(gst_harness_push(h, frame(0)), 0);
  fail_unless_equals_int(engine->loads, 2);
  gst_harness_teardown(a);
  gst_harness_teardown(c);
  wait_until([] { return engine->models_alive == 1; });
  gst_harness_teardown(b);
  wait_until([] { return engine->models_alive == 0; });
}

POINT(G7_ready_keeps_the_model_and_null_lets_go) {
  GstElement *element = element_new();
  const auto start_and_stop = [&] {
    gst_element_set_state(element, GST_STATE_PAUSED);
    wait_until([&] { return stat(element, "load-time") > 0; });
    gst_element_set_state(element, GST_STATE_READY);
  };
  start_and_stop();
  start_and_stop();
  fail_unless_equals_int(engine->loads, 1);
  fail_unless_equals_int(engine->models_alive, 1);
  g_object_set(element, "model", "other", nullptr);
  start_and_stop();
  fail_unless_equals_int(engine->loads, 2);
  wait_until([] { return engine->models_alive == 1; });
  gst_element_set_state(element, GST_STATE_NULL);
  wait_until([] { return engine->models_alive == 0; });
  gst_object_unref(element);
}

POINT(K2_without_a_checker_the_start_fails) {
  engine->has_checker = false;
  expect_no_start("safety-check=true", GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS);
}

POINT(H3_out_of_memory_is_tried_again_and_warned_about_once) {
  BusHarness test(kSmall);
  int calls = 0;
  engine->on_upscale = [&] {
    if (++calls % 2) throw std::bad_alloc();
  };
  for (unsigned i = 0; i < 3; ++i) fail_unless_equals_int(gst_harness_push(test.h, frame(i)), 0);
  GstMessage *warning = wait_message(test.bus, GST_MESSAGE_WARNING);
  GError *error = nullptr;
  gst_message_parse_warning(warning, &error, nullptr);
  fail_unless(g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT));
  g_clear_error(&error);
  gst_message_unref(warning);
  fail_unless(gst_bus_pop_filtered(test.bus, GST_MESSAGE_WARNING) == nullptr);
  engine->on_upscale = [] { throw std::bad_alloc(); };
  fail_unless_equals_int(gst_harness_push(test.h, frame(9)), GST_FLOW_ERROR);
  expect_error(test.bus, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT);
}

int main() { return run_suite("loading"); }
