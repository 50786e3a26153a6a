#pragma once

#include <torch/types.h>

#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace livepeer {

/// Results that modules compute from an input which stays the same over many evaluations (keys and
/// values of a text, projections of a time embedding): computed once per module, then shared.
/// Thread-safe: networks are used by several sessions at once.
template <typename Value>
class Projections {
 public:
  explicit Projections(torch::Tensor input) : input_(std::move(input)) {}

  const torch::Tensor &input() const { return input_; }

  /// The result of `module` for input(); `project(input)` computes it the first time.
  template <typename Project>
  Value of(const void *module, Project project) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto known = values_.find(module);
    if (known != values_.end()) return known->second;
    return values_.emplace(module, project(input_)).first->second;
  }

 private:
  const torch::Tensor input_;
  std::mutex mutex_;
  std::map<const void *, Value> values_;
};

/// The most recently used Projections, found by the values (not the identity) of the tensors that
/// they depend on. Thread-safe.
template <typename Value>
class ProjectionCache {
 public:
  explicit ProjectionCache(size_t capacity) : capacity_(capacity) {}

  /// The projections that belong to `key`; where there are none yet, of the input that
  /// `make_input()` returns.
  template <typename MakeInput>
  std::shared_ptr<Projections<Value>> find(const std::vector<torch::Tensor> &key,
                                           MakeInput make_input) {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
      if (!equal(entry->key, key)) continue;
      entries_.splice(entries_.begin(), entries_, entry);
      return entries_.front().projections;
    }
    Entry entry;
    // Copies: the caller may reuse its tensors' memory.
    for (const auto &tensor : key) entry.key.push_back(tensor.clone());
    entry.projections = std::make_shared<Projections<Value>>(make_input());
    entries_.push_front(std::move(entry));
    if (entries_.size() > capacity_) entries_.pop_back();
    return entries_.front().projections;
  }

 private:
  struct Entry {
    std::vector<torch::Tensor> key;
    std::shared_ptr<Projections<Value>> projections;
  };

  static bool equal(const std::vector<torch::Tensor> &a, const std::vector<torch::Tensor> &b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
      if (a[i].scalar_type() != b[i].scalar_type() || a[i].device() != b[i].device() ||
          a[i].sizes() != b[i].sizes() || !at::equal(a[i], b[i]))
        return false;
    return true;
  }

  const size_t capacity_;
  std::mutex mutex_;
  std::list<Entry> entries_;
};

}  // namespace livepeer
