#include "train/degradation.h"

#include <stb/stb_image.h>
#include <stb/stb_image_write.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

namespace livepeer::train {
namespace {

constexpr double pi = 3.14159265358979323846;

double support(Kernel kernel) {
  switch (kernel) {
    case Kernel::box:
      return 0.5;
    case Kernel::triangle:
      return 1;
    case Kernel::cubic:
      return 2;
    case Kernel::lanczos:
      return 3;
  }
  return 0;
}

double value(Kernel kernel, double x) {
  x = std::abs(x);
  if (x >= support(kernel)) return 0;
  switch (kernel) {
    case Kernel::box:
      return 1;
    case Kernel::triangle:
      return 1 - x;
    case Kernel::cubic:
      return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2;
    case Kernel::lanczos:
      return x == 0 ? 1 : 3 * std::sin(pi * x) * std::sin(pi * x / 3) / (pi * pi * x * x);
  }
  return 0;
}

torch::Tensor normalised(const torch::Tensor &rows) {
  return (rows / rows.sum(1, true)).to(torch::kFloat);
}

torch::Tensor jpeg(const torch::Tensor &picture, int quality) {
  const auto bytes = (picture * 255).round().to(torch::kByte).permute({1, 2, 0}).contiguous();
  const int height = int(bytes.size(0)), width = int(bytes.size(1));
  std::vector<uint8_t> file;
  stbi_write_jpg_to_func(
      [](void *context, void *data, int size) {
        auto &out = *static_cast<std::vector<uint8_t> *>(context);
        const auto *begin = static_cast<const uint8_t *>(data);
        out.insert(out.end(), begin, begin + size);
      },
      &file, width, height, 3, bytes.data_ptr(), quality);
  int w = 0, h = 0, channels = 0;
  const std::unique_ptr<uint8_t, decltype(&stbi_image_free)> decoded(
      stbi_load_from_memory(file.data(), int(file.size()), &w, &h, &channels, 3), stbi_image_free);
  TORCH_CHECK(decoded && w == width && h == height, "JPEG round trip failed");
  return torch::from_blob(decoded.get(), {height, width, 3}, torch::kByte)
             .permute({2, 0, 1})
             .to(torch::kFloat) /
         255;
}

}  // namespace

torch::Tensor resampling_matrix(int64_t in, int64_t out, Kernel kernel) {
  const double ratio = double(in) / double(out), stretch = std::max(ratio, 1.0);
  const auto rows = torch::zeros({out, in}, torch::kDouble);
  auto weights = rows.accessor<double, 2>();
  for (int64_t o = 0; o < out; ++o)
    for (int64_t i = 0; i < in; ++i)
      weights[o][i] = value(kernel, (double(i) + 0.5 - (double(o) + 0.5) * ratio) / stretch);
  return normalised(rows);
}

torch::Tensor blur_matrix(int64_t size, double sigma) {
  if (sigma <= 0) return torch::eye(size);
  const auto line = torch::arange(size, torch::kDouble);
  const auto distance = (line.unsqueeze(0) - line.unsqueeze(1)) / sigma;
  return normalised((distance.square() * -0.5).exp());
}

torch::Tensor shrink(const torch::Tensor &pictures, Kernel kernel) {
  const int64_t height = pictures.size(-2), width = pictures.size(-1);
  return resampling_matrix(height, height / scale, kernel)
      .matmul(pictures)
      .matmul(resampling_matrix(width, width / scale, kernel).t());
}

torch::Tensor quantised(const torch::Tensor &pictures) {
  return (pictures.clamp(0, 1) * 255).round() / 255;
}

torch::Tensor gaussian_noise(at::IntArrayRef shape, double deviation, std::mt19937_64 &random) {
  std::normal_distribution<float> normal(0, float(deviation));
  const auto noise = torch::empty(shape);
  std::generate_n(noise.data_ptr<float>(), noise.numel(), [&] { return normal(random); });
  return noise;
}

Degradation Degradation::draw(std::mt19937_64 &random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  Degradation result;
  if (uniform(random) < 0.5) {
    result.blur_x = 2 * uniform(random);
    result.blur_y = uniform(random) < 0.5 ? result.blur_x : 2 * uniform(random);
  }
  const double kernel = uniform(random);
  if (kernel > 0.5)
    result.kernel = kernel < 0.7 ? Kernel::box : kernel < 0.85 ? Kernel::triangle : Kernel::lanczos;
  if (uniform(random) < 0.4) result.noise = 3 * uniform(random);
  if (uniform(random) < 0.4) result.jpeg_quality = 30 + int(66 * uniform(random));
  return result;
}

Degradation Degradation::draw_visible(std::mt19937_64 &random) {
  std::uniform_real_distribution<double> uniform(0, 1);
  Degradation result;
  const double kind = uniform(random);
  if (kind < 0.75) result.jpeg_quality = 30 + int(66 * uniform(random));
  if (kind > 0.65) result.noise = 1 + 2 * uniform(random);
  return result;
}

torch::Tensor degrade(const torch::Tensor &high_res, const Degradation &degradation,
                      std::mt19937_64 &random) {
  auto blurred = high_res;
  if (degradation.blur_x > 0 || degradation.blur_y > 0)
    blurred = blur_matrix(high_res.size(1), degradation.blur_y)
                  .matmul(high_res)
                  .matmul(blur_matrix(high_res.size(2), degradation.blur_x).t());
  auto low_res = shrink(blurred, degradation.kernel);
  if (degradation.noise > 0)
    low_res = low_res + gaussian_noise(low_res.sizes(), degradation.noise / 255, random);
  low_res = quantised(low_res);
  return degradation.jpeg_quality > 0 ? jpeg(low_res, degradation.jpeg_quality) : low_res;
}

}  // namespace livepeer::train
