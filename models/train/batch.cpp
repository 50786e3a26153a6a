#include "train/batch.h"

#include <tuple>

#include "train/task.h"

namespace livepeer::train {

uint64_t iteration_seed(uint64_t seed, int64_t iteration) {
  // splitmix64: neighbouring iterations get unrelated streams.
  uint64_t z = seed * 0x9E3779B97F4A7C15 + uint64_t(iteration) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

BatchSource::BatchSource(const Options &options, const PictureSet &pictures,
                         const NoiseSchedule &low_res_schedule)
    : options_(options), pictures_(pictures), low_res_schedule_(low_res_schedule) {}

Batch BatchSource::make(int64_t index) const {
  const uint64_t seed = iteration_seed(options_.seed, index);
  std::mt19937_64 random(seed);
  const int64_t count = options_.batch, side = options_.patch * scale;

  const auto bytes = torch::empty({count, side, side, 3}, torch::kByte);
  std::vector<Task> tasks;
  auto videos = std::vector<torch::Tensor>(size_t(count));  // of those that are
  for (int64_t i = 0; i < count; ++i) {
    PictureSet::Crop crop = pictures_.choose(random, options_.candidates);
    // Letters are read upright: to know them as they stand is worth more than more of them.
    const unsigned orientation = crop.picture->domain == "screen" ? 0 : unsigned(random() & 7);
    tasks.push_back(Task::draw(options_, crop.picture->domain, random));
    if (tasks.back().video)
      std::tie(crop, videos[size_t(i)]) = pictures_.cut_video(crop, orientation);
    bytes[i].copy_(pictures_.cut(crop, orientation));
  }
  const auto high_res =
      bytes.permute({0, 3, 1, 2}).to(torch::kFloat).contiguous(at::MemoryFormat::Contiguous) / 255;
  const auto low_res = quantised(shrink(high_res, Kernel::cubic));
  const auto levels = torch::zeros({count}, torch::kLong);
  std::vector<std::string> prompts;
  for (int64_t i = 0; i < count; ++i) {
    const Task &task = tasks[size_t(i)];
    if (!task.degradation.none()) low_res[i].copy_(degrade(high_res[i], task.degradation, random));
    if (task.video) low_res[i].copy_(planes(videos[size_t(i)])[0]);
    if (task.target != Target::plain)
      high_res[i].copy_(retouched(high_res[i], task.target, random));
    levels[i] = task.noise_level;
    prompts.push_back(task.prompt);
  }
  const auto generator = at::detail::createCPUGenerator(seed);
  const auto noise = torch::randn(low_res.sizes(), generator);
  return {high_res * 2 - 1, low_res_schedule_.add_noise(low_res * 2 - 1, noise, levels), levels,
          prompts};
}

}  // namespace livepeer::train
