// Section F: threads, waiting, flow.
#include <future>
#include <thread>

#include "support.h"

using namespace std::chrono_literals;

namespace {

const char *const kSmall = "format=RGB,width=8,height=6";
const char *const kSmallOut = "format=RGB,width=32,height=24";

GstBuffer *frame(unsigned i) { return pattern_new(info_of(kSmall), i * GST_SECOND, i); }

std::future<GstFlowReturn> push_async(GstHarness *h, unsigned i) {
  return std::async(std::launch::async, [=] { return gst_harness_push(h, frame(i)); });
}

/// Waits until the engine is inside the `n`th frame.
void wait_for_frame(int n) {
  wait_until([=] { return engine->upscales >= n; });
}

/// Waits until the engine has come to its closed gate.
void wait_for_step() {
  wait_until([] { return engine->stepping.stopped() > 0; });
}

/// An event that passed, and how many frames did before.
struct Passed {
  GstEventType type;
  size_t frames_before;
};

GstPadProbeReturn note_passed(GstPad *, GstPadProbeInfo *info, gpointer data) {
  auto *passed = static_cast<std::vector<Passed> *>(data);
  const size_t before = passed->empty() ? 0 : passed->back().frames_before;
  if (!(GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER))
    passed->push_back({GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)), before});
  else
    passed->push_back({GST_EVENT_UNKNOWN, before + 1});
  return GST_PAD_PROBE_OK;
}

GstPadProbeReturn answer(GstPad *, GstPadProbeInfo *info, gpointer flow) {
  gst_buffer_unref(GST_PAD_PROBE_INFO_BUFFER(info));
  GST_PAD_PROBE_INFO_FLOW_RETURN(info) = *static_cast<GstFlowReturn *>(flow);
  return GST_PAD_PROBE_HANDLED;
}

}  // namespace

POINT(F2_frames_leave_in_order_for_any_depth) {
  for (const unsigned depth : {1u, 2u, 3u, 16u}) {
    GstHarness *h = harness_new(kSmall, "max-in-flight=" + std::to_string(depth));
    for (unsigned i = 0; i < 40; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
    fail_unless(gst_harness_push_event(h, gst_event_new_eos()));
    for (unsigned i = 0; i < 40; ++i) {
      GstBuffer *buffer = gst_harness_pull(h);
      fail_unless_equals_uint64(GST_BUFFER_PTS(buffer), i * GST_SECOND);
      expect_pattern(buffer, info_of(kSmallOut), i);
      gst_buffer_unref(buffer);
    }
    gst_harness_teardown(h);
  }
}

POINT(F3_at_most_so_many_frames_are_in_flight) {
  engine->step_time = 50ms;
  GstHarness *h = harness_new(kSmall, "max-in-flight=3");
  for (unsigned i = 0; i < 6; ++i) {
    fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
    fail_unless(gst_harness_buffers_received(h) + 2 >= i + 1);
    GstStructure *stats = nullptr;
    guint depth = 99;
    g_object_get(h->element, "stats", &stats, nullptr);
    fail_unless(gst_structure_get_uint(stats, "queue-depth", &depth) && depth <= 3);
    gst_structure_free(stats);
  }
  gst_harness_teardown(h);
}

POINT(F3_the_position_is_the_end_of_the_last_frame) {
  GstHarness *h = harness_new(kSmall);
  for (unsigned i = 0; i < 3; ++i) {
    fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
    GstBuffer *buffer = gst_harness_pull(h);
    gint64 position = -1;
    fail_unless(gst_element_query_position(h->element, GST_FORMAT_TIME, &position));
    fail_unless_equals_uint64(guint64(position),
                              GST_BUFFER_PTS(buffer) + GST_BUFFER_DURATION(buffer));
    gst_buffer_unref(buffer);
  }
  gst_harness_teardown(h);
}

POINT(F3_memory_does_not_grow) {
  GstHarness *h = harness_new(kSmall, "max-in-flight=2");
  gst_harness_set_drop_buffers(h, TRUE);
  const auto resident = [] {
    gchar *text = nullptr;
    fail_unless(g_file_get_contents("/proc/self/statm", &text, nullptr, nullptr));
    long total = 0, pages = 0;
    sscanf(text, "%ld %ld", &total, &pages);
    g_free(text);
    return pages * 4;
  };
  long before = 0;
  for (unsigned i = 0; i < 10000; ++i) {
    gst_harness_push(h, frame(i));
    if (i == 1000) before = resident();
  }
  fail_unless(resident() - before < 4000, "%ld KiB", resident() - before);
  gst_harness_teardown(h);
}

POINT(F4_the_answer_from_downstream_reaches_upstream) {
  for (const GstFlowReturn wanted :
       {GST_FLOW_EOS, GST_FLOW_NOT_LINKED, GST_FLOW_FLUSHING, GST_FLOW_ERROR}) {
    GstHarness *h = harness_new(kSmall);
    GstFlowReturn flow = wanted;
    gst_pad_add_probe(h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, answer, &flow, nullptr);
    fail_unless_equals_int(gst_harness_push(h, frame(0)), wanted);
    if (wanted == GST_FLOW_EOS || wanted == GST_FLOW_ERROR) {
      const int inferred = engine->upscales;
      fail_unless_equals_int(gst_harness_push(h, frame(1)), wanted);
      fail_unless_equals_int(engine->upscales, inferred);
    } else {
      flow = GST_FLOW_OK;
      fail_unless_equals_int(gst_harness_push(h, frame(1)), GST_FLOW_OK);
    }
    gst_harness_teardown(h);
  }
}

POINT(F4_nothing_is_inferred_after_the_end) {
  engine->stepping.close();
  GstHarness *h = harness_new(kSmall, "max-in-flight=8");
  GstFlowReturn flow = GST_FLOW_EOS;
  gst_pad_add_probe(h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, answer, &flow, nullptr);
  auto pushed = std::async(std::launch::async, [&] {
    GstFlowReturn seen = GST_FLOW_OK;
    for (unsigned i = 0; i < 20 && seen == GST_FLOW_OK; ++i) seen = gst_harness_push(h, frame(i));
    return seen;
  });
  wait_until([=] { return stat(h->element, "in") == 8; });
  wait_for_step();
  engine->stepping.let_one_pass();
  fail_unless_equals_int(pushed.get(), GST_FLOW_EOS);
  engine->stepping.open();
  gst_harness_teardown(h);
  wait_until([] { return engine->models_alive == 0; });
  fail_unless(engine->upscales <= 2, "%d", engine->upscales.load());
}

POINT(F5_flush_ends_a_wait_inside_a_long_step) {
  expect_within(kAtOnce, [] {
    engine->stepping.close();
    GstHarness *h = harness_new(kSmall);
    auto pushed = push_async(h, 0);
    wait_for_step();
    const auto start = Clock::now();
    fail_unless(gst_harness_push_event(h, gst_event_new_flush_start()));
    fail_unless_equals_int(pushed.get(), GST_FLOW_FLUSHING);
    const double took = elapsed_ms(start);
    gst_harness_teardown(h);
    fail_unless_equals_int(engine->stepping.stopped(), 1);  // F7
    engine->stepping.open();
    wait_until([] { return engine->models_alive == 0; });
    return took;
  });
}

POINT(F5_F6_stale_frames_never_appear_and_streaming_goes_on) {
  engine->step_time = 50ms;
  GstHarness *h = harness_new(kSmall, "max-in-flight=4");
  for (unsigned i = 0; i < 3; ++i) gst_harness_push(h, frame(i));
  gst_harness_push_event(h, gst_event_new_flush_start());
  fail_unless_equals_int(gst_harness_push(h, frame(9)), GST_FLOW_FLUSHING);
  gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  while (GstBuffer *buffer = gst_harness_try_pull(h)) gst_buffer_unref(buffer);
  fail_unless(gst_harness_push_event(h, gst_event_new_segment(&segment)));
  for (unsigned i = 20; i < 23; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
  gst_harness_push_event(h, gst_event_new_eos());
  for (unsigned i = 20; i < 23; ++i) {
    GstBuffer *buffer = gst_harness_pull(h);
    fail_unless_equals_uint64(GST_BUFFER_PTS(buffer), i * GST_SECOND);
    expect_pattern(buffer, info_of(kSmallOut), i);
    gst_buffer_unref(buffer);
  }
  fail_unless(gst_harness_try_pull(h) == nullptr);
  gst_harness_teardown(h);
}

POINT(F7_state_changes_do_not_wait_for_the_worker) {
  for (const GstState state : {GST_STATE_READY, GST_STATE_NULL}) {
    expect_within(kAtOnce, [=] {
      engine->stepping.close();
      GstHarness *h = harness_new(kSmall);
      auto pushed = push_async(h, 0);
      wait_for_step();
      const auto start = Clock::now();
      gst_element_set_state(h->element, state);
      const double took = elapsed_ms(start);
      fail_unless_equals_int(pushed.get(), GST_FLOW_FLUSHING);

      // A restart does not, either.
      engine->stepping.admit();
      gst_element_set_state(h->element, GST_STATE_PLAYING);
      gst_harness_push_event(h, gst_event_new_stream_start("again"));
      gst_harness_set_src_caps_str(h, raw_caps(kSmall).c_str());
      fail_unless_equals_int(gst_harness_push(h, frame(1)), GST_FLOW_OK);
      fail_unless_equals_int(engine->stepping.stopped(), 1);
      engine->stepping.open();
      gst_harness_teardown(h);
      wait_until([] { return engine->models_alive == 0; });
      return took;
    });
  }
}

POINT(F8_a_flushing_seek_in_mid_frame) {
  expect_within(kAtOnce, [] {
    engine->stepping.close();
    GstElement *pipeline = pipeline_new(
        "videotestsrc num-buffers=3 ! video/x-raw,format=RGB,width=8,height=8 ! "
        "livepeerupscale safety-check=false steps=4 ! fakesink");
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    wait_for_step();
    const auto start = Clock::now();
    fail_unless(gst_element_seek_simple(pipeline, GST_FORMAT_TIME, GST_SEEK_FLAG_FLUSH, 0));
    const double took = elapsed_ms(start);
    engine->stepping.open();
    expect_eos(pipeline);
    pipeline_free(pipeline);
    return took;
  });
}

POINT(F9_serialized_events_wait_for_the_frames_before) {
  engine->step_time = 10ms;
  GstHarness *h = harness_new(kSmall, "max-in-flight=8");
  std::vector<Passed> passed;
  gst_pad_add_probe(
      h->sinkpad, GstPadProbeType(GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM),
      note_passed, &passed, nullptr);
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  unsigned sent = 0;
  for (GstEvent *event :
       {gst_event_new_gap(0, GST_SECOND), gst_event_new_segment(&segment),
        gst_event_new_tag(gst_tag_list_new_empty()),
        gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM, gst_structure_new_empty("mine")),
        gst_event_new_stream_start("next"), gst_event_new_eos()}) {
    if (GST_EVENT_TYPE(event) == GST_EVENT_EOS) {
      gst_harness_set_src_caps_str(h, raw_caps(kSmall).c_str());
      fail_unless(gst_harness_push_event(h, gst_event_new_segment(&segment)));
    }
    for (unsigned i = 0; i < 5; ++i) fail_unless_equals_int(gst_harness_push(h, frame(sent++)), 0);
    const GstEventType type = GST_EVENT_TYPE(event);
    fail_unless(gst_harness_push_event(h, event));
    fail_unless(drain(h));
    fail_unless(!passed.empty() && passed.back().type == type, "%s", gst_event_type_get_name(type));
    fail_unless_equals_int(int(passed.back().frames_before), int(sent));
  }
  gst_harness_teardown(h);
}

POINT(F9_a_drain_can_be_interrupted) {
  expect_within(kAtOnce, [] {
    engine->stepping.close();
    GstHarness *h = harness_new(kSmall, "max-in-flight=4");
    for (unsigned i = 0; i < 3; ++i) gst_harness_push(h, frame(i));
    auto drained = std::async(std::launch::async, [=] { return drain(h); });
    wait_for_step();
    const auto start = Clock::now();
    gst_harness_push_event(h, gst_event_new_flush_start());
    fail_if(drained.get());
    const double took = elapsed_ms(start);
    engine->stepping.open();
    gst_harness_teardown(h);
    return took;
  });
}

POINT(F10_serialized_queries_drain) {
  engine->step_time = 10ms;
  GstHarness *h = harness_new(kSmall, "max-in-flight=8");
  GstCaps *caps = gst_caps_from_string(raw_caps(kSmall).c_str());
  unsigned sent = 0;
  for (GstQuery *query : {gst_query_new_drain(), gst_query_new_allocation(caps, FALSE)}) {
    for (unsigned i = 0; i < 5; ++i) gst_harness_push(h, frame(sent++));
    gst_pad_peer_query(h->srcpad, query);
    fail_unless_equals_int(int(gst_harness_buffers_received(h)), int(sent));
    if (GST_QUERY_TYPE(query) == GST_QUERY_ALLOCATION)
      fail_unless(gst_query_find_allocation_meta(query, GST_VIDEO_META_API_TYPE, nullptr), "E5");
    gst_query_unref(query);
  }
  gst_caps_unref(caps);
  gst_harness_teardown(h);
}

POINT(F11_up_and_down_many_times) {
  GstElement *element = element_new();
  for (int i = 0; i < 100; ++i) {
    fail_unless(gst_element_set_state(element, GST_STATE_PAUSED) != GST_STATE_CHANGE_FAILURE);
    fail_unless(gst_element_set_state(element, GST_STATE_READY) != GST_STATE_CHANGE_FAILURE);
  }
  gst_element_set_state(element, GST_STATE_NULL);
  gst_object_unref(element);
  GstElement *pipeline = pipeline_new(
      "videotestsrc pattern=ball ! video/x-raw,format=BGRx,width=32,height=32 ! "
      "livepeerupscale safety-check=false max-in-flight=3 ! fakesink");
  for (int i = 0; i < 20; ++i) {
    const int before = engine->upscales;
    gst_element_set_state(pipeline, GST_STATE_PLAYING);
    wait_for_frame(before + 3);
    gst_element_set_state(pipeline, GST_STATE_NULL);
  }
  gst_object_unref(pipeline);
}

POINT(F12_side_by_side_as_alone) {
  const std::string source =
      "videotestsrc num-buffers=30 pattern=ball ! video/x-raw,format=RGB,width=48,height=32 ! ";
  const std::string a = "livepeerupscale safety-check=false seed=1 ! fakesink name=out ";
  const std::string b = "livepeerupscale safety-check=false seed=2 max-in-flight=4 ! fakesink ";
  const std::vector<guint32> alone = run_pipeline(source + a);
  fail_unless_equals_int(int(alone.size()), 30);
  fail_unless(run_pipeline(source + "tee name=t ! queue ! " + a + "t. ! queue ! " + b) == alone);
  fail_unless(run_pipeline(source + a + source + b) == alone);
  auto other = std::async(std::launch::async, [&] { return run_pipeline(source + a); });
  const bool same = run_pipeline(source + a) == alone;
  fail_unless(other.get() == alone && same);
}

namespace {

struct Removal {
  GstElement *pipeline;
  std::promise<double> took;
};

GstPadProbeReturn remove_element(GstPad *pad, GstPadProbeInfo *, gpointer data) {
  auto *removal = static_cast<Removal *>(data);
  GstElement *up = gst_bin_get_by_name(GST_BIN(removal->pipeline), "up");
  GstElement *sink = gst_bin_get_by_name(GST_BIN(removal->pipeline), "out");
  const auto start = Clock::now();
  gst_element_set_state(up, GST_STATE_NULL);
  removal->took.set_value(elapsed_ms(start));
  GstElement *before = gst_pad_get_parent_element(pad);
  gst_element_unlink(before, up);
  gst_element_unlink(up, sink);
  gst_bin_remove(GST_BIN(removal->pipeline), up);
  fail_unless(gst_element_link(before, sink));
  gst_object_unref(before);
  gst_object_unref(sink);
  gst_object_unref(up);
  return GST_PAD_PROBE_REMOVE;
}

}  // namespace

POINT(F15_removed_from_a_running_pipeline) {
  expect_within(kAtOnce, [] {
    engine->stepping.close();
    Removal removal;
    removal.pipeline = pipeline_new(
        "videotestsrc num-buffers=10 ! video/x-raw,format=RGB,width=8,height=8 ! queue name=q ! "
        "livepeerupscale safety-check=false max-in-flight=4 name=up ! "
        "fakesink async=false name=out");
    gst_element_set_state(removal.pipeline, GST_STATE_PLAYING);
    // A pipeline that is still on its way to PLAYING may take the element along once more.
    fail_unless(gst_element_get_state(removal.pipeline, nullptr, nullptr, GST_CLOCK_TIME_NONE) ==
                GST_STATE_CHANGE_SUCCESS);
    wait_for_step();
    GstElement *queue = gst_bin_get_by_name(GST_BIN(removal.pipeline), "q");
    GstPad *pad = gst_element_get_static_pad(queue, "src");
    gst_pad_add_probe(pad, GstPadProbeType(GST_PAD_PROBE_TYPE_BLOCK_DOWNSTREAM), remove_element,
                      &removal, nullptr);
    gst_object_unref(pad);
    gst_object_unref(queue);
    engine->stepping.let_one_pass();  // the probe waits for the next buffer
    const double took = removal.took.get_future().get();
    engine->stepping.open();
    expect_eos(removal.pipeline);
    pipeline_free(removal.pipeline);
    return took;
  });
}

int main() { return run_suite("flow"); }
