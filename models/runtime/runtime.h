#pragma once

#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>

#include "runtime/model.h"
#include "runtime/model_cache.h"
#include "runtime/session.h"

namespace livepeer {

/// Opens sessions and owns their worker threads. Workers whose session is closed leave as soon as
/// they notice and are joined at the next open(), or when the runtime ends: at the latest when the
/// process exits, so that no thread runs into the destruction of the engine's libraries.
class Runtime {
 public:
  explicit Runtime(std::shared_ptr<ModelLoader> loader = nullptr);
  ~Runtime();  ///< stop()
  Runtime(const Runtime &) = delete;
  Runtime &operator=(const Runtime &) = delete;

  /// Closes what is open and joins all workers, before the end of the runtime: for a loader whose
  /// libraries are taken down earlier than that.
  void stop();

  /// The process's own.
  static Runtime &instance();

  /// Where sessions opened from now on get their models from.
  void set_loader(std::shared_ptr<ModelLoader> loader);

  /// ModelLoader::prepare() of the one that is set.
  std::optional<Error> prepare();

  /// Checks what is cheap, on this thread (throws what ModelLoader::check throws), and starts a
  /// worker that loads the model. The owner must close() the session.
  std::shared_ptr<Session> open(const ModelSpec &spec, const Limits &limits,
                                LoadObserver observer = {});

  /// Session::change_lora(), prepared on a worker of its own. Throws Error{init} where none can be
  /// started.
  void change_lora(const std::shared_ptr<Session> &session, std::string lora,
                   LoadObserver observer = {});

 private:
  struct Worker {
    std::shared_ptr<Session> session;
    std::thread thread;
    bool left = false;
  };
  std::shared_ptr<ModelLoader> loader();
  void start(const std::shared_ptr<Session> &session, std::function<void()> work);
  void reap();

  std::mutex mutex_;
  std::shared_ptr<ModelLoader> loader_;
  const std::shared_ptr<ModelCache> cache_ = std::make_shared<ModelCache>();
  std::list<Worker> workers_;
};

}  // namespace livepeer
