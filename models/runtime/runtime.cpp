#include "runtime/runtime.h"

#include <system_error>
#include <utility>

#include "runtime/error.h"

namespace livepeer {

Runtime::Runtime(std::shared_ptr<ModelLoader> loader) : loader_(std::move(loader)) {}

Runtime::~Runtime() { stop(); }

void Runtime::stop() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Worker &worker : workers_) worker.session->close();
  }
  // Workers look at workers_ when they leave, so it stays as it is until all have.
  for (Worker &worker : workers_) worker.thread.join();
  workers_.clear();
}

Runtime &Runtime::instance() {
  static Runtime runtime;
  return runtime;
}

void Runtime::set_loader(std::shared_ptr<ModelLoader> loader) {
  std::lock_guard<std::mutex> lock(mutex_);
  loader_ = std::move(loader);
}

std::shared_ptr<ModelLoader> Runtime::loader() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!loader_) throw Error(ErrorKind::init, "No engine is installed to load models with");
  return loader_;
}

std::optional<Error> Runtime::prepare() { return loader()->prepare(); }

std::shared_ptr<Session> Runtime::open(const ModelSpec &spec, const Limits &limits,
                                       LoadObserver observer) {
  reap();
  const std::shared_ptr<ModelLoader> from = loader();
  auto session =
      std::make_shared<Session>(spec, limits, from->check(spec), from, cache_, std::move(observer));
  start(session, [session] { session->run(); });
  return session;
}

void Runtime::change_lora(const std::shared_ptr<Session> &session, std::string lora,
                          LoadObserver observer) {
  reap();
  auto change = session->change_lora(std::move(lora), std::move(observer));
  start(session, [session, change] { session->prepare(change); });
}

void Runtime::start(const std::shared_ptr<Session> &session, std::function<void()> work) {
  std::lock_guard<std::mutex> lock(mutex_);
  workers_.emplace_back();
  Worker &worker = workers_.back();
  worker.session = session;
  try {
    worker.thread = std::thread([this, work = std::move(work), &worker] {
      work();
      std::lock_guard<std::mutex> done(mutex_);
      worker.left = true;
    });
  } catch (const std::system_error &error) {
    workers_.pop_back();
    throw Error(ErrorKind::init, "No thread can be started; end other programs", error.what());
  }
}

void Runtime::reap() {
  std::list<Worker> left;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (auto worker = workers_.begin(); worker != workers_.end();) {
      const auto next = std::next(worker);
      if (worker->left) left.splice(left.end(), workers_, worker);
      worker = next;
    }
  }
  for (Worker &worker : left) worker.thread.join();
}

}  // namespace livepeer
