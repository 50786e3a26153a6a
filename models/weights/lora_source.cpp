#include "weights/lora_source.h"

#include <torch/utils.h>

#include <cmath>

#include "runtime/error.h"

namespace livepeer {
namespace {

[[noreturn]] void refuse(const LoraLayer &layer, const std::string &name,
                         const std::string &problem) {
  throw Error(ErrorKind::open_read,
              "The LoRA " + layer.file->path() + " cannot be used: what it has for " + name + " " +
                  problem + ". Fetch it again, or leave it out.",
              layer.file->path() + ": " + name);
}

/// Reads parts of a layer, in float32 on the device.
class Parts {
 public:
  Parts(const LoraLayer &layer, const std::string &name, const torch::Device &device)
      : layer_(layer), name_(name), device_(device) {}

  torch::Tensor read(const TensorEntry &entry) const {
    const auto values = read_tensor(*layer_.file, entry).to(torch::kFloat);
    if (!torch::isfinite(values).all().item<bool>())
      refuse(layer_, name_, "holds values that are not numbers or infinite");
    return values.to(device_);
  }
  double scale() const {
    std::optional<double> alpha = layer_.given_alpha;
    if (layer_.alpha) alpha = read(*layer_.alpha).item<double>();
    if (!alpha) return layer_.weight;
    const double rank = double(layer_.rank());
    return layer_.weight * *alpha / (layer_.root_of_rank ? std::sqrt(rank) : rank);
  }

 private:
  const LoraLayer &layer_;
  const std::string &name_;
  const torch::Device device_;
};

/// What a layer adds to `weight`, in its shape.
torch::Tensor change_of(const LoraLayer &layer, const std::string &name,
                        const torch::Tensor &weight) {
  const Parts parts(layer, name, weight.device());
  auto down = parts.read(*layer.down).flatten(1);
  const auto up = parts.read(*layer.up).flatten(1);
  if (layer.mid)  // [rank, rank, k, k] x [rank, in] -> [rank, in, k, k]
    down = torch::einsum("pqhw,qi->pihw", {parts.read(*layer.mid), down}).flatten(1);
  auto change = torch::matmul(up, down).view(weight.sizes()) * parts.scale();
  if (!layer.magnitude) return change;
  const auto sum = weight + change;
  std::vector<int64_t> sides(size_t(weight.dim()), 1);
  const int64_t kept = layer.by_column ? 1 : 0;
  sides[size_t(kept)] = weight.size(kept);
  const auto length = sum.transpose(0, kept).flatten(1).norm(2, {1}, /*keepdim=*/false).view(sides);
  return sum * (parts.read(*layer.magnitude).view(sides) / length) - weight;
}

}  // namespace

torch::Tensor LoraSource::get(std::initializer_list<std::string> names, at::IntArrayRef shape) {
  const auto weight = base_.get(names, shape);
  if (!options_.lora) return weight;
  for (const std::string &name : names) {
    const auto layers = options_.lora->find(name);
    if (layers == options_.lora->end()) continue;
    auto sum = weight.clone();
    for (const LoraLayer &layer : layers->second) sum.add_(change_of(layer, name, weight));
    auto result = sum.to(options_.dtype);
    if (!torch::isfinite(result).all().item<bool>())
      refuse(layers->second.back(), name,
             std::string("makes numbers that are not finite in ") + c10::toString(options_.dtype));
    return result;
  }
  return weight;
}

}  // namespace livepeer
