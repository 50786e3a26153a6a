#include "weights/shared_parameters.h"

#include <torch/utils.h>

namespace livepeer {

torch::Tensor SharedParameters::find(const std::string &key) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = entries_.find(key);
  if (found == entries_.end()) return {};
  const Entry &entry = found->second;
  auto storage = entry.storage.lock();
  if (!storage) return {};
  return torch::empty({0}, entry.options)
      .set_(c10::Storage(std::move(storage)), 0, entry.sizes, entry.strides);
}

void SharedParameters::add(const std::string &key, const torch::Tensor &tensor) {
  if (tensor.storage_offset() != 0 || tensor.storage().nbytes() != tensor.nbytes()) return;
  const std::lock_guard<std::mutex> lock(mutex_);
  forget_the_dead();
  entries_.insert_or_assign(key, Entry{tensor.storage().getWeakStorageImpl(), tensor.sizes().vec(),
                                       tensor.strides().vec(), tensor.options()});
}

void SharedParameters::forget_the_dead() {
  if (entries_.size() <= 2 * enough_ + 1000) return;
  for (auto entry = entries_.begin(); entry != entries_.end();)
    entry = entry->second.storage.expired() ? entries_.erase(entry) : std::next(entry);
  enough_ = entries_.size();
}

}  // namespace livepeer
