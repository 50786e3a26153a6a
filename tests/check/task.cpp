// Section F: the source pad's task, and each way out of its loop.
#include <algorithm>
#include <atomic>
#include <future>

#include "gstlivepeerfifo.h"
#include "support.h"

using namespace std::chrono_literals;

namespace {

const char *const kSmall = "format=RGB,width=8,height=6";
GstBuffer *frame(unsigned i) { return pattern_new(info_of(kSmall), i * GST_SECOND, i); }

void start_segment(GstHarness *h) {
  GstSegment segment;
  gst_segment_init(&segment, GST_FORMAT_TIME);
  fail_unless(gst_harness_push_event(h, gst_event_new_segment(&segment)));
}

void flush(GstHarness *h) {
  gst_harness_push_event(h, gst_event_new_flush_start());
  gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
  start_segment(h);
}

/// Downstream that keeps each frame until a flush reaches it, like a sink that waits for its clock.
struct Holder {
  explicit Holder(GstHarness *h) {
    gate.close();
    gst_pad_add_probe(h->sinkpad,
                      GstPadProbeType(GST_PAD_PROBE_TYPE_BUFFER | GST_PAD_PROBE_TYPE_EVENT_FLUSH),
                      on_data, this, nullptr);
  }
  static GstPadProbeReturn on_data(GstPad *, GstPadProbeInfo *info, gpointer data) {
    auto *holder = static_cast<Holder *>(data);
    if (GST_PAD_PROBE_INFO_TYPE(info) & GST_PAD_PROBE_TYPE_BUFFER)
      holder->gate.pass();
    else
      holder->gate.open();
    return GST_PAD_PROBE_OK;
  }
  livepeer::Gate gate;
};

GstPadProbeReturn answer(GstPad *, GstPadProbeInfo *info, gpointer flow) {
  if (*static_cast<GstFlowReturn *>(flow) == GST_FLOW_OK) return GST_PAD_PROBE_OK;
  gst_buffer_unref(GST_PAD_PROBE_INFO_BUFFER(info));
  GST_PAD_PROBE_INFO_FLOW_RETURN(info) = *static_cast<GstFlowReturn *>(flow);
  return GST_PAD_PROBE_HANDLED;
}

GstEvent *custom_event(unsigned i) {
  return gst_event_new_custom(GST_EVENT_CUSTOM_DOWNSTREAM,
                              gst_structure_new("mine", "number", G_TYPE_UINT, i, nullptr));
}

/// More events than may wait behind a frame, from a thread of their own, and what came of them.
struct EventStorm {
  static constexpr unsigned kEvents = 500;
  explicit EventStorm(GstHarness *h) {
    gst_pad_add_probe(h->sinkpad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM, on_event, this, nullptr);
    done = std::async(std::launch::async, [this, h] {
      while (accepted < kEvents && gst_harness_push_event(h, custom_event(accepted))) ++accepted;
    });
  }
  static GstPadProbeReturn on_event(GstPad *, GstPadProbeInfo *info, gpointer data) {
    auto *storm = static_cast<EventStorm *>(data);
    const GstStructure *fields = gst_event_get_structure(GST_PAD_PROBE_INFO_EVENT(info));
    guint number = 0;
    if (fields && gst_structure_get_uint(fields, "number", &number)) {
      storm->in_order = storm->in_order && number == storm->arrived;
      ++storm->arrived;
    }
    return GST_PAD_PROBE_OK;
  }
  /// Until the thread waits.
  void wait_for_the_limit() {
    wait_until([this] { return accepted >= Fifo::kMostEvents - 1; });
    fail_unless(done.wait_for(50ms) == std::future_status::timeout);
    fail_unless_equals_int(int(accepted), int(Fifo::kMostEvents) - 1);
  }
  void expect_all() {
    done.get();
    wait_until([this] { return arrived == kEvents; });
    fail_unless(in_order);
  }

  std::atomic<unsigned> accepted{0}, arrived{0};
  bool in_order = true;
  std::future<void> done;
};

}  // namespace

POINT(F3_so_many_events_wait_behind_a_frame_and_none_is_lost) {
  engine->stepping.close();
  GstHarness *h = harness_new(kSmall, "max-in-flight=4");
  fail_unless_equals_int(gst_harness_push(h, frame(0)), 0);
  EventStorm storm(h);
  storm.wait_for_the_limit();
  fail_unless_equals_int(int(storm.arrived), 0);
  engine->stepping.open();
  storm.expect_all();
  gst_buffer_unref(gst_harness_pull(h));
  gst_harness_teardown(h);
}

POINT(F4_events_pass_when_downstream_wants_no_more_frames) {
  engine->stepping.close();
  GstHarness *h = harness_new(kSmall, "max-in-flight=4");
  GstFlowReturn flow = GST_FLOW_EOS;
  gst_pad_add_probe(h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, answer, &flow, nullptr);
  for (unsigned i = 0; i < 2; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
  EventStorm storm(h);
  storm.wait_for_the_limit();
  engine->stepping.let_one_pass();
  storm.expect_all();
  engine->stepping.open();
  gst_harness_teardown(h);
}

POINT(F5_F7_a_wait_of_events_ends_with_a_flush_and_with_a_change_of_state) {
  for (const bool flushes : {true, false}) {
    expect_within(kAtOnce, [=] {
      engine->stepping.close();
      GstHarness *h = harness_new(kSmall, "max-in-flight=4");
      fail_unless_equals_int(gst_harness_push(h, frame(0)), 0);
      EventStorm storm(h);
      storm.wait_for_the_limit();
      const auto start = Clock::now();
      if (flushes)
        gst_harness_push_event(h, gst_event_new_flush_start());
      else
        gst_element_set_state(h->element, GST_STATE_NULL);
      storm.done.get();
      const double took = elapsed_ms(start);
      fail_unless_equals_int(int(storm.arrived), 0);
      engine->stepping.open();
      if (flushes) {
        gst_harness_push_event(h, gst_event_new_flush_stop(TRUE));
        start_segment(h);
        fail_unless_equals_int(gst_harness_push(h, frame(1)), 0);
        GstBuffer *buffer = gst_harness_pull(h);
        fail_unless_equals_uint64(GST_BUFFER_PTS(buffer), GST_SECOND);
        gst_buffer_unref(buffer);
      }
      gst_harness_teardown(h);
      return took;
    });
  }
}

POINT(F3_events_from_the_task_itself_do_not_wait_for_it) {
  GstHarness *h = harness_new(kSmall, "max-in-flight=4");
  gst_pad_add_probe(
      h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER,
      [](GstPad *, GstPadProbeInfo *, gpointer data) {
        auto *harness = static_cast<GstHarness *>(data);
        for (unsigned i = 0; i < 2 * Fifo::kMostEvents; ++i)
          fail_unless(gst_harness_push_event(harness, custom_event(i)));
        return GST_PAD_PROBE_OK;
      },
      h, nullptr);
  drain(h);
  const unsigned before = gst_harness_events_received(h);
  fail_unless_equals_int(gst_harness_push(h, frame(0)), 0);
  wait_until([=] { return gst_harness_events_received(h) == before + 2 * Fifo::kMostEvents; });
  gst_harness_teardown(h);
}

POINT(F2_a_finished_frame_leaves_at_once) {
  GstHarness *h = harness_new(kSmall, "max-in-flight=4");
  for (unsigned i = 0; i < 3; ++i) {
    fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
    // Nothing comes after it, and yet it leaves.
    GstBuffer *buffer = gst_harness_pull(h);
    fail_unless_equals_uint64(GST_BUFFER_PTS(buffer), i * GST_SECOND);
    gst_buffer_unref(buffer);
  }
  gst_harness_teardown(h);
}

POINT(E3_F3_frames_in_flight_hold_no_input_memory) {
  engine->stepping.close();
  GstHarness *h = harness_new(kSmall, "max-in-flight=8");
  const GstVideoInfo info = info_of(kSmall);
  GstBufferPool *pool = gst_buffer_pool_new();
  GstStructure *config = gst_buffer_pool_get_config(pool);
  GstCaps *caps = gst_pad_get_current_caps(h->srcpad);
  gst_buffer_pool_config_set_params(config, caps, guint(GST_VIDEO_INFO_SIZE(&info)), 3, 3);
  gst_caps_unref(caps);
  fail_unless(gst_buffer_pool_set_config(pool, config));
  fail_unless(gst_buffer_pool_set_active(pool, TRUE));
  for (unsigned i = 0; i < 7; ++i) {
    // With a source of three buffers that may not wait; every second frame is a copy that only
    // refers to the buffer of the pool.
    GstBufferPoolAcquireParams params = {};
    params.flags = GST_BUFFER_POOL_ACQUIRE_FLAG_DONTWAIT;
    GstBuffer *buffer = nullptr;
    fail_unless_equals_int(gst_buffer_pool_acquire_buffer(pool, &buffer, &params), 0);
    GST_BUFFER_PTS(buffer) = i * GST_SECOND;
    gst_buffer_memset(buffer, 0, guint8(i), GST_VIDEO_INFO_SIZE(&info));
    if (i % 2) {
      GstBuffer *referring = gst_buffer_copy(buffer);
      gst_buffer_add_parent_buffer_meta(referring, buffer);
      gst_buffer_unref(buffer);
      buffer = referring;
    }
    fail_unless_equals_int(gst_harness_push(h, buffer), 0);
  }
  fail_unless_equals_int(int(gst_harness_buffers_received(h)), 0);
  engine->stepping.open();
  for (unsigned i = 0; i < 7; ++i) {
    GstBuffer *buffer = gst_harness_pull(h);
    fail_unless_equals_uint64(GST_BUFFER_PTS(buffer), i * GST_SECOND);
    guint8 value = 99;
    gst_buffer_extract(buffer, 0, &value, 1);
    fail_unless_equals_int(value, int(i));
    gst_buffer_unref(buffer);
  }
  gst_harness_teardown(h);
  gst_buffer_pool_set_active(pool, FALSE);
  gst_object_unref(pool);
}

POINT(F5_a_flush_while_the_task_waits_for_a_frame) {
  expect_within(kAtOnce, [] {
    engine->stepping.close();
    GstHarness *h = harness_new(kSmall, "max-in-flight=4");
    for (unsigned i = 0; i < 3; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
    wait_until([&] { return engine->stepping.stopped() == 1; });
    fail_unless(gst_harness_push_event(
        h, gst_event_new_tag(gst_tag_list_new(GST_TAG_TITLE, "kept", nullptr))));
    const auto start = Clock::now();
    flush(h);
    const double took = elapsed_ms(start);
    engine->stepping.open();
    fail_unless_equals_int(gst_harness_push(h, frame(7)), 0);
    GstBuffer *buffer = gst_harness_pull(h);
    fail_unless_equals_uint64(GST_BUFFER_PTS(buffer), 7 * GST_SECOND);
    gst_buffer_unref(buffer);
    fail_unless_equals_int(int(gst_harness_buffers_received(h)), 1);
    // What is true of the stream outlives the flush, though it waited behind frames that did not.
    GstEvent *tags = gst_pad_get_sticky_event(h->sinkpad, GST_EVENT_TAG, 0);
    fail_unless(tags != nullptr);
    gst_event_unref(tags);
    gst_harness_teardown(h);
    return took;
  });
}

POINT(F5_a_flush_while_the_task_has_nothing_to_do) {
  GstHarness *h = harness_new(kSmall, "max-in-flight=4");
  for (unsigned i = 0; i < 20; ++i) {
    flush(h);
    fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
    gst_buffer_unref(gst_harness_pull(h));
  }
  gst_harness_teardown(h);
}

POINT(F5_a_flush_while_the_task_pushes) {
  expect_within(kAtOnce, [] {
    double took = 0;
    GstHarness *h = harness_new(kSmall, "max-in-flight=4");
    {
      Holder holder(h);
      for (unsigned i = 0; i < 3; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
      wait_until([&] { return holder.gate.stopped() == 1; });
      const auto start = Clock::now();
      flush(h);
      took = elapsed_ms(start);
      fail_unless_equals_int(gst_harness_push(h, frame(8)), 0);
      drain(h);
    }
    int late_ones = 0;
    while (GstBuffer *buffer = gst_harness_try_pull(h)) {
      // The one that was on its way may have arrived; those behind it never do.
      fail_unless(GST_BUFFER_PTS(buffer) == 0 || GST_BUFFER_PTS(buffer) == 8 * GST_SECOND);
      late_ones += GST_BUFFER_PTS(buffer) == 8 * GST_SECOND;
      gst_buffer_unref(buffer);
    }
    fail_unless_equals_int(late_ones, 1);
    gst_harness_teardown(h);
    return took;
  });
}

POINT(F4_the_end_of_a_stream_is_not_that_of_the_next) {
  for (const bool queued : {false, true}) {
    engine->stepping.close();
    GstHarness *h = harness_new(kSmall, "max-in-flight=6");
    drain(h);  // the harness's own segment has passed
    GstFlowReturn flow = GST_FLOW_EOS;
    gst_pad_add_probe(h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, answer, &flow, nullptr);
    for (unsigned i = 0; i < 2; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
    if (!queued) {
      engine->stepping.open();
      drain(h);
      fail_unless_equals_int(gst_harness_push(h, frame(2)), GST_FLOW_EOS);
      fail_unless_equals_int(gst_harness_push(h, frame(3)), GST_FLOW_EOS);
      flow = GST_FLOW_OK;
    } else {
      // Downstream learns only at the segment that it wants frames again.
      gst_pad_add_probe(
          h->sinkpad, GST_PAD_PROBE_TYPE_EVENT_DOWNSTREAM,
          [](GstPad *, GstPadProbeInfo *info, gpointer data) {
            if (GST_EVENT_TYPE(GST_PAD_PROBE_INFO_EVENT(info)) == GST_EVENT_SEGMENT)
              *static_cast<GstFlowReturn *>(data) = GST_FLOW_OK;
            return GST_PAD_PROBE_OK;
          },
          &flow, nullptr);
    }
    start_segment(h);
    for (unsigned i = 4; i < 6; ++i) fail_unless_equals_int(gst_harness_push(h, frame(i)), 0);
    engine->stepping.open();
    for (unsigned i = 4; i < 6; ++i) {
      GstBuffer *buffer = gst_harness_pull(h);
      fail_unless_equals_uint64(GST_BUFFER_PTS(buffer), i * GST_SECOND);
      gst_buffer_unref(buffer);
    }
    gst_harness_teardown(h);
  }
}

POINT(F4_frames_go_on_when_downstream_is_linked_again) {
  GstHarness *h = harness_new(kSmall, "max-in-flight=3");
  GstFlowReturn flow = GST_FLOW_NOT_LINKED;
  gst_pad_add_probe(h->sinkpad, GST_PAD_PROBE_TYPE_BUFFER, answer, &flow, nullptr);
  // The answer to the first frame comes with it or, as others may be on their way, with the next.
  GstFlowReturn told = gst_harness_push(h, frame(0));
  if (told == GST_FLOW_OK) {
    drain(h);
    told = gst_harness_push(h, frame(1));
  }
  fail_unless_equals_int(told, GST_FLOW_NOT_LINKED);
  flow = GST_FLOW_OK;
  fail_unless(gst_harness_push_upstream_event(h, gst_event_new_reconfigure()));
  fail_unless_equals_int(gst_harness_push(h, frame(2)), GST_FLOW_OK);
  GstBuffer *buffer = gst_harness_pull(h);
  fail_unless_equals_uint64(GST_BUFFER_PTS(buffer), 2 * GST_SECOND);
  gst_buffer_unref(buffer);
  gst_harness_teardown(h);
}

POINT(F10_a_query_ends_with_a_flush) {
  expect_within(kAtOnce, [] {
    double took = 0;
    engine->stepping.close();
    GstHarness *h = harness_new(kSmall, "max-in-flight=3");
    fail_unless_equals_int(gst_harness_push(h, frame(0)), 0);
    for (const bool drains : {true, false}) {
      wait_until([&] { return engine->stepping.stopped() > 0; });
      auto asked = std::async(std::launch::async, [&] {
        GstCaps *caps = gst_caps_from_string(raw_caps(kSmall).c_str());
        GstQuery *query = drains ? gst_query_new_drain() : gst_query_new_allocation(caps, FALSE);
        const gboolean answered = gst_pad_peer_query(h->srcpad, query);
        gst_query_unref(query);
        gst_caps_unref(caps);
        return answered;
      });
      fail_unless(asked.wait_for(50ms) == std::future_status::timeout);
      const auto start = Clock::now();
      flush(h);
      fail_if(asked.get());
      took = std::max(took, elapsed_ms(start));
      fail_unless_equals_int(gst_harness_push(h, frame(1)), 0);
    }
    engine->stepping.open();
    gst_harness_teardown(h);
    return took;
  });
}

POINT(F7_a_state_change_while_the_task_pushes) {
  expect_within(kAtOnce, [] {
    double took = 0;
    // The sink holds the second frame for the rest of its second.
    for (const char *depth : {"max-in-flight=1", "max-in-flight=4"}) {
      GstElement *pipeline = pipeline_new(
          "videotestsrc pattern=snow ! "
          "video/x-raw,format=RGB,width=8,height=6,framerate=1/1 ! livepeerupscale "
          "name=up safety-check=false " +
          std::string(depth) + " ! fakesink sync=true");
      GstElement *up = gst_bin_get_by_name(GST_BIN(pipeline), "up");
      gst_element_set_state(pipeline, GST_STATE_PLAYING);
      wait_until([&] { return stat(up, "out") >= 2; });
      const auto start = Clock::now();
      gst_element_set_state(pipeline, GST_STATE_NULL);
      took = std::max(took, elapsed_ms(start));
      gst_object_unref(up);
      gst_object_unref(pipeline);
    }
    return took;
  });
}

int main() { return run_suite("task"); }
