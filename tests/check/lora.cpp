// Section G: LoRAs at the start and while frames flow.
#include "runtime/error.h"
#include "support.h"

using livepeer::Error;
using livepeer::ErrorKind;

namespace {

const char *const kSmall = "format=RGB,width=8,height=6";

guint8 red_of_next(GstHarness *h, unsigned i) {
  GstBuffer *out = gst_harness_push_and_pull(h, pattern_new(info_of(kSmall), i * GST_SECOND, i));
  guint8 red = 0;  // 0 in the pattern; the fake engine adds the hash of the LoRA
  gst_buffer_extract(out, 0, &red, 1);
  gst_buffer_unref(out);
  return red;
}

guint8 hash_of(const char *text) { return guint8(g_str_hash(text)); }

std::string lora_of(GstElement *element) {
  GstStructure *stats = nullptr;
  g_object_get(element, "stats", &stats, nullptr);
  const std::string lora = gst_structure_get_string(stats, "lora");
  gst_structure_free(stats);
  return lora;
}

/// The last of the next messages about a change: how it ended.
GstProgressType end_of_change(GstBus *bus) {
  for (;;) {
    GstMessage *message = wait_message(bus, GST_MESSAGE_PROGRESS);
    GstProgressType type;
    gchar *code = nullptr;
    gst_message_parse_progress(message, &type, &code, nullptr);
    const bool is_change = g_str_equal(code, "lora");
    g_free(code);
    gst_message_unref(message);
    if (is_change && type != GST_PROGRESS_TYPE_START && type != GST_PROGRESS_TYPE_CONTINUE)
      return type;
  }
}

}  // namespace

POINT(G10_a_lora_counts_from_the_start) {
  GstHarness *h = harness_new(kSmall, "lora=a");
  fail_unless_equals_int(red_of_next(h, 0), hash_of("a"));
  fail_unless(lora_of(h->element) == "a");
  gst_harness_teardown(h);
}

POINT(G10_another_lora_takes_effect_while_frames_flow) {
  BusHarness test(kSmall);
  fail_unless_equals_int(red_of_next(test.h, 0), 0);
  engine->loading.close();
  g_object_set(test.h->element, "lora", "a", nullptr);
  wait_until([] { return engine->loading.stopped() > 0; });
  fail_unless_equals_int(red_of_next(test.h, 1), 0);
  engine->loading.open();
  fail_unless_equals_int(end_of_change(test.bus), GST_PROGRESS_TYPE_COMPLETE);
  fail_unless_equals_int(red_of_next(test.h, 2), hash_of("a"));
  g_object_set(test.h->element, "lora", nullptr, nullptr);
  fail_unless_equals_int(end_of_change(test.bus), GST_PROGRESS_TYPE_COMPLETE);
  fail_unless_equals_int(red_of_next(test.h, 3), 0);
  wait_until([] { return engine->models_alive == 1; });
}

POINT(G10_H3_a_bad_lora_is_a_warning_and_the_old_one_stays) {
  BusHarness test(kSmall, "lora=a");
  fail_unless_equals_int(red_of_next(test.h, 0), hash_of("a"));
  engine->on_check = [] { throw Error(ErrorKind::open_read, "It is no LoRA", "bad"); };
  g_object_set(test.h->element, "lora", "bad", nullptr);
  GstMessage *warning = wait_message(test.bus, GST_MESSAGE_WARNING);
  GError *error = nullptr;
  gst_message_parse_warning(warning, &error, nullptr);
  fail_unless(g_error_matches(error, GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ));
  g_clear_error(&error);
  gst_message_unref(warning);
  fail_unless_equals_int(end_of_change(test.bus), GST_PROGRESS_TYPE_CANCELED);
  fail_unless_equals_int(red_of_next(test.h, 1), hash_of("a"));
  fail_unless(gst_bus_pop_filtered(test.bus, GST_MESSAGE_ERROR) == nullptr);
}

POINT(G10_H1_a_bad_lora_at_the_start_is_an_error) {
  engine->on_check = [] { throw Error(ErrorKind::settings, "The weight is no number", "a@x"); };
  expect_no_start("lora=a@x", GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS);
}

POINT(G10_G7_ready_keeps_the_model_with_the_lora_that_was_in_use) {
  GstElement *element = element_new();
  gst_element_set_state(element, GST_STATE_PAUSED);
  wait_until([&] { return stat(element, "load-time") > 0; });
  g_object_set(element, "lora", "a", nullptr);
  wait_until([&] { return lora_of(element) == "a"; });
  gst_element_set_state(element, GST_STATE_READY);
  gst_element_set_state(element, GST_STATE_PAUSED);
  wait_until([&] { return stat(element, "load-time") > 0; });
  fail_unless_equals_int(engine->loads, 2);
  gst_element_set_state(element, GST_STATE_NULL);
  wait_until([] { return engine->models_alive == 0; });
  gst_object_unref(element);
}

POINT(G10_a_stop_ends_a_change_that_is_under_way) {
  BusHarness test(kSmall);
  fail_unless_equals_int(red_of_next(test.h, 0), 0);
  engine->loading.close();
  g_object_set(test.h->element, "lora", "a", nullptr);
  wait_until([] { return engine->loading.stopped() > 0; });
  gst_element_set_state(test.h->element, GST_STATE_READY);
  engine->loading.open();
  fail_unless_equals_int(end_of_change(test.bus), GST_PROGRESS_TYPE_CANCELED);
}

int main() { return run_suite("lora"); }
