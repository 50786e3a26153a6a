// LoRAs through the element on the real engine, while frames flow. Without torch, as test_element.
#include <gst/gst.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "golden/golden_files.h"

namespace livepeer {
namespace {

/// A pipeline of equal frames through the miniature; a checksum of the last that left.
class Stream {
 public:
  explicit Stream(const std::string &lora) {
    GError *error = nullptr;
    pipeline_ = gst_parse_launch(
        "videotestsrc pattern=smpte75 ! video/x-raw,format=RGB,width=16,height=12 ! "
        "livepeerupscale name=up safety-check=false device=cpu precision=float32 steps=1 seed=1 ! "
        "fakesink name=out signal-handoffs=true",
        &error);
    if (error) throw std::runtime_error(error->message);
    up_ = gst_bin_get_by_name(GST_BIN(pipeline_), "up");
    g_object_set(up_, "model", golden_path("tiny-upscaler").c_str(), nullptr);
    set_lora(lora);
    GstElement *out = gst_bin_get_by_name(GST_BIN(pipeline_), "out");
    g_signal_connect(out, "handoff", G_CALLBACK(look), this);
    gst_object_unref(out);
    gst_element_set_state(pipeline_, GST_STATE_PLAYING);
  }
  ~Stream() {
    gst_element_set_state(pipeline_, GST_STATE_NULL);
    gst_object_unref(up_);
    gst_object_unref(pipeline_);
  }
  Stream(const Stream &) = delete;
  Stream &operator=(const Stream &) = delete;

  void set_lora(const std::string &lora) {
    g_object_set(up_, "lora", lora.empty() ? nullptr : lora.c_str(), nullptr);
  }
  /// That of the first frame.
  guint first() const {
    wait([this] { return first_ != 0; });
    return first_;
  }
  /// Whether one with this checksum comes.
  bool comes(guint sum) const {
    return wait([this, sum] { return last_ == sum; });
  }
  bool warns() const {
    GstBus *bus = gst_element_get_bus(pipeline_);
    GstMessage *message = gst_bus_timed_pop_filtered(bus, 60 * GST_SECOND, GST_MESSAGE_WARNING);
    gst_object_unref(bus);
    if (message) gst_message_unref(message);
    return message;
  }

 private:
  template <typename Condition>
  static bool wait(Condition condition) {
    for (int i = 0; i < 6000 && !condition(); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    return condition();
  }
  static void look(GstElement *, GstBuffer *buffer, GstPad *, gpointer data) {
    auto *self = static_cast<Stream *>(data);
    guint sum = 1;
    GstMapInfo map;
    if (!gst_buffer_map(buffer, &map, GST_MAP_READ)) return;
    for (gsize i = 0; i < map.size; ++i) sum = sum * 31 + map.data[i];
    gst_buffer_unmap(buffer, &map);
    if (self->first_ == 0) self->first_ = sum;
    self->last_ = sum;
  }

  GstElement *pipeline_, *up_;
  std::atomic<guint> first_{0}, last_{0};
};

TEST(ElementLora, AChangeWhilePlayingGivesWhatAStartWithItGives) {
  gst_init(nullptr, nullptr);
  const std::string lora = golden_path("lora/peft_dora.safetensors") + "@0.7";
  const guint plain = Stream("").first(), changed = Stream(lora).first();
  ASSERT_NE(plain, 0U) << "no frame came";
  ASSERT_NE(plain, changed);
  Stream stream("");
  ASSERT_EQ(stream.first(), plain);
  stream.set_lora(lora);
  EXPECT_TRUE(stream.comes(changed));
  stream.set_lora(golden_path("cases.json"));
  EXPECT_TRUE(stream.warns());
  EXPECT_TRUE(stream.comes(changed));
  stream.set_lora("");
  EXPECT_TRUE(stream.comes(plain));
}

}  // namespace
}  // namespace livepeer
