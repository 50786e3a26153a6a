#include "fake/fake_engine.h"

#include <algorithm>
#include <cmath>
#include <thread>

#include "runtime/error.h"

namespace livepeer {

void Gate::close() {
  std::lock_guard<std::mutex> lock(mutex_);
  closed_ = true;
}

void Gate::admit() {
  std::lock_guard<std::mutex> lock(mutex_);
  closed_ = false;
}

void Gate::open() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = false;
    permits_ = 0;
    ++openings_;
  }
  changed_.notify_all();
}

void Gate::let_one_pass() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ++permits_;
  }
  changed_.notify_all();
}

int Gate::stopped() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return stopped_;
}

void Gate::pass() {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!closed_) return;
  ++stopped_;
  const int openings = openings_;
  changed_.wait_for(lock, std::chrono::seconds(60),
                    [&] { return permits_ > 0 || openings_ != openings; });
  if (openings_ == openings && permits_ > 0) --permits_;
  --stopped_;
}

namespace {

template <typename T>
void repeat(const FramePart &out, const Frame &low_res, const Rect &region, int radius,
            uint64_t added) {
  for (int y = 0; y < region.height; ++y) {
    T *first = out.row<T>(y * 4);
    for (int x = 0; x < region.width; ++x) {
      T value[3] = {0, 0, 0};
      const int cx = region.x + x, cy = region.y + y;
      for (int ny = std::max(0, cy - radius); ny <= std::min(low_res.height - 1, cy + radius); ++ny)
        for (int nx = std::max(0, cx - radius); nx <= std::min(low_res.width - 1, cx + radius);
             ++nx)
          for (int c = 0; c < 3; ++c) value[c] = std::max(value[c], low_res.row<T>(ny)[nx * 3 + c]);
      for (int c = 0; c < 3; ++c) value[c] = T(value[c] + added);
      for (int u = 0; u < 4; ++u) std::copy_n(value, 3, first + (x * 4 + u) * 3);
    }
    for (int v = 1; v < 4; ++v) std::copy_n(first, region.width * 12, out.row<T>(y * 4 + v));
  }
}

template <typename T>
void enlarge(const FramePart &out, const Frame &low_res, const Rect &region) {
  for (int y = 0; y < out.height; ++y) {
    const std::array<double, 4> down = bicubic_weights(y % 4);
    for (int x = 0; x < out.width * 3; ++x) {
      const int pixel = region.x + x / 12, first = pixel - (x / 3 % 4 < 2 ? 2 : 1);
      const int top = region.y + y / 4 - (y % 4 < 2 ? 2 : 1);
      const std::array<double, 4> across = bicubic_weights(x / 3 % 4);
      double sum = 0;
      for (int v = 0; v < 4; ++v) {
        const T *row = low_res.row<T>(std::clamp(top + v, 0, low_res.height - 1));
        for (int u = 0; u < 4; ++u)
          sum += down[size_t(v)] * across[size_t(u)] *
                 row[std::clamp(first + u, 0, low_res.width - 1) * 3 + x % 3];
      }
      out.row<T>(y)[x] = T(std::clamp(std::round(sum), 0.0, double(low_res.samples.largest())));
    }
  }
}

/// g_str_hash
uint32_t hash_of(const std::string &text) {
  uint32_t hash = 5381;
  for (const char c : text) hash = hash * 33 + uint32_t(c);
  return hash;
}

}  // namespace

std::array<double, 4> bicubic_weights(int position) {
  // How far right of the second of the four pixels.
  const double beside = (position + 0.5) / 4 - 0.5 + (position < 2 ? 1 : 0);
  std::array<double, 4> weights;
  for (size_t tap = 0; tap < 4; ++tap) {
    const double d = std::abs(double(tap) - 1 - beside);
    weights[tap] = d < 1 ? (1.5 * d - 2.5) * d * d + 1 : ((-0.5 * d + 2.5) * d - 4) * d + 2;
  }
  return weights;
}

FakeModel::FakeModel(std::string id, std::shared_ptr<FakeEngine> engine, const std::string &lora)
    : id_(std::move(id)), engine_(std::move(engine)), added_(lora.empty() ? 0 : hash_of(lora)) {
  ++engine_->models_alive;
}

FakeModel::~FakeModel() { --engine_->models_alive; }

ResolvedSettings FakeModel::resolve(const UpscaleSettings &settings) const {
  ResolvedSettings result = {settings.steps ? settings.steps : engine_->default_steps,
                             settings.guidance_scale == -1 ? 9.0 : settings.guidance_scale,
                             settings.noise_level == -1 ? 20 : settings.noise_level,
                             settings.noise_temperature == -1 ? 1.0 : settings.noise_temperature};
  if (result.noise_level > engine_->max_noise_level) {
    result.noise_level = engine_->max_noise_level;
    result.notes.emplace_back(ErrorKind::settings, "So much noise cannot be had");
  }
  if (result.steps < engine_->least_steps) {
    result.steps = engine_->least_steps;
    result.notes.emplace_back(ErrorKind::settings, "So few steps cannot be had");
  }
  if (settings.prompt.size() > engine_->longest_prompt)
    result.notes.emplace_back(ErrorKind::failed,
                              "The prompt is too long; left out were " +
                                  std::to_string(settings.prompt.size() - engine_->longest_prompt));
  return result;
}

void FakeModel::upscale_into(const FramePart &high_res, const Frame &low_res, const Rect &region,
                             const UpscaleSettings &settings, const Noise &noise, const Limits &,
                             Progress &progress) {
  ++engine_->upscales;
  engine_->pixels += int64_t(region.width) * region.height;
  if (engine_->on_upscale) engine_->on_upscale();
  if (engine_->on_noise) engine_->on_noise(noise.shift);
  const unsigned steps = resolve(settings).steps;
  for (unsigned step = 0; step < steps; ++step) {
    progress.advance(double(step) / steps, "step");
    engine_->stepping.pass();
    std::this_thread::sleep_for(engine_->step_time.load());
  }
  progress.advance(1, "step");

  uint64_t added = noise.seed + added_;
  if (engine_->prompt_in_pixels) added += hash_of(settings.prompt);
  const bool plain = low_res.samples.bytes == 1;
  const int radius = engine_->radius.value_or(0);
  if (engine_->bicubic)
    plain ? enlarge<uint8_t>(high_res, low_res, region)
          : enlarge<uint16_t>(high_res, low_res, region);
  else
    plain ? repeat<uint8_t>(high_res, low_res, region, radius, added)
          : repeat<uint16_t>(high_res, low_res, region, radius, added);
  if (engine_->on_result) engine_->on_result(high_res);
}

uint64_t FakeModel::memory_estimate(int width, int height, int sample_bytes, const Limits &) const {
  ++engine_->estimates;
  return uint64_t(width) * uint64_t(height) * uint64_t(sample_bytes) * 48;
}

SafetyVerdict FakeModel::check_safety(const Frame &picture) {
  ++engine_->checks;
  const double score = engine_->score_of ? engine_->score_of(picture) : engine_->nsfw_score.load();
  return {score > 0.5, score};
}

CheckedModel FakeLoader::check(const ModelSpec &spec) {
  if (engine_->on_check) engine_->on_check();
  if (spec.safety_check && !engine_->has_checker)
    throw Error(ErrorKind::settings, "There is no safety checker; set safety-check=false");
  // Models of different engines are different models.
  return {std::to_string(reinterpret_cast<uintptr_t>(engine_.get())) + "|" + spec.model + "|" +
              spec.safety_model + "|" + spec.device + "|" + std::to_string(int(spec.precision)) +
              "|" + std::to_string(spec.safety_check) + "|" + spec.lora + "|" + spec.embeddings,
          {}};
}

std::shared_ptr<UpscaleModel> FakeLoader::load(const ModelSpec &spec,
                                               const std::shared_ptr<const void> &,
                                               Progress &progress) {
  ++engine_->loads;
  for (int part = 0; part < 10; ++part) {
    progress.advance(part / 10.0, "weights");
    std::this_thread::sleep_for(engine_->load_time.load() / 10);
  }
  engine_->loading.pass();
  if (engine_->on_load) engine_->on_load();
  progress.advance(1, "weights");
  return std::make_shared<FakeModel>(spec.model.empty() ? "fake" : spec.model, engine_, spec.lora);
}

}  // namespace livepeer
