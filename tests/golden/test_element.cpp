// The recorded pictures of diffusers through the element: PNG in, PNG out. Without torch: the
// element is taken by its name.
#include <gst/gst.h>

#include "golden/golden_pictures.h"
#include "support/temporary_folder.h"

namespace livepeer {
namespace {

/// As the element's enumeration calls it.
std::string scheduler_nick(const std::string &class_name) {
  static const std::map<std::string, std::string> nicks{{"DDIMScheduler", "model"},
                                                        {"EulerDiscreteScheduler", "euler"},
                                                        {"DPMSolverMultistepScheduler", "dpmpp-2m"},
                                                        {"PNDMScheduler", "pndm"},
                                                        {"LMSDiscreteScheduler", "lms"}};
  return nicks.at(class_name);
}

/// Runs `filesrc ! pngdec ! livepeerupscale ! pngenc ! filesink` to its end.
Frame upscale_png(const nlohmann::json &entry, int threads) {
  const test::TemporaryFolder folder;
  const std::string result = folder / "out.png";
  GError *error = nullptr;
  GstElement *pipeline = gst_parse_launch(
      "filesrc name=in ! pngdec ! videoconvert ! video/x-raw,format=RGB ! livepeerupscale name=up "
      "safety-check=false device=cpu precision=float32 ! pngenc ! filesink name=out",
      &error);
  if (error) throw std::runtime_error(error->message);
  const auto set = [pipeline](const char *element, const char *property, auto value) {
    GstElement *target = gst_bin_get_by_name(GST_BIN(pipeline), element);
    g_object_set(target, property, value, nullptr);
    gst_object_unref(target);
  };
  const auto text = [&entry](const char *key) {
    return entry.at(key).is_null() ? std::string() : entry.at(key).get<std::string>();
  };
  set("in", "location", golden_path(entry.at("input_png")).c_str());
  set("out", "location", result.c_str());
  set("up", "model", golden_path("tiny-upscaler").c_str());
  set("up", "prompt", text("prompt").c_str());
  set("up", "negative-prompt", text("negative_prompt").c_str());
  set("up", "seed", entry.at("seed").get<gint64>());
  set("up", "steps", entry.at("num_inference_steps").get<guint>());
  set("up", "guidance-scale", entry.at("guidance_scale").get<double>());
  set("up", "noise-level", entry.at("noise_level").get<gint>());
  set("up", "eta", entry.value("eta", 0.0));
  set("up", "guidance-start", entry.value("guidance_start", 0.0));
  set("up", "guidance-stop", entry.value("guidance_stop", 1.0));
  set("up", "cache-interval", entry.value("cache_interval", 1U));
  set("up", "cache-branch-id", entry.value("cache_branch_id", 0U));
  set("up", "n-threads", threads);
  GstElement *element = gst_bin_get_by_name(GST_BIN(pipeline), "up");
  gst_util_set_object_arg(G_OBJECT(element), "scheduler",
                          scheduler_nick(entry.at("scheduler")).c_str());
  gst_object_unref(element);

  gst_element_set_state(pipeline, GST_STATE_PLAYING);
  GstBus *bus = gst_element_get_bus(pipeline);
  GstMessage *message = gst_bus_timed_pop_filtered(
      bus, 120 * GST_SECOND, GstMessageType(GST_MESSAGE_EOS | GST_MESSAGE_ERROR));
  std::string problem = message ? "" : "the pipeline did not end";
  if (message && GST_MESSAGE_TYPE(message) == GST_MESSAGE_ERROR) {
    gst_message_parse_error(message, &error, nullptr);
    problem = error->message;
    g_error_free(error);
  }
  if (message) gst_message_unref(message);
  gst_object_unref(bus);
  gst_element_set_state(pipeline, GST_STATE_NULL);
  gst_object_unref(pipeline);
  if (!problem.empty()) throw std::runtime_error(problem);
  return test::read_picture(result);
}

class ElementGolden : public testing::TestWithParam<PictureCase> {
 protected:
  static void SetUpTestSuite() { gst_init(nullptr, nullptr); }
};

TEST_P(ElementGolden, PictureIsThatOfDiffusers) {
  const auto &[id, threads] = GetParam();
  const nlohmann::json entry = golden_case(id);
  expect_same_picture(upscale_png(entry, threads), entry.at("output_png").at(0));
}

// Of two pictures per prompt the first has the noise that one alone has.
INSTANTIATE_TEST_SUITE_P(Cases, ElementGolden, picture_cases(), picture_case_name);

/// diffusers makes such pictures smaller first; here every input gets exactly four times its size.
TEST(ElementSizes, pipe_23x18_resize) {
  gst_init(nullptr, nullptr);
  const nlohmann::json entry = golden_case("pipe_23x18_resize");
  const Frame low_res = test::read_picture(golden_path(entry.at("input_png")));
  const Frame out = upscale_png(entry, 1);
  EXPECT_EQ(out.width, 4 * low_res.width);
  EXPECT_EQ(out.height, 4 * low_res.height);
}

}  // namespace
}  // namespace livepeer
