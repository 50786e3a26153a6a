#include "kernels/conv3x3_fused.h"

#include <ATen/Parallel.h>

#include "kernels/conv3x3_fused_bf16_loops.h"
#include "kernels/conv3x3_fused_f32_loops.h"
#include "kernels/tensors.h"

namespace livepeer::kernels {
namespace {

namespace bf16_loops = conv3x3_fused_bf16_loops;
namespace f32_loops = conv3x3_fused_f32_loops;
using conv3x3_fused::lane_channels;

int64_t rounded_up(int64_t channels) {
  return (channels + lane_channels - 1) / lane_channels * lane_channels;
}

template <typename Number>
Number *numbers(const torch::Tensor &x) {
  return x.defined() ? static_cast<Number *>(x.data_ptr()) : nullptr;
}

/// `scratch_bytes`, `row_pair`: of one kind of loops.
template <typename Number>
void convolve(const torch::Tensor &x, const torch::Tensor &weight, const torch::Tensor &result,
              const FusedConv3x3::Options &options, const float *scale, const float *shift,
              int64_t scratch_bytes,
              void (*row_pair)(const conv3x3_fused::Convolution<Number> &, int64_t, void *)) {
  conv3x3_fused::Convolution<Number> conv{};
  conv.input = numbers<Number>(x);
  conv.weight = numbers<Number>(weight);
  conv.height = x.size(2);
  conv.width = x.size(3);
  conv.in = x.size(1);
  conv.out = result.size(1);
  conv.epilogue = {scale, shift, numbers<Number>(options.residual), options.relu};
  if (options.to_float)
    conv.output_float = numbers<float>(result);
  else
    conv.output = numbers<Number>(result);
  at::parallel_for(0, (conv.height + 1) / 2, 1, [&](int64_t begin, int64_t end) {
    const auto scratch = torch::empty({scratch_bytes}, torch::kByte);
    for (int64_t pair = begin; pair < end; ++pair) row_pair(conv, pair, scratch.data_ptr());
  });
}

}  // namespace

bool FusedConv3x3::can(const torch::Tensor &weight) {
  if (!takes_kernels(weight) || weight.requires_grad()) return false;
  if (weight.size(0) % lane_channels != 0) return false;
  return weight.scalar_type() == torch::kFloat || cpu_level() >= CpuLevel::avx512_bf16;
}

FusedConv3x3::FusedConv3x3(const torch::Tensor &weight, const torch::Tensor &bias)
    : in_(rounded_up(weight.size(1))),
      out_(weight.size(0)),
      weight_(torch::empty({conv3x3_fused::positions * in_ * out_}, weight.scalar_type())),
      bias_(bias.to(torch::kFloat).contiguous()) {
  const auto padded =
      at::constant_pad_nd(weight.to(torch::kFloat), {0, 0, 0, 0, 0, in_ - weight.size(1)})
          .contiguous();
  if (weight.scalar_type() == torch::kFloat)
    at_loop_level([&](auto level) {
      f32_loops::Loops<level()>::transform_weight(padded.data_ptr<float>(), in_, out_,
                                                  numbers<float>(weight_));
    });
  else
    bf16_loops::transform_weight(padded.data_ptr<float>(), in_, out_, numbers<BFloat16>(weight_));
}

torch::Tensor FusedConv3x3::operator()(const torch::Tensor &x, const Options &options) const {
  const auto type = weight_.scalar_type();
  TORCH_CHECK(x.scalar_type() == type && x.size(0) == 1 && x.size(1) == in_ &&
                  x.is_contiguous(at::MemoryFormat::ChannelsLast),
              "expected ", type, " [1, ", in_, ", h, w] in channels-last order, got ",
              x.scalar_type(), " ", x.sizes());
  torch::Tensor result = options.into;
  if (!result.defined())
    result = torch::empty({1, out_, x.size(2), x.size(3)},
                          x.options().dtype(options.to_float ? torch::kFloat : type),
                          at::MemoryFormat::ChannelsLast);
  const auto factor =
      options.factor.defined() ? options.factor.contiguous() : torch::ones({out_}, torch::kFloat);
  auto shift = bias_ * factor;
  if (options.shift.defined()) shift.add_(options.shift);

  const float *const scales = factor.data_ptr<float>(), *const shifts = shift.data_ptr<float>();
  if (type == torch::kFloat)
    at_loop_level([&](auto level) {
      convolve(x, weight_, result, options, scales, shifts, f32_loops::scratch_bytes(in_, out_),
               f32_loops::Loops<level()>::row_pair);
    });
  else
    convolve(x, weight_, result, options, scales, shifts, bf16_loops::scratch_bytes(in_, out_),
             bf16_loops::row_pair);
  return result;
}

}  // namespace livepeer::kernels
