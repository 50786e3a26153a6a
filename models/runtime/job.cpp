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
  const auto has_news = [&] { return on_step && fraction_ != seen; };
  for (;;) {
    changed_.wait(lock, [&] { return finished_ || has_news(); });
    const bool cancelled = finished_ && result_.outcome == JobResult::Outcome::cancelled;
    if (cancelled || !has_news()) return result_;
    seen = fraction_;
    const std::string step = step_;
    lock.unlock();
    on_step(seen, step);
    lock.lock();
  }
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
