#include "diffusion/diffusion_model.h"

#include <ATen/Parallel.h>
#include <torch/utils.h>

#include <algorithm>
#include <atomic>
#include <cmath>

#include "diffusion/frame_tensor.h"
#include "runtime/machine.h"

namespace livepeer {
namespace {

/// diffusers takes multiples of this from models whose networks change the resolution inside.
constexpr int unet_multiple = 4;
/// Latents and noise larger than this are not kept from frame to frame.
constexpr int64_t max_kept_noise = int64_t(64) << 20;
constexpr uint64_t unknown_memory_budget = uint64_t(4) << 30;
/// Exact tiles cost little, so that a model of bounded radius need not take all that it could: with
/// this much a process stays below 1 GiB at 1920x1080.
constexpr uint64_t modest_memory_budget = uint64_t(672) << 20;

/// Half of what the system could give to this process now, or as much as is useful.
uint64_t automatic_budget(const StableDiffusionUpscalePipeline::Components &parts) {
  const uint64_t available = parts.device.is_cpu() ? available_memory() : 0;
  const uint64_t budget = available > 0 ? available / 2 : unknown_memory_budget;
  const bool bounded = parts.unet->receptive_radius() && parts.vae->receptive_radius();
  return bounded && parts.device.is_cpu() ? std::min(budget, modest_memory_budget) : budget;
}

int round_up(int value, int multiple) { return (value + multiple - 1) / multiple * multiple; }

/// An inference, and the number of libtorch's threads for it on this thread: as many as wanted, or
/// for 0 an equal share of the processors with all that are under way.
class Inference {
 public:
  explicit Inference(unsigned wanted) {
    const unsigned under_way = ++count_;
    static const unsigned processors = available_processors();
    const int threads = int(wanted > 0 ? wanted : std::max(processors / under_way, 1U));
    // Not needlessly: libtorch starts a new pool of (spinning) threads in every call.
    if (at::get_num_threads() != threads) at::set_num_threads(threads);
  }
  ~Inference() { --count_; }
  Inference(const Inference &) = delete;
  Inference &operator=(const Inference &) = delete;

 private:
  inline static std::atomic<unsigned> count_{0};
};

/// Translates what libtorch throws.
template <typename Work>
auto guarded(const char *doing, Work work) {
  try {
    return work();
  } catch (const c10::Error &error) {
    const std::string text = error.what_without_backtrace();
    if (text.find("allocate") != std::string::npos ||
        text.find("out of memory") != std::string::npos)
      throw Error(ErrorKind::no_space,
                  "There is not enough memory; lower memory-budget or tile-size, or use smaller "
                  "frames.",
                  text);
    throw Error(ErrorKind::failed, std::string("libtorch failed while ") + doing + ".", text);
  }
}

}  // namespace

/// How one call is cut up. Models of bounded radius: into `tiles` that each run all steps with
/// `halo` pixels around, if their share of the work is small; else one tile whose steps are tiled.
struct DiffusionModel::Plan {
  std::vector<Tile> tiles;
  TileLayout denoiser_tiles, vae_tiles;
};

DiffusionModel::DiffusionModel(DiffusionModelInfo info,
                               StableDiffusionUpscalePipeline::Components components,
                               std::unique_ptr<SafetyChecker> safety_checker)
    : info_(std::move(info)),
      pipeline_(std::move(components)),
      safety_checker_(std::move(safety_checker)),
      automatic_budget_(automatic_budget(pipeline_.components())) {}

ResolvedSettings DiffusionModel::resolve(const UpscaleSettings &settings) const {
  {
    const std::lock_guard<std::mutex> lock(resolved_mutex_);
    if (resolved_ && same_but_seed(settings, resolved_for_)) return *resolved_;
  }
  const ResolvedSettings result = resolve_afresh(settings);
  const std::lock_guard<std::mutex> lock(resolved_mutex_);
  resolved_for_ = settings;
  resolved_ = result;
  return result;
}

ResolvedSettings DiffusionModel::resolve_afresh(const UpscaleSettings &settings) const {
  ResolvedSettings result = info_.defaults;
  if (settings.steps > 0) result.steps = settings.steps;
  if (settings.guidance_scale >= 0) result.guidance_scale = settings.guidance_scale;
  if (settings.noise_level >= 0) result.noise_level = settings.noise_level;
  if (settings.noise_temperature >= 0) result.noise_temperature = settings.noise_temperature;
  result.eta = settings.eta;
  limit_noise_level(result);
  find_possible_steps(settings.scheduler, result);
  limit_guidance(settings, result);
  limit_cache(settings, result);
  measure("prompt", settings.prompt, result);
  measure("negative prompt", settings.negative_prompt, result);
  return result;
}

void DiffusionModel::limit_noise_level(ResolvedSettings &settings) const {
  const int most =
      std::min(info_.max_noise_level, int(pipeline_.components().low_res_scheduler.size()) - 1);
  if (settings.noise_level <= most) return;
  settings.notes.emplace_back(ErrorKind::settings,
                              "This model takes noise levels up to " + std::to_string(most) +
                                  ", which is used instead of more",
                              "noise-level is " + std::to_string(settings.noise_level));
  settings.noise_level = most;
}

/// The number of steps nearest to the wanted one that the sampler can make; more before fewer.
void DiffusionModel::find_possible_steps(SchedulerKind kind, ResolvedSettings &settings) const {
  std::optional<Error> refused;
  const auto can_do = [&](unsigned steps) {
    try {
      pipeline_.components().scheduler.get(kind, steps, settings.eta);
      return true;
    } catch (const Error &error) {
      if (error.kind() != ErrorKind::settings) throw;
      if (!refused) refused = error;
      return false;
    }
  };
  const unsigned wanted = settings.steps;
  if (can_do(wanted)) return;
  for (unsigned away = 1; away <= std::max(wanted, 1000U); ++away) {
    for (const int64_t steps : {int64_t(wanted) + away, int64_t(wanted) - away}) {
      if (steps < 1 || !can_do(unsigned(steps))) continue;
      settings.steps = unsigned(steps);
      settings.notes.emplace_back(
          ErrorKind::settings,
          "The sampler cannot make the steps that were asked for; it makes " +
              std::to_string(steps),
          refused->what());
      return;
    }
  }
  throw *refused;
}

void DiffusionModel::limit_guidance(const UpscaleSettings &wanted,
                                    ResolvedSettings &settings) const {
  if (wanted.guidance_start < wanted.guidance_stop) {
    settings.guidance_start = wanted.guidance_start;
    settings.guidance_stop = wanted.guidance_stop;
    return;
  }
  settings.notes.emplace_back(
      ErrorKind::settings, "guidance-start must be less than guidance-stop; all steps are guided",
      c10::str("guidance-start is ", wanted.guidance_start, ", guidance-stop ",
               wanted.guidance_stop));
}

void DiffusionModel::limit_cache(const UpscaleSettings &wanted, ResolvedSettings &settings) const {
  if (wanted.cache_interval <= 1) return;
  const int64_t branches = pipeline_.components().unet->deep_branches();
  const auto note = [&](const std::string &what) {
    settings.notes.emplace_back(ErrorKind::settings, what,
                                c10::str("cache-interval is ", wanted.cache_interval,
                                         ", cache-branch-id ", wanted.cache_branch_id));
  };
  if (branches == 0)
    return note("This model has no deep layers to keep from step to step; all are computed");
  settings.cache_interval = std::min(wanted.cache_interval, settings.steps);
  if (settings.cache_interval < wanted.cache_interval && settings.steps > 1)
    note(
        "cache-interval is more than there are steps; the deep layers are computed in the first "
        "one");
  settings.cache_branch_id = unsigned(std::min(int64_t(wanted.cache_branch_id), branches - 1));
  if (settings.cache_branch_id < wanted.cache_branch_id)
    note("This model's branches end at " + std::to_string(branches - 1) +
         ", which is used as cache-branch-id");
}

void DiffusionModel::measure(const std::string &name, const std::string &prompt,
                             ResolvedSettings &settings) const {
  const auto &measure_prompt = pipeline_.components().measure_prompt;
  if (!measure_prompt || prompt.empty()) return;
  const auto [tokens, taken] = measure_prompt(prompt);
  if (taken == tokens) return;
  // Without the text itself, which may be private.
  settings.notes.emplace_back(ErrorKind::failed,
                              "The " + name + " is longer than the model reads; its last " +
                                  std::to_string(tokens - taken) + " of " + std::to_string(tokens) +
                                  " tokens are left out",
                              "the model reads " + std::to_string(taken) + " tokens");
}

bool DiffusionModel::bounded() const {
  return pipeline_.components().unet->receptive_radius() &&
         pipeline_.components().vae->receptive_radius();
}

std::optional<int> DiffusionModel::receptive_radius(const UpscaleSettings &settings) const {
  if (!bounded()) return {};
  const auto scheduler = pipeline_.components().scheduler.get(
      settings.scheduler, resolve(settings).steps, settings.eta);
  if (scheduler->adds_noise()) return {};
  const auto evaluations = int64_t(scheduler->timesteps().size());
  return int(evaluations * *pipeline_.components().unet->receptive_radius() +
             *pipeline_.components().vae->receptive_radius());
}

uint64_t DiffusionModel::bytes_of_frame(int width, int height, int sample_bytes) const {
  const auto channels = uint64_t(pipeline_.components().vae->latent_channels());
  // The frames (the result of the one before may still be on its way) and the noise; where tiles
  // are blended, also latents and the picture in float32.
  const uint64_t noise = sizeof(float) * (channels + 3);
  const uint64_t blended = bounded() ? 0 : sizeof(float) * (4 * channels + 3 * 48);
  const uint64_t frames = uint64_t(sample_bytes) * (3 + 2 * 48);
  return uint64_t(width) * uint64_t(height) * (frames + noise + blended);
}

int DiffusionModel::tile_size(int width, int height, int sample_bytes, const Limits &limits) const {
  if (limits.tile_size > 0) return int(limits.tile_size);
  const uint64_t budget = limits.memory_budget > 0 ? limits.memory_budget : automatic_budget_;
  const uint64_t used = std::min(bytes_of_frame(width, height, sample_bytes), budget / 8 * 7);
  const double side = std::sqrt(double(budget - used) / double(info_.bytes_per_pixel));
  return std::clamp(int(side) / 8 * 8, 64, 1 << 16);
}

DiffusionModel::Plan DiffusionModel::make_plan(int width, int height, int sample_bytes,
                                               const Rect &region, const UpscaleSettings &settings,
                                               const Limits &limits) const {
  const auto &parts = pipeline_.components();
  const int size = tile_size(width, height, sample_bytes, limits);
  Plan plan;
  if (!bounded()) {
    const int overlap = limits.tile_overlap > 0 ? int(limits.tile_overlap) : size / 4;
    plan.denoiser_tiles = plan.vae_tiles = {size, std::min(overlap, size / 2) / 2, false};
    plan.tiles = {{{0, 0, width, height}, region}};
    return plan;
  }
  plan.denoiser_tiles = {size, int(*parts.unet->receptive_radius()), true};
  plan.vae_tiles = {size, int(*parts.vae->receptive_radius()), true};
  const std::optional<int> radius = receptive_radius(settings);
  if (radius && 4 * *radius <= size)
    plan.tiles = make_tiles(region, width, height, {size, *radius, true});
  else if (radius)
    plan.tiles = make_tiles(region, width, height, {std::max(width, height), *radius, true});
  else
    plan.tiles = {{{0, 0, width, height}, region}};
  return plan;
}

uint64_t DiffusionModel::memory_estimate(int width, int height, int sample_bytes,
                                         const Limits &limits) const {
  const auto size = uint64_t(tile_size(width, height, sample_bytes, limits));
  const uint64_t pixels = std::min(uint64_t(width) * uint64_t(height), size * size);
  return bytes_of_frame(width, height, sample_bytes) + pixels * info_.bytes_per_pixel;
}

PipelineNoise DiffusionModel::draw(const Noise &wanted, int64_t height, int64_t width) {
  PipelineNoise noise;
  {
    const std::lock_guard<std::mutex> lock(noise_mutex_);
    noise = noise_;
    if (!noise_.latents.defined() || noise_seed_ != wanted.seed ||
        noise_.latents.size(2) != height || noise_.latents.size(3) != width) {
      noise_ = {};
      noise = pipeline_.draw_noise(wanted.seed, height, width);
      if (int64_t(noise.latents.nbytes()) <= max_kept_noise) {
        noise.latents = noise.latents.contiguous(at::MemoryFormat::ChannelsLast);
        noise_ = noise;
      }
      noise_seed_ = wanted.seed;
    }
    noise.generator = noise.generator.clone();
  }
  if (!(wanted.shift == Shift{})) {
    const std::vector<int64_t> shift = {wanted.shift.y, wanted.shift.x};
    noise.low_res = noise.low_res.roll(shift, {2, 3});
    noise.latents = noise.latents.roll(shift, {2, 3});
  }
  return noise;
}

void DiffusionModel::upscale_into(const FramePart &high_res, const Frame &low_res,
                                  const Rect &region, const UpscaleSettings &settings,
                                  const Noise &wanted, const Limits &limits, Progress &progress) {
  PipelineRequest request;
  request.prompt = settings.prompt;
  request.negative_prompt = settings.negative_prompt;
  request.settings = resolve(settings);
  request.scheduler = settings.scheduler;
  guarded("upscaling a frame", [&] {
    const torch::NoGradGuard no_grad;
    const Inference inference(limits.n_threads);
    const KeptMemory::Use use;
    const int multiple = bounded() ? 1 : unet_multiple;
    const int width = round_up(low_res.width, multiple);
    const int height = round_up(low_res.height, multiple);
    const Plan plan = make_plan(width, height, low_res.samples.bytes, region, settings, limits);
    const PipelineNoise noise = draw(wanted, height, width);
    request.denoiser_tiles = plan.denoiser_tiles;
    request.vae_tiles = plan.vae_tiles;
    size_t finished = 0;
    for (const Tile &tile : plan.tiles) {
      Progress tile_progress([&](double fraction, const std::string &what) {
        progress.advance((double(finished) + fraction) / double(plan.tiles.size()), what);
      });
      request.image = to_tensor(low_res, grown(tile.crop, 0, low_res.width, low_res.height));
      const int64_t right = tile.crop.width - request.image.size(3);
      const int64_t below = tile.crop.height - request.image.size(2);
      if (right > 0 || below > 0)
        request.image = at::replication_pad2d(request.image, {0, right, 0, below});
      // In the layout of the networks' results scheduler steps run over memory in order.
      request.noise = {crop(noise.low_res, tile.crop),
                       crop(noise.latents, tile.crop).contiguous(at::MemoryFormat::ChannelsLast),
                       noise.generator};
      write_tile(pipeline_(request, tile_progress)[0], tile, high_res,
                 {tile.core.x - region.x, tile.core.y - region.y});
      ++finished;
    }
  });
}

/// The core of a tile, whose crop is the decoded `image`, to `place` in low-resolution pixels.
void DiffusionModel::write_tile(const torch::Tensor &image, const Tile &tile,
                                const FramePart &high_res, const Shift &place) const {
  const int scale = image.size(0) == 3 ? 4 : 1;
  if (image.size(1) != scale * tile.crop.height || image.size(2) != scale * tile.crop.width)
    throw Error(ErrorKind::open_read,
                "The model's vae does not enlarge by 4; use the snapshot of an x4 upscaler.",
                c10::str("decoded ", image.sizes()));
  const Rect core{(tile.core.x - tile.crop.x) * scale, (tile.core.y - tile.crop.y) * scale,
                  tile.core.width * scale, tile.core.height * scale};
  // What is not finite would be written as black.
  if (!write_pixels(crop(image, core), high_res, place.x * 4, place.y * 4))
    throw Error(ErrorKind::failed,
                "The model's numbers are not finite, so there is no picture; use another "
                "precision or other settings.",
                "precision is " + info_.precision);
}

SafetyVerdict DiffusionModel::check_safety(const Frame &high_res) {
  if (!safety_checker_)
    throw Error(ErrorKind::settings,
                "No safety checker is loaded; set safety-check=false or safety-model to the folder "
                "of one.");
  return guarded("checking a frame", [&] {
    const KeptMemory::Use use;
    return safety_checker_->check(high_res);
  });
}

}  // namespace livepeer
