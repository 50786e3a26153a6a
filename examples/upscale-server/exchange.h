#pragma once

#include <functional>
#include <string>

#include "answer.h"
#include "glib_ptr.h"

namespace upscale_server {

/// A request whose body has been read and whose answer is not known yet: keeps the HTTP message
/// paused, watches whether its client is still there and whether time is left, and sends progress
/// and the one answer. Lives on the main thread.
class Exchange {
 public:
  /// Pauses `message`. With `stream` the answer is a stream of server-sent events. `given_up` is
  /// called, once, if the exchange ends without settle(): the client left, or `max_seconds` (0: no
  /// limit) are over.
  Exchange(SoupServerMessage *message, bool stream, int max_seconds,
           std::function<void()> given_up);
  ~Exchange();
  Exchange(const Exchange &) = delete;
  Exchange &operator=(const Exchange &) = delete;

  SoupServerMessage *message() const { return message_.get(); }
  /// How much of the work is done: 0 when it begins.
  void progress(double fraction);
  /// The place in the queue, from 1.
  void waits(size_t place);
  /// Sends the answer. Does nothing where the exchange has ended.
  void settle(Answer answer);

 private:
  void end();
  void give_up(Answer answer);
  void append_event(const std::string &name, const std::string &data);

  static gboolean client_left(gint fd, GIOCondition condition, gpointer data);
  static gboolean time_is_up(gpointer data);
  static gboolean long_silent(gpointer data);
  static void message_finished(SoupServerMessage *message, gpointer data);

  MessagePtr message_;
  bool stream_;
  int max_seconds_;
  std::function<void()> given_up_;
  bool ended_ = false;
  guint client_watch_ = 0;
  guint timer_ = 0;
  guint pulse_ = 0;
  size_t place_ = 0;  ///< as told last
  gulong finished_handler_ = 0;
};

}  // namespace upscale_server
