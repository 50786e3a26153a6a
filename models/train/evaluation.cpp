#include "train/evaluation.h"

#include <torch/utils.h>

#include <cstdio>
#include <functional>

#include "train/degradation.h"
#include "train/validation.h"
#include "train/words.h"

namespace livepeer::train {
namespace {

using Enlarge = std::function<torch::Tensor(const torch::Tensor &low_res)>;

torch::Tensor laplacian(const torch::Tensor &picture) {
  const auto y = luma(picture).unsqueeze(1);
  const auto kernel =
      torch::tensor({0, 1, 0, 1, -4, 1, 0, 1, 0}, torch::kDouble).view({1, 1, 3, 3});
  return at::conv2d(y, kernel);
}

double average(const torch::Tensor &values) { return values.mean().item<double>(); }

Quality measure(const std::vector<Picture> &pictures, const Degradation &degradation,
                const std::string &inputs, const Enlarge &enlarge) {
  Quality sum;
  std::mt19937_64 random(1);
  for (const Picture &picture : pictures) {
    auto high_res = reference_planes(picture);
    torch::Tensor low_res;
    if (inputs.empty()) {
      low_res = degrade(high_res[0], degradation, random).unsqueeze(0);
    } else {
      // The last lines may be missing: codecs want even sides.
      low_res = planes(read_picture(version_path(inputs, picture.name)));
      high_res =
          high_res.narrow(2, 0, low_res.size(2) * scale).narrow(3, 0, low_res.size(3) * scale);
    }
    const auto result = quantised(enlarge(low_res));
    const auto edges = laplacian(result), true_edges = laplacian(high_res);
    sum.psnr_y += psnr_y(result, high_res);
    sum.sharpness += average(edges.abs()) / average(true_edges.abs());
    sum.texture += average(edges.square()) / average(true_edges.square());
    sum.consistency += psnr_y(shrink(result, Kernel::cubic), low_res, 1);
  }
  const auto count = double(pictures.size());
  return {sum.psnr_y / count, sum.sharpness / count, sum.texture / count, sum.consistency / count};
}

Enlarge by_kernel(Kernel kernel) {
  return [kernel](const torch::Tensor &low_res) {
    return resampling_matrix(low_res.size(2), low_res.size(2) * 4, kernel)
        .matmul(low_res)
        .matmul(resampling_matrix(low_res.size(3), low_res.size(3) * 4, kernel).t());
  };
}

struct Fault {
  const char *name, *word;
  Degradation degradation;
};

std::vector<Fault> faults() {
  std::vector<Fault> result;
  for (const int quality : {20, 30, 50, 80})
    result.push_back({"JPEG", "jpeg", {0, 0, Kernel::cubic, 0, quality}});
  for (const double noise : {5.0, 10.0, 20.0})
    result.push_back({"noise", "noisy", {0, 0, Kernel::cubic, noise, 0}});
  for (const double blur : {1.0, 2.0})
    result.push_back({"blur", "blurry", {blur, blur, Kernel::cubic, 0, 0}});
  return result;
}

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

}  // namespace

std::vector<EvaluationRow> evaluate(Sampler &sampler, const std::vector<Picture> &pictures,
                                    const EvaluationSettings &settings) {
  torch::NoGradGuard no_grad;
  std::vector<EvaluationRow> rows;
  const auto add = [&](const std::string &name, const Enlarge &enlarge,
                       const Degradation &degradation = {}) {
    rows.push_back({name, measure(pictures, degradation, settings.inputs, enlarge)});
  };
  const auto model = [&sampler](SamplerSettings how) -> Enlarge {
    return [&sampler, how](const torch::Tensor &low_res) { return sampler.upscale(low_res, how); };
  };
  SamplerSettings how = settings.sampler;
  how.steps = unsigned(settings.steps.front());

  switch (settings.table) {
    case EvaluationTable::steps:
      add("bicubic", by_kernel(Kernel::cubic));
      add("lanczos", by_kernel(Kernel::lanczos));
      for (const int count : settings.steps) {
        how.steps = unsigned(count);
        add(std::to_string(count) + (count == 1 ? " step" : " steps"), model(how));
      }
      break;
    case EvaluationTable::faults:
      for (const Fault &fault : faults()) {
        const Degradation &d = fault.degradation;
        const std::string name =
            std::string(fault.name) + " " + number(d.jpeg_quality + d.noise + d.blur_x) + " ";
        add(name + "lanczos", by_kernel(Kernel::lanczos), d);
        for (const int level : {0, 20, 60, 120}) {
          how.noise_level = level;
          add(name + "level " + std::to_string(level), model(how), d);
        }
        how.noise_level = 0;
        how.prompt = fault.word;
        add(name + fault.word, model(how), d);
        how.prompt.clear();
      }
      break;
    case EvaluationTable::words:
      add("(empty)", model(how));
      for (const std::string &word : known_words()) {
        how.prompt = word;
        add(word, model(how));
      }
  }
  return rows;
}

}  // namespace livepeer::train
