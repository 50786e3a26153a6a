#include "support.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <sstream>
#include <thread>
#include <utility>

std::shared_ptr<livepeer::FakeEngine> engine;

static void set_up() {
  engine = std::make_shared<livepeer::FakeEngine>();
  livepeer::Runtime::instance().set_loader(std::make_shared<livepeer::FakeLoader>(engine));
}

static void tear_down() {
  engine->loading.open();
  engine->stepping.open();
  engine.reset();
}

/// The leaks tracer warns when GStreamer ends, which gst_check_init leaves to the end of the
/// process; GST_DEBUG=GST_TRACER:7 lists what it found.
static void on_warning(const gchar *, GLogLevelFlags, const gchar *message, gpointer) {
  g_printerr("%s\n", message);
  _exit(1);
}

using Point = std::pair<const char *, TFun>;

static std::vector<Point> &points() {
  static std::vector<Point> all;
  return all;
}

bool add_point(const char *name, TFun function) {
  points().emplace_back(name, function);
  return true;
}

void run_point(const char *name, void (*body)()) {
  const auto start = Clock::now();
  g_print("%s ...", name);
  body();
  g_print(" %.0f ms\n", elapsed_ms(start));
}

int run_suite(const char *name) {
  gst_check_init(nullptr, nullptr);
  GST_ELEMENT_REGISTER(livepeerupscale, nullptr);
  Suite *suite = suite_create(name);
  TCase *tcase = tcase_create(name);
  suite_add_tcase(suite, tcase);
  tcase_add_checked_fixture(tcase, set_up, tear_down);
  for (const auto &[point, function] : points())
    _tcase_add_test(tcase, function, point, 0, 0, 0, 1);
  SRunner *runner = srunner_create(suite);
  srunner_set_fork_status(runner, CK_NOFORK);
  srunner_run_all(runner, CK_NORMAL);
  const int failed = srunner_ntests_failed(runner);
  g_print("%d of %d cases passed\n", srunner_ntests_run(runner) - failed,
          srunner_ntests_run(runner));
  if (failed > 0) {
    // What a failed point left running would be waited for below, or at exit.
    std::fflush(nullptr);
    _exit(1);
  }
  srunner_free(runner);
  gst_task_cleanup_all();
  g_log_set_handler(nullptr, G_LOG_LEVEL_WARNING, on_warning, nullptr);
  return 0;
}

GstElement *element_new(const std::string &properties) {
  GstElement *element = gst_element_factory_make("livepeerupscale", nullptr);
  fail_unless(element != nullptr);
  std::istringstream words("safety-check=false seed=0 " + properties);
  for (std::string word; words >> word;) {
    const size_t equal = word.find('=');
    gst_util_set_object_arg(G_OBJECT(element), word.substr(0, equal).c_str(),
                            word.substr(equal + 1).c_str());
  }
  return element;
}

std::string raw_caps(const std::string &fields) {
  return "video/x-raw,framerate=(fraction)25/1," + fields;
}

GstHarness *harness_new(const std::string &caps, const std::string &properties) {
  GstElement *element = element_new(properties);
  GstHarness *harness = gst_harness_new_with_element(element, "sink", "src");
  gst_object_unref(element);
  if (!caps.empty()) gst_harness_set_src_caps_str(harness, raw_caps(caps).c_str());
  return harness;
}

GstVideoInfo info_of(const std::string &fields) {
  GstCaps *caps = gst_caps_from_string(raw_caps(fields).c_str());
  GstVideoInfo info;
  fail_unless(gst_video_info_from_caps(&info, caps));
  gst_caps_unref(caps);
  return info;
}

static guint8 pattern(int x, int y, guint component, unsigned variant) {
  switch (component) {
    case 0:
      return guint8(3 * x);
    case 1:
      return guint8(5 * y);
    case 2:
      return guint8(7 * (x + y) + int(variant));
    default:
      return 255;
  }
}

/// Calls `visit(pixel, x, y, component)` for every component of every pixel.
template <typename Visit>
static void each_component(GstBuffer *buffer, const GstVideoInfo &info, GstMapFlags flags,
                           Visit visit) {
  GstVideoFrame frame;
  fail_unless(gst_video_frame_map(&frame, &info, buffer, flags));
  for (guint c = 0; c < GST_VIDEO_FRAME_N_COMPONENTS(&frame); ++c)
    for (int y = 0; y < GST_VIDEO_FRAME_HEIGHT(&frame); ++y)
      for (int x = 0; x < GST_VIDEO_FRAME_WIDTH(&frame); ++x)
        visit(static_cast<guint8 *>(GST_VIDEO_FRAME_COMP_DATA(&frame, c)) +
                  y * GST_VIDEO_FRAME_COMP_STRIDE(&frame, c) +
                  x * GST_VIDEO_FRAME_COMP_PSTRIDE(&frame, c),
              x, y, c);
  gst_video_frame_unmap(&frame);
}

GstBuffer *pattern_new(const GstVideoInfo &info, GstClockTime pts, unsigned variant) {
  GstBuffer *buffer = gst_buffer_new_allocate(nullptr, GST_VIDEO_INFO_SIZE(&info), nullptr);
  gst_buffer_memset(buffer, 0, 0, GST_VIDEO_INFO_SIZE(&info));
  each_component(buffer, info, GST_MAP_WRITE,
                 [&](guint8 *pixel, int x, int y, guint c) { *pixel = pattern(x, y, c, variant); });
  GST_BUFFER_PTS(buffer) = pts;
  GST_BUFFER_DURATION(buffer) = 40 * GST_MSECOND;
  return buffer;
}

void expect_pattern(GstBuffer *buffer, const GstVideoInfo &info, unsigned variant) {
  each_component(buffer, info, GST_MAP_READ, [&](guint8 *pixel, int x, int y, guint c) {
    const guint8 wanted = pattern(x / 4, y / 4, c, variant);
    // Every assertion writes a file, so only a failing one is made.
    if (*pixel != wanted)
      fail_unless(false, "component %u of (%d, %d) is %u, not %u", c, x, y, *pixel, wanted);
  });
}

GstMessage *wait_message(GstBus *bus, GstMessageType type) {
  GstMessage *message = gst_bus_timed_pop_filtered(bus, kGiveUpTime, type);
  fail_unless(message != nullptr, "no %s message", gst_message_type_get_name(type));
  return message;
}

void play_since_ten_seconds(GstHarness *h) {
  gst_element_set_state(h->element, GST_STATE_PAUSED);
  GstClock *clock = gst_system_clock_obtain();
  gst_element_set_clock(h->element, clock);
  gst_element_set_base_time(h->element, gst_clock_get_time(clock) - 10 * GST_SECOND);
  gst_object_unref(clock);
  gst_element_set_state(h->element, GST_STATE_PLAYING);
}

void expect_error(GstBus *bus, GQuark domain, gint code) {
  GstMessage *message = wait_message(bus, GST_MESSAGE_ERROR);
  GError *error = nullptr;
  gchar *debug = nullptr;
  gst_message_parse_error(message, &error, &debug);
  fail_unless(error->domain == domain && error->code == code, "%s %d: %s (%s)",
              g_quark_to_string(error->domain), error->code, error->message, debug);
  fail_unless(std::strlen(error->message) > 10, "no sentence: %s", error->message);
  fail_unless(debug && std::strlen(debug) > 0);
  g_clear_error(&error);
  g_free(debug);
  gst_message_unref(message);
}

void expect_no_start(const std::string &properties, GQuark domain, gint code) {
  GstElement *element = element_new(properties);
  GstBus *bus = gst_bus_new();
  gst_element_set_bus(element, bus);
  fail_unless(gst_element_set_state(element, GST_STATE_PAUSED) == GST_STATE_CHANGE_FAILURE);
  expect_error(bus, domain, code);
  gst_element_set_state(element, GST_STATE_NULL);
  gst_element_set_bus(element, nullptr);
  gst_object_unref(bus);
  gst_object_unref(element);
}

BusHarness::BusHarness(const std::string &caps, const std::string &properties)
    : h(harness_new("", properties)), bus(gst_bus_new()) {
  gst_element_set_bus(h->element, bus);
  // Again from the start, so that the bus sees that, and only that.
  gst_element_set_state(h->element, GST_STATE_NULL);
  gst_bus_set_flushing(bus, TRUE);
  gst_bus_set_flushing(bus, FALSE);
  gst_element_set_state(h->element, GST_STATE_PLAYING);
  if (!caps.empty()) gst_harness_set_src_caps_str(h, raw_caps(caps).c_str());
}

BusHarness::~BusHarness() {
  gst_element_set_bus(h->element, nullptr);
  gst_object_unref(bus);
  gst_harness_teardown(h);
}

bool drain(GstHarness *harness) {
  // A query that the element answers itself, and only behind all that came before.
  GstCaps *caps = gst_pad_get_current_caps(harness->srcpad);
  GstQuery *query = gst_query_new_allocation(caps, FALSE);
  const gboolean answered = gst_pad_peer_query(harness->srcpad, query);
  gst_query_unref(query);
  gst_caps_unref(caps);
  return answered;
}

GstElement *pipeline_new(const std::string &launch) {
  GError *error = nullptr;
  GstElement *pipeline = gst_parse_launch(launch.c_str(), &error);
  fail_unless(pipeline != nullptr && error == nullptr, "%s", error ? error->message : "");
  return pipeline;
}

void expect_eos(GstElement *pipeline) {
  GstBus *bus = gst_element_get_bus(pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered(
      bus, kGiveUpTime, GstMessageType(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  fail_unless(message && GST_MESSAGE_TYPE(message) == GST_MESSAGE_EOS, "no end of stream");
  gst_message_unref(message);
  gst_object_unref(bus);
}

void pipeline_free(GstElement *pipeline) {
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
}

static GstPadProbeReturn add_checksum(GstPad *, GstPadProbeInfo *info, gpointer data) {
  GstMapInfo map;
  fail_unless(gst_buffer_map(GST_PAD_PROBE_INFO_BUFFER(info), &map, GST_MAP_READ));
  guint32 sum = 2166136261u;
  for (gsize i = 0; i < map.size; ++i) sum = (sum ^ map.data[i]) * 16777619u;
  gst_buffer_unmap(GST_PAD_PROBE_INFO_BUFFER(info), &map);
  static_cast<std::vector<guint32> *>(data)->push_back(sum);
  return GST_PAD_PROBE_OK;
}

std::vector<guint32> run_pipeline(const std::string &launch) {
  std::vector<guint32> sums;
  GstElement *pipeline = pipeline_new(launch);
  GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline), "out");
  GstPad *pad = gst_element_get_static_pad(out, "sink");
  gst_pad_add_probe(pad, GST_PAD_PROBE_TYPE_BUFFER, add_checksum, &sums, nullptr);
  gst_object_unref(pad);
  gst_object_unref(out);
  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  expect_eos(pipeline);
  pipeline_free(pipeline);
  return sums;
}

guint64 stat(GstElement *element, const char *name) {
  GstStructure *stats = nullptr;
  guint64 value = 0;
  g_object_get(element, "stats", &stats, nullptr);
  fail_unless(gst_structure_get_uint64(stats, name, &value), "no %s in stats", name);
  gst_structure_free(stats);
  return value;
}

double elapsed_ms(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start).count();
}

void wait_until(const std::function<bool()> &condition) {
  const auto start = Clock::now();
  while (!condition()) {
    fail_unless(elapsed_ms(start) < kGiveUp);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void expect_within(double limit, const std::function<double()> &attempt) {
  constexpr int kTries = 10;
  const auto start = Clock::now();
  double least = kGiveUp;
  for (int i = 0; i < kTries && least >= limit && elapsed_ms(start) < kGiveUp; ++i)
    least = std::min(least, attempt());
  fail_unless(least < limit, "%f ms, at most %f are allowed", least, limit);
}
