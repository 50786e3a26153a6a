#include "kernels/elementwise.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/elementwise_loops.h"

namespace livepeer::kernels {
namespace {

using elementwise_loops::Loops;

/// Rows (pixels) summed up by one task. Fixed, so that sums do not depend on the thread count.
constexpr int64_t rows_per_task = 512;

/// Work below this many elements is not worth another thread.
constexpr int64_t grain_elements = 1 << 15;

template <typename Function>
void for_type(const torch::Tensor &x, Function function) {
  if (x.scalar_type() == torch::kBFloat16)
    function(reinterpret_cast<const BFloat16 *>(x.data_ptr()), BFloat16());
  else
    function(x.data_ptr<float>(), float());
}

template <typename T>
T *output(torch::Tensor &x) {
  return reinterpret_cast<T *>(x.data_ptr());
}

/// Calls function(x's data, a value of the result's type).
template <typename Function>
void for_types(const torch::Tensor &x, const torch::Tensor &result, Function function) {
  for_type(x, [&](const auto *in, auto type) {
    if (result.scalar_type() == x.scalar_type())
      function(in, type);
    else if constexpr (std::is_same_v<decltype(type), float>)
      function(in, BFloat16());
  });
}

int64_t grain(int64_t elements_per_item) {
  return std::max<int64_t>(1, grain_elements / std::max<int64_t>(1, elements_per_item));
}

/// Per channel: y = scale * x + shift does what the norm says for one sample.
struct Affine {
  std::vector<float> scale, shift;
};

/// From the sums over one sample's pixels of d = x - first pixel and d^2, and the shape. `offset`
/// may be null.
Affine fold_norm(const std::vector<double> &sums, const float *first, const float *offset,
                 const float *weight, const float *bias, int64_t pixels, int64_t channels,
                 int64_t groups, double eps) {
  Affine affine{std::vector<float>(size_t(channels)), std::vector<float>(size_t(channels))};
  const int64_t width = channels / groups;
  for (int64_t group = 0; group < groups; ++group) {
    const int64_t begin = group * width, end = begin + width;
    const auto mean_of = [&](int64_t c) {
      return sums[size_t(c)] / double(pixels) + double(first[c]) + (offset ? offset[c] : 0.0);
    };
    double mean = 0;
    for (int64_t c = begin; c < end; ++c) mean += mean_of(c);
    mean /= double(width);
    double squares = 0;
    for (int64_t c = begin; c < end; ++c) {
      const double sum = sums[size_t(c)], deviation = mean_of(c) - mean;
      squares += sums[size_t(channels + c)] - sum * sum / double(pixels) +
                 double(pixels) * deviation * deviation;
    }
    const double variance = std::max(0.0, squares / double(pixels * width));
    // Not std::max: that would turn NaN into 0.
    const double rstd = 1 / std::sqrt((std::isnan(squares) ? squares : variance) + eps);
    for (int64_t c = begin; c < end; ++c) {
      affine.scale[size_t(c)] = float(rstd * weight[c]);
      affine.shift[size_t(c)] =
          float(bias[c] + ((offset ? offset[c] : 0.0) - mean) * rstd * weight[c]);
    }
  }
  return affine;
}

/// `x` and `result`, which may be one tensor, in channels-last order.
void normalise_groups(const torch::Tensor &x, const torch::Tensor &offset_,
                      const torch::Tensor &weight_, const torch::Tensor &bias_, int64_t groups,
                      double eps, bool silu, torch::Tensor &result) {
  const auto weight = weight_.to(torch::kFloat).contiguous(),
             bias = bias_.to(torch::kFloat).contiguous();
  const auto offset = offset_.defined() ? offset_.to(torch::kFloat).contiguous() : torch::Tensor();
  const int64_t batch = x.size(0), channels = x.size(1), pixels = x.size(2) * x.size(3);
  const int64_t tasks = (pixels + rows_per_task - 1) / rows_per_task;
  const auto first = x.select(3, 0).select(2, 0).to(torch::kFloat).contiguous();

  for_types(x, result, [&](const auto *in, auto type) {
    using T = decltype(type);
    const auto rows_of = [&](int64_t task) {
      return std::min(rows_per_task, pixels - task * rows_per_task);
    };
    std::vector<std::vector<double>> partial{size_t(batch * tasks)};
    at::parallel_for(0, batch * tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t sample = i / tasks, task = i % tasks;
        partial[size_t(i)].resize(size_t(2 * channels));
        at_loop_level([&](auto level) {
          Loops<level()>::sum_and_squares(in + (sample * pixels + task * rows_per_task) * channels,
                                          first.data_ptr<float>() + sample * channels,
                                          rows_of(task), channels, partial[size_t(i)].data());
        });
      }
    });
    std::vector<Affine> affine;
    for (int64_t sample = 0; sample < batch; ++sample) {
      auto &sums = partial[size_t(sample * tasks)];
      for (int64_t task = 1; task < tasks; ++task)
        for (size_t c = 0; c < sums.size(); ++c)
          sums[c] += partial[size_t(sample * tasks + task)][c];
      affine.push_back(fold_norm(
          sums, first.data_ptr<float>() + sample * channels,
          offset.defined() ? offset.data_ptr<float>() + sample * channels : nullptr,
          weight.data_ptr<float>(), bias.data_ptr<float>(), pixels, channels, groups, eps));
    }
    at::parallel_for(0, batch * tasks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t sample = i / tasks, task = i % tasks;
        const int64_t start = (sample * pixels + task * rows_per_task) * channels;
        const auto &map = affine[size_t(sample)];
        at_loop_level([&](auto level) {
          Loops<level()>::affine(in + start, map.scale.data(), map.shift.data(), rows_of(task),
                                 channels, silu, output<T>(result) + start);
        });
      }
    });
  });
}

}  // namespace

torch::Tensor group_norm(const torch::Tensor &x_, const torch::Tensor &offset,
                         const torch::Tensor &weight, const torch::Tensor &bias, int64_t groups,
                         double eps, bool silu) {
  const auto x = x_.contiguous(at::MemoryFormat::ChannelsLast);
  auto result = torch::empty(x.sizes(), weight.options(), at::MemoryFormat::ChannelsLast);
  normalise_groups(x, offset, weight, bias, groups, eps, silu, result);
  return result;
}

void group_norm_(torch::Tensor &x, const torch::Tensor &offset, const torch::Tensor &weight,
                 const torch::Tensor &bias, int64_t groups, double eps, bool silu) {
  normalise_groups(x, offset, weight, bias, groups, eps, silu, x);
}

torch::Tensor layer_norm(const torch::Tensor &x_, const torch::Tensor &weight_,
                         const torch::Tensor &bias_, double eps) {
  const auto x = x_.contiguous();
  const auto weight = weight_.to(torch::kFloat).contiguous(),
             bias = bias_.to(torch::kFloat).contiguous();
  const int64_t channels = x.size(-1), count = x.numel() / channels;
  auto result = torch::empty(x.sizes(), weight_.options());
  for_types(x, result, [&](const auto *in, auto type) {
    using T = decltype(type);
    at::parallel_for(0, count, grain(channels), [&](int64_t begin, int64_t end) {
      at_loop_level([&](auto level) {
        Loops<level()>::layer_norm(in + begin * channels, weight.data_ptr<float>(),
                                   bias.data_ptr<float>(), float(eps), end - begin, channels,
                                   output<T>(result) + begin * channels);
      });
    });
  });
  return result;
}

torch::Tensor add(const torch::Tensor &branch, const torch::Tensor &x) {
  if (!branch.is_non_overlapping_and_dense() || branch.strides() != x.strides())
    return branch.to(torch::kFloat).add_(x);
  auto result = torch::empty_like(branch, branch.options().dtype(torch::kFloat));
  for_type(x, [&](const auto *in, auto) {
    at::parallel_for(0, x.numel(), grain_elements, [&](int64_t begin, int64_t end) {
      at_loop_level([&](auto level) {
        Loops<level()>::add(reinterpret_cast<const BFloat16 *>(branch.data_ptr()) + begin,
                            in + begin, end - begin, result.data_ptr<float>() + begin);
      });
    });
  });
  return result;
}

Exponentials exponentials_(torch::Tensor &x) {
  const int64_t width = x.size(-1), count = x.numel() / width;
  auto sizes = x.sizes().vec();
  sizes.back() = 1;
  const auto options = x.options().dtype(torch::kFloat);
  Exponentials rows{torch::empty(sizes, options), torch::empty(sizes, options)};
  for_type(x, [&](const auto *, auto type) {
    using T = decltype(type);
    at::parallel_for(0, count, grain(width), [&](int64_t begin, int64_t end) {
      at_loop_level([&](auto level) {
        Loops<level()>::exponentials(output<T>(x) + begin * width, end - begin, width,
                                     rows.sums.data_ptr<float>() + begin,
                                     rows.maxima.data_ptr<float>() + begin);
      });
    });
  });
  return rows;
}

torch::Tensor geglu(const torch::Tensor &x_) {
  const auto x = x_.contiguous();
  const int64_t width = x.size(-1) / 2, count = x.numel() / (2 * width);
  auto sizes = x.sizes().vec();
  sizes.back() = width;
  auto result = torch::empty(sizes, x.options());
  for_type(x, [&](const auto *in, auto type) {
    using T = decltype(type);
    at::parallel_for(0, count, grain(width), [&](int64_t begin, int64_t end) {
      at_loop_level([&](auto level) {
        Loops<level()>::geglu(in + begin * 2 * width, end - begin, width,
                              output<T>(result) + begin * width);
      });
    });
  });
  return result;
}

torch::Tensor upsample_nearest(const torch::Tensor &x_, int64_t height, int64_t width) {
  const auto x = x_.contiguous(at::MemoryFormat::ChannelsLast);
  const int64_t batch = x.size(0), channels = x.size(1), in_height = x.size(2),
                in_width = x.size(3);
  auto result =
      torch::empty({batch, channels, height, width}, x.options(), at::MemoryFormat::ChannelsLast);
  const size_t pixel = size_t(channels) * x.element_size();
  const auto *in = static_cast<const char *>(x.data_ptr());
  auto *out = static_cast<char *>(result.data_ptr());
  at::parallel_for(0, batch * height, grain(width * channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t sample = i / height, y = (i % height) * in_height / height;
      const char *source = in + size_t((sample * in_height + y) * in_width) * pixel;
      char *target = out + size_t(i * width) * pixel;
      for (int64_t column = 0; column < width; ++column)
        std::memcpy(target + size_t(column) * pixel,
                    source + size_t(column * in_width / width) * pixel, pixel);
    }
  });
  return result;
}

}  // namespace livepeer::kernels
