#include <ATen/Parallel.h>
#include <torch/utils.h>

#include "diffusion/diffusion_model.h"
#include "diffusion/frame_tensor.h"
#include "diffusion/registry.h"
#include "diffusion/schedulers/scheduler_base.h"
#include "golden/golden_pictures.h"
#include "golden/golden_support.h"
#include "safety/resize_bicubic.h"
#include "support/picture.h"

namespace livepeer {
namespace {

using Tensors = std::map<std::string, torch::Tensor>;

/// diffusers rounds sizes down to multiples of the decoder's factor by resizing (this engine pads
/// instead and crops, so only tests do it).
Frame resized_like_diffusers(const std::string &png) {
  const Frame frame = test::read_picture(golden_path(png));
  return resize_bicubic(frame, frame.width / 4 * 4, frame.height / 4 * 4);
}

StableDiffusionUpscalePipeline::Components tiny_components() {
  const Snapshot snapshot(golden_path("tiny-upscaler"));
  const WeightOptions options;
  return {load_denoiser(snapshot.component("unet"), options),
          load_vae(snapshot.component("vae"), options),
          load_prompt_encoder(snapshot.component("tokenizer"), snapshot.component("text_encoder"),
                              options)
              .encode,
          snapshot.component("scheduler").config(),
          NoiseSchedule(snapshot.component("low_res_scheduler").config())};
}

StableDiffusionUpscalePipeline &tiny_pipeline() {
  static StableDiffusionUpscalePipeline pipeline(tiny_components());
  return pipeline;
}

SchedulerKind scheduler_kind(const std::string &class_name) {
  static const std::map<std::string, SchedulerKind> kinds{
      {"DDIMScheduler", SchedulerKind::model},
      {"EulerDiscreteScheduler", SchedulerKind::euler},
      {"DPMSolverMultistepScheduler", SchedulerKind::dpmpp_2m},
      {"PNDMScheduler", SchedulerKind::pndm},
      {"LMSDiscreteScheduler", SchedulerKind::lms}};
  return kinds.at(class_name);
}

PipelineRequest make_request(const nlohmann::json &entry) {
  PipelineRequest request;
  request.image = to_tensor(resized_like_diffusers(entry.at("input_png")));
  request.noise =
      tiny_pipeline().draw_noise(entry.at("seed"), request.image.size(2), request.image.size(3),
                                 entry.at("num_images_per_prompt"));
  request.prompt = entry.at("prompt");
  if (!entry.at("negative_prompt").is_null()) request.negative_prompt = entry["negative_prompt"];
  request.settings = {entry.at("num_inference_steps"),
                      entry.at("guidance_scale"),
                      entry.at("noise_level"),
                      /*noise_temperature=*/1.0,
                      entry.value("eta", 0.0),
                      entry.value("guidance_start", 0.0),
                      entry.value("guidance_stop", 1.0),
                      entry.value("cache_interval", 1U),
                      entry.value("cache_branch_id", 0U)};
  request.scheduler = scheduler_kind(entry.at("scheduler"));
  return request;
}

class PipelineGolden : public testing::TestWithParam<std::tuple<const char *, int>> {};

TEST_P(PipelineGolden, EveryStageEqualsDiffusers) {
  const auto [id, threads] = GetParam();
  at::set_num_threads(threads);
  const nlohmann::json entry = golden_case(id);
  const Tensors expected = golden_tensors(entry.at("file"));
  PipelineRequest request = make_request(entry);
  expect_close(request.image, expected.at("preprocessed"), 1e-6, "preprocessed");
  expect_close(request.noise.low_res, expected.at("lowres_noise"), 1e-6, "draw 1");
  expect_close(request.noise.latents, expected.at("init_noise"), 1e-6, "draw 2");

  std::map<std::string, std::vector<torch::Tensor>> seen;
  request.observe = [&](const char *name, const torch::Tensor &value) {
    seen[name].push_back(value.clone());
  };
  Progress progress;
  const torch::Tensor decoded = tiny_pipeline()(request, progress);

  constexpr double tolerance = 2e-5;
  expect_close(seen["noisy_lowres"][0], expected.at("noisy_lowres"), 1e-6, "noisy_lowres");
  if (expected.count("unet_in_step0")) {
    expect_close(seen["unet_in"][0], expected.at("unet_in_step0"), tolerance, "unet_in_step0");
    expect_close(torch::stack(seen["unet_out"]), expected.at("unet_out_per_step"), tolerance,
                 "unet_out_per_step");
    expect_close(torch::stack(seen["latents"]), expected.at("latents_per_step"), tolerance,
                 "latents_per_step");
  }
  expect_close(seen["latents"].back(), expected.at("final_latents"), tolerance, "final_latents");
  expect_close(decoded, expected.at("decoded_raw"), tolerance, "decoded_raw");
  const auto image_float = [](const torch::Tensor &x) { return (x / 2 + 0.5).clamp(0, 1); };
  expect_close(image_float(decoded), image_float(expected.at("decoded_raw")), 5e-5, "image_float");
  for (int64_t i = 0; i < decoded.size(0); i++) {
    Frame frame(int(decoded.size(3)), int(decoded.size(2)));
    write_pixels(decoded[i], frame, 0, 0);
    expect_same_picture(frame, entry.at("output_png").at(size_t(i)));
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, PipelineGolden, picture_cases(), picture_case_name);
INSTANTIATE_TEST_SUITE_P(Resized, PipelineGolden,
                         testing::Combine(testing::Values("pipe_23x18_resize"),
                                          testing::Values(1, 2)),
                         picture_case_name);

TEST(PipelineGoldens, FramesThroughTheModelEqualDiffusers) {
  DiffusionModel model({"tiny", "cpu", "float32", {75, 9.0, 20, 1.0}, 350, 1000},
                       tiny_components());
  for (const char *id : {"pipe_16x16_g9_n20", "pipe_20x24_g9_n20_neg", "pipe_16x16_lms"}) {
    const nlohmann::json entry = golden_case(id);
    UpscaleSettings settings;
    settings.prompt = entry.at("prompt");
    if (!entry.at("negative_prompt").is_null()) settings.negative_prompt = entry["negative_prompt"];
    settings.seed = entry.at("seed");
    settings.steps = entry.at("num_inference_steps");
    settings.scheduler = scheduler_kind(entry.at("scheduler"));
    const Frame frame = test::read_picture(golden_path(entry.at("input_png")));
    Progress progress;
    expect_same_picture(
        model.upscale(frame, {0, 0, frame.width, frame.height}, settings, {}, {}, progress),
        entry.at("output_png").at(0));
  }
}

/// How much the difference between a tiled and an untiled picture jumps from column x - 1 to x.
/// Means over rows, so that what is left is the jump that an eye would see as a line.
double seam_at(const Frame &tiled, const Frame &whole, int x) {
  double result = 0;
  for (int c = 0; c < 3; c++) {
    double jump = 0;
    const auto difference = [&](int y, int i) {
      return int(tiled.row(y)[3 * i + c]) - int(whole.row(y)[3 * i + c]);
    };
    for (int y = 0; y < whole.height; y++) jump += difference(y, x) - difference(y, x - 1);
    result += std::abs(jump) / (3.0 * whole.height);
  }
  return result;
}

TEST(PipelineGoldens, BlendedTilesLeaveNoSeams) {
  DiffusionModel model({"tiny", "cpu", "float32", {4, 9.0, 20, 1.0}, 350, 1000}, tiny_components());
  Frame frame(72, 40);
  for (int y = 0; y < frame.height; y++)
    for (int i = 0; i < 3 * frame.width; i++)
      frame.row(y)[i] = uint8_t(60 + 2 * (i / 3) + y + 20 * (i % 3));
  const auto upscale = [&](unsigned tile_size, unsigned overlap) {
    UpscaleSettings settings;
    settings.prompt = "a photo";
    Limits limits;
    limits.tile_size = tile_size;
    limits.tile_overlap = overlap;
    Progress progress;
    return model.upscale(frame, {0, 0, frame.width, frame.height}, settings, {}, limits, progress);
  };
  const Frame whole = upscale(72, 16), cut = upscale(40, 1), blended = upscale(40, 16);
  // Without overlap there is a seam at 40; with 16, cores are 24 wide.
  const double line = seam_at(cut, whole, 4 * 40);
  const double left = seam_at(blended, whole, 4 * 24), right = seam_at(blended, whole, 4 * 48);
  EXPECT_GT(line, 10) << "the metric sees no seam where there is one";
  EXPECT_LT(std::max(left, right), 0.25 * line);
}

TEST(PipelineGoldens, PromptEmbeddingsEqualDiffusers) {
  const nlohmann::json entry = golden_case("pipe_16x16_g9_n20");
  const Tensors expected = golden_tensors(entry.at("file"));
  const auto &encode = tiny_pipeline().components().encode_prompt;
  const torch::NoGradGuard no_grad;
  expect_close(torch::cat({encode("").hidden, encode(entry.at("prompt")).hidden}),
               expected.at("prompt_embeds"), 1e-5, "prompt_embeds");
}

TEST(FrameGoldens, preprocess) {
  const nlohmann::json entry = golden_case("preprocess");
  const Tensors expected = golden_tensors(entry.at("file"));
  for (const auto &image : entry.at("images"))
    expect_close(to_tensor(resized_like_diffusers(image.at("input_png"))),
                 expected.at(image.at("tensor")), 1e-6, image.at("input_png"));
}

TEST(FrameGoldens, postprocess) {
  const Tensors tensors = golden_tensors(golden_case("postprocess").at("file"));
  const torch::Tensor x = tensors.at("x")[0];
  Frame frame(int(x.size(2)), int(x.size(1)));
  write_pixels(x, frame, 0, 0);
  const torch::Tensor expected = tensors.at("uint8").contiguous();
  const torch::Tensor actual =
      torch::from_blob(frame.pixels.data(), {frame.height, frame.width, 3}, torch::kUInt8);
  EXPECT_TRUE(actual.equal(expected))
      << (actual != expected).sum().item<int64_t>() << " values differ";
}

TEST(NoiseGoldens, torch_randn) {
  const nlohmann::json entry = golden_case("torch_randn");
  const Tensors expected = golden_tensors(entry.at("file"));
  const auto compare = [&](const nlohmann::json &draw, const at::Generator &generator) {
    const std::string name = draw.at("name");
    const torch::Tensor values =
        draw_normal(draw.at("shape").get<std::vector<int64_t>>(), generator).flatten();
    expect_close(values.slice(0, 0, 64), expected.at(name).flatten(), 1e-6, name);
    // All of them, bit for bit, where torch has the instructions that the fixture was made with.
    if (__builtin_cpu_supports("avx2")) {
      EXPECT_EQ(sha256(values), draw.at("sha256")) << name;
    }
  };
  for (const auto &draw : entry.at("single"))
    compare(draw, at::detail::createCPUGenerator(draw.at("seed")));
  std::map<uint64_t, at::Generator> generators;
  for (const auto &draw : entry.at("consecutive")) {
    const uint64_t seed = draw.at("seed");
    if (!generators.count(seed)) generators[seed] = at::detail::createCPUGenerator(seed);
    compare(draw, generators.at(seed));
  }
  for (const int64_t count : {7, 40}) {
    const std::string name = "dtype.f64.seed42.n" + std::to_string(count);
    const auto generator = at::detail::createCPUGenerator(42);
    expect_close(torch::randn({count}, generator, torch::kDouble), expected.at(name), 1e-12, name);
  }
  for (const auto &draw : entry.at("randint")) {
    const auto values = draw.at("randint_2_32").get<std::vector<int64_t>>();
    const auto generator = at::detail::createCPUGenerator(draw.at("seed"));
    const auto actual =
        torch::randint(int64_t(1) << 32, {int64_t(values.size())}, generator, torch::kLong);
    EXPECT_TRUE(actual.equal(torch::tensor(values, torch::kLong))) << draw.at("seed");
  }
}

}  // namespace
}  // namespace livepeer
