#include "weights/component_source.h"

namespace livepeer {

ComponentSource::ComponentSource(std::vector<std::shared_ptr<const WeightsFile>> files,
                                 WeightOptions options)
    : options_(std::move(options)),
      files_(std::move(files), options_),
      changed_(files_, options_) {}

torch::Tensor ComponentSource::get(std::initializer_list<std::string> names,
                                   at::IntArrayRef shape) {
  if (!options_.shared) return changed_.get(names, shape);
  const std::string key = key_of(*names.begin());
  auto tensor = options_.shared->parameters->find(key);
  if (tensor.defined() && tensor.sizes() == shape) {
    if (options_.on_read) options_.on_read(tensor.nbytes());
    return tensor;
  }
  tensor = changed_.get(names, shape);
  options_.shared->parameters->add(key, tensor);
  return tensor;
}

std::string ComponentSource::key_of(const std::string &name) const {
  const bool is_changed = options_.lora && options_.lora->count(name);
  return options_.shared->component + "|" + name + "|" +
         (is_changed ? options_.shared->lora : std::string());
}

}  // namespace livepeer
