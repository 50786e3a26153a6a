#include "kernels/conv3x3_bf16.h"

#include <ATen/Parallel.h>

#include "kernels/tensors.h"

namespace livepeer::kernels {
namespace {

namespace loops = conv3x3_bf16_loops;

int64_t rounded_up(int64_t channels) {
  return (channels + loops::lane_channels - 1) / loops::lane_channels * loops::lane_channels;
}

}  // namespace

bool Conv3x3BF16::can(int64_t in, int64_t out) {
  return loops::available() && in % loops::lane_channels == 0 && out % loops::lane_channels == 0;
}

Conv3x3BF16::Conv3x3BF16(const torch::Tensor &weight, const torch::Tensor &bias)
    : in_(rounded_up(weight.size(1))),
      out_(weight.size(0)),
      weight_(size_t(loops::positions * in_ * out_)),
      bias_(bias.to(torch::kFloat).contiguous()) {
  const auto padded =
      at::constant_pad_nd(weight.to(torch::kFloat), {0, 0, 0, 0, 0, in_ - weight.size(1)})
          .contiguous();
  loops::transform_weight(padded.data_ptr<float>(), in_, out_, weight_.data());
}

torch::Tensor Conv3x3BF16::operator()(const torch::Tensor &x, const Options &options) const {
  TORCH_CHECK(x.scalar_type() == torch::kBFloat16 && x.size(0) == 1 && x.size(1) == in_ &&
                  x.is_contiguous(at::MemoryFormat::ChannelsLast),
              "expected bfloat16 [1, ", in_, ", h, w] in channels-last order, got ",
              x.scalar_type(), " ", x.sizes());
  const auto type = options.to_float ? torch::kFloat : torch::kBFloat16;
  torch::Tensor result = options.into;
  if (!result.defined())
    result = torch::empty({1, out_, x.size(2), x.size(3)}, x.options().dtype(type),
                          at::MemoryFormat::ChannelsLast);
  const auto factor =
      options.factor.defined() ? options.factor.contiguous() : torch::ones({out_}, torch::kFloat);
  auto shift = bias_ * factor;
  if (options.shift.defined()) shift.add_(options.shift);

  loops::Convolution conv{};
  conv.input = bits(x);
  conv.weight = weight_.data();
  conv.height = x.size(2);
  conv.width = x.size(3);
  conv.in = in_;
  conv.out = out_;
  conv.epilogue = {factor.data_ptr<float>(), shift.data_ptr<float>(),
                   options.residual.defined() ? bits(options.residual) : nullptr, options.relu};
  conv.output = options.to_float ? nullptr : bits(result);
  conv.output_float = options.to_float ? result.data_ptr<float>() : nullptr;
  at::parallel_for(0, (conv.height + 1) / 2, 1, [&](int64_t begin, int64_t end) {
    const auto scratch = torch::empty({loops::scratch_bytes(in_, out_)}, torch::kByte);
    for (int64_t pair = begin; pair < end; ++pair) loops::row_pair(conv, pair, scratch.data_ptr());
  });
  return result;
}

}  // namespace livepeer::kernels
