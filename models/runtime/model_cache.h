#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "runtime/model.h"

namespace livepeer {

/// Loaded models by the identity that ModelLoader::check gave them. Holds no model alive: the last
/// session that lets go of one frees it.
class ModelCache {
 public:
  /// The model of this identity: the one in use, or the one being loaded by another session, or a
  /// fresh one. Throws what the loader throws, and Error{cancelled} within the loader's next
  /// advance() or, while waiting for another session's load, at wake().
  std::shared_ptr<UpscaleModel> acquire(const CheckedModel &checked, const ModelSpec &spec,
                                        ModelLoader &loader, Progress &progress);
  /// Makes waiting acquire() calls look at their Progress again. Call after cancelling one.
  void wake();

 private:
  struct Entry {
    std::weak_ptr<UpscaleModel> model;
    bool loading = false;
  };
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, Entry> entries_;
};

}  // namespace livepeer
