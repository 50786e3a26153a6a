#pragma once

#include <gst/video/video.h>

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "gstlivepeersettings.h"
#include "runtime/job.h"

struct BufferUnref {
  void operator()(GstBuffer *buffer) const { gst_buffer_unref(buffer); }
};
using BufferPtr = std::unique_ptr<GstBuffer, BufferUnref>;

struct EventUnref {
  void operator()(GstEvent *event) const { gst_event_unref(event); }
};
using EventPtr = std::unique_ptr<GstEvent, EventUnref>;

/// A frame between the pads: the job computes, the rest is what the output inherits.
struct Pending {
  BufferPtr input;  // timestamps, flags and metas of the input buffer, not its memory
  // The input's, of as many bytes a number as the job's pixels; empty where its format has none.
  livepeer::Bytes alpha;
  livepeer::Frame hidden;  // what was taken from the pixels where alpha hides them; maybe empty
  GstSegment segment;
  GstClockTime running_time;
  GstClockTime latency;  // that of the pipeline, as far as it was known
  std::shared_ptr<const Settings> settings;
  std::shared_ptr<livepeer::Job> job;
};

/// Frames, and the serialized events between them, from the sink pad to the source pad's task, in
/// order. One answer, downstream's to the newest frame, is what all sides obey: EOS and ERROR stay,
/// any other is told once; either way the frames that wait are dropped, their jobs cancelled, and
/// only events still pass. While it is closed every call returns at once.
class Fifo {
 public:
  struct Item {
    EventPtr event;  // null: a frame
    std::unique_ptr<Pending> frame;
    unsigned opening = 0;
  };

  /// With the pad of the task; only an active one can be opened, and it is then.
  void activate();
  std::vector<EventPtr> deactivate();
  /// Empty, and without an answer; false while inactive. The task must not be inside an item,
  /// unless it is the caller.
  bool open();
  /// Ends every wait, and drops everything. Returns the events, which may have to be remembered.
  std::vector<EventPtr> close();
  bool is_open() const;

  // The sink side.
  /// FLUSHING while closed, else the answer; for whoever is about to take a frame in.
  GstFlowReturn answer();
  /// Waits until fewer than `limit` frames, this one included, are in here or in the task's hands.
  /// Returns answer().
  GstFlowReturn push(std::unique_ptr<Pending> frame, size_t limit);
  /// Waits while kMostEvents or more, this one included, are in here, unless it is the task that
  /// pushes. False when closed. A new stream or segment ends the answer EOS.
  bool push(EventPtr event);
  /// Waits until the task has nothing left to do; false when closed.
  bool drain();
  /// As if downstream had given this answer.
  void fail(GstFlowReturn flow);

  // The task.
  /// Waits for the next item; none when closed.
  std::optional<Item> take();
  /// The item is dealt with; `flow`: what downstream said to a frame.
  void done(const Item &item, GstFlowReturn flow);

  static constexpr size_t kMostEvents = 64;

 private:
  using Frames = std::vector<std::unique_ptr<Pending>>;
  Frames settle(GstFlowReturn flow);
  static void cancel(const Frames &frames);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Item> items_;
  bool active_ = false;
  bool open_ = false;
  unsigned opening_ = 0;  // counts open(), so that done() cannot answer for an earlier stream
  bool busy_ = false;     // the task is inside an item
  std::thread::id task_;  // who takes
  size_t frames_ = 0;     // in items_, and in the task's hands
  size_t events_ = 0;     // in items_
  GstFlowReturn answer_ = GST_FLOW_OK;
};
