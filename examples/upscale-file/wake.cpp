#include "wake.h"

#include <signal.h>
#include <unistd.h>

#include <thread>

namespace upscale_file {

void Wake::take_signals() {
  sigset_t wanted;
  sigemptyset(&wanted);
  sigaddset(&wanted, SIGINT);
  sigaddset(&wanted, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &wanted, nullptr);
  std::thread([this, wanted] {
    for (;;) {
      int number = 0;
      if (sigwait(&wanted, &number) != 0) continue;
      if (signal()) _exit(128 + number);
      {
        std::lock_guard<std::mutex> lock(mutex_);
        signal_ = number;
      }
      wake();
    }
  }).detach();
}

int Wake::signal() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return signal_;
}

void Wake::wake() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    awake_ = true;
  }
  woken_.notify_one();
}

void Wake::wait(std::chrono::milliseconds longest) {
  std::unique_lock<std::mutex> lock(mutex_);
  woken_.wait_for(lock, longest, [this] { return awake_; });
  awake_ = false;
}

}  // namespace upscale_file
