#include "runtime/model_cache.h"

#include "runtime/error.h"

namespace livepeer {

std::shared_ptr<UpscaleModel> ModelCache::acquire(const CheckedModel &checked,
                                                  const ModelSpec &spec, ModelLoader &loader,
                                                  Progress &progress) {
  const std::string &key = checked.identity;
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    if (progress.cancelled()) throw Error(ErrorKind::cancelled, "cancelled");
    Entry &entry = entries_[key];
    if (auto model = entry.model.lock()) return model;
    if (!entry.loading) break;
    changed_.wait(lock);  // the predicate is the loop: model there, load over, or cancelled
  }
  entries_[key].loading = true;
  lock.unlock();

  // No lock while loading. If this load fails or is cancelled, the next in line tries for itself.
  std::shared_ptr<UpscaleModel> model;
  const auto leave = [&] {
    lock.lock();
    if (model)
      entries_[key] = {model, false};
    else
      entries_.erase(key);
    lock.unlock();
    changed_.notify_all();
  };
  try {
    model = loader.load(spec, checked.opened, progress);
  } catch (...) {
    leave();
    throw;
  }
  leave();
  return model;
}

void ModelCache::wake() {
  // Taking the lock orders the cancel before the waiter's next look at it.
  { std::lock_guard<std::mutex> lock(mutex_); }
  changed_.notify_all();
}

}  // namespace livepeer
