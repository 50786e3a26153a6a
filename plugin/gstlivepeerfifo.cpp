#include "gstlivepeerfifo.h"

#include <utility>

namespace {

/// Whether frames have a new chance behind this event although downstream was at its end.
bool revives(GstEvent *event) {
  return GST_EVENT_TYPE(event) == GST_EVENT_SEGMENT ||
         GST_EVENT_TYPE(event) == GST_EVENT_STREAM_START;
}

}  // namespace

void Fifo::activate() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    active_ = true;
  }
  open();
}

std::vector<EventPtr> Fifo::deactivate() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    active_ = false;
  }
  return close();
}

bool Fifo::open() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!active_) return false;
  open_ = true;
  ++opening_;
  busy_ = false;
  frames_ = 0;
  events_ = 0;
  answer_ = GST_FLOW_OK;
  return true;
}

std::vector<EventPtr> Fifo::close() {
  std::deque<Item> items;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    open_ = false;
    items.swap(items_);
  }
  changed_.notify_all();
  std::vector<EventPtr> events;
  for (Item &item : items) {
    if (item.event)
      events.push_back(std::move(item.event));
    else
      item.frame->job->cancel();
  }
  return events;
}

bool Fifo::is_open() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return open_;
}

GstFlowReturn Fifo::answer() {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!open_) return GST_FLOW_FLUSHING;
  const bool stays = answer_ == GST_FLOW_EOS || answer_ == GST_FLOW_ERROR;
  return stays ? answer_ : std::exchange(answer_, GST_FLOW_OK);
}

GstFlowReturn Fifo::push(std::unique_ptr<Pending> frame, size_t limit) {
  {
    std::unique_lock<std::mutex> lock(mutex_);
    if (open_ && answer_ == GST_FLOW_OK) {
      items_.push_back({nullptr, std::move(frame), 0});
      ++frames_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return !open_ || answer_ != GST_FLOW_OK || frames_ < limit; });
    }
  }
  if (frame) frame->job->cancel();
  return answer();
}

bool Fifo::push(EventPtr event) {
  std::unique_lock<std::mutex> lock(mutex_);
  if (!open_) return false;
  if (revives(event.get()) && answer_ == GST_FLOW_EOS) answer_ = GST_FLOW_OK;
  items_.push_back({std::move(event), nullptr, 0});
  ++events_;
  changed_.notify_all();
  // Downstream may answer an item with an event to the sink pad, from the task's own thread.
  if (std::this_thread::get_id() != task_)
    changed_.wait(lock, [this] { return !open_ || events_ < kMostEvents; });
  return open_;
}

bool Fifo::drain() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return !open_ || (items_.empty() && !busy_); });
  return open_;
}

void Fifo::fail(GstFlowReturn flow) {
  Frames dropped;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (open_) dropped = settle(flow);
  }
  changed_.notify_all();
  cancel(dropped);
}

std::optional<Fifo::Item> Fifo::take() {
  std::unique_lock<std::mutex> lock(mutex_);
  task_ = std::this_thread::get_id();
  changed_.wait(lock, [this] { return !open_ || !items_.empty(); });
  if (!open_) return {};
  Item item = std::move(items_.front());
  items_.pop_front();
  if (item.event) --events_;
  item.opening = opening_;
  busy_ = true;
  return item;
}

void Fifo::done(const Item &item, GstFlowReturn flow) {
  Frames dropped;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (!open_ || item.opening != opening_) return;
    busy_ = false;
    if (item.frame) {
      --frames_;
      dropped = settle(flow);
    }
  }
  changed_.notify_all();
  cancel(dropped);
}

/// Takes the answer, and out of the queue the frames that nobody wants any more: all, but at the
/// end of a stream only those of that stream. To be cancelled without the lock.
Fifo::Frames Fifo::settle(GstFlowReturn flow) {
  Frames dropped;
  if (flow == GST_FLOW_OK || answer_ == GST_FLOW_ERROR) return dropped;
  answer_ = flow;
  std::deque<Item> kept;
  for (Item &item : items_) {
    const bool wanted = item.event || answer_ == GST_FLOW_OK;
    if (item.event && flow == GST_FLOW_EOS && revives(item.event.get())) answer_ = GST_FLOW_OK;
    if (wanted)
      kept.push_back(std::move(item));
    else
      dropped.push_back(std::move(item.frame));
  }
  items_.swap(kept);
  frames_ -= dropped.size();
  return dropped;
}

void Fifo::cancel(const Frames &frames) {
  for (const auto &frame : frames) frame->job->cancel();
}
