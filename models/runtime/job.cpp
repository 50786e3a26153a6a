#include "runtime/job.h"

#include <utility>

namespace livepeer {

Progress::Report Job::reporter() {
  return [this](double fraction, const std::string &what) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      fraction_ = fraction;
      step_ = what;
    }
    changed_.notify_all();
  };
}

const JobResult &Job::wait(const Progress::Report &on_step) {
  std::unique_lock<std::mutex> lock(mutex_);
  double seen = 0;
  while (!finished_) {
    changed_.wait(lock, [&] { return finished_ || (on_step && fraction_ != seen); });
    if (finished_) break;
    seen = fraction_;
    const std::string step = step_;
    lock.unlock();
    on_step(seen, step);
    lock.lock();
  }
  return result_;
}

bool Job::finished() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return finished_;
}

void Job::cancel() {
  progress_.cancel();
  finish({});
}

bool Job::finish(JobResult result) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (finished_) return false;
    finished_ = true;
    result_ = std::move(result);
  }
  changed_.notify_all();
  return true;
}

}  // namespace livepeer
