#include "nn/output_observer.h"

namespace livepeer {
namespace {

thread_local OutputObserver *current_observer = nullptr;

}  // namespace

OutputObserver::OutputObserver(Callback callback)
    : callback_(std::move(callback)), outer_(current_observer) {
  current_observer = this;
}

OutputObserver::~OutputObserver() { current_observer = outer_; }

bool OutputObserver::active() { return current_observer != nullptr; }

void OutputObserver::report(const std::string &path, const torch::Tensor &output) {
  if (current_observer) current_observer->callback_(path, output);
}

}  // namespace livepeer
