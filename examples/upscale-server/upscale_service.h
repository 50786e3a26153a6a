#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "exchange.h"
#include "request_log.h"
#include "upscale_job.h"

namespace upscale_server {

/// POST /upscale: refuses what cannot be served before the body is read, then checks the form, and
/// works on at most `workers` pictures while at most `queue` wait. Lives on the main thread; the
/// pictures are worked on by a thread each.
class UpscaleService {
 public:
  UpscaleService(const Options &options, Metrics &metrics, RequestLog &log);
  ~UpscaleService();

  /// Whether it has the token, if one is asked for.
  bool authorized(SoupServerMessage *message) const;

  /// When the headers of a POST have arrived. `message` may be gone afterwards.
  void on_headers(SoupServerMessage *message);
  /// When its body has, too.
  void on_body(SoupServerMessage *message);
  /// When the body of any request takes too long. `message` may be gone afterwards.
  void too_late(SoupServerMessage *message);

  /// Answers any request before its body has come. `message` may be gone afterwards.
  void refuse_early(SoupServerMessage *message, const Answer &answer);

  /// From now on every new request is refused. `finished` is called once every other was answered.
  void drain(std::function<void()> finished);
  /// Cancels everything that waits or is being worked on, and closes connections whose clients have
  /// not taken their answers.
  void cancel_all();
  bool is_working() const { return !running_.empty(); }

 private:
  enum class State { serving, draining, cancelling };
  struct Task;
  using TaskPtr = std::shared_ptr<Task>;

  std::optional<Answer> refuse(SoupServerMessage *message) const;
  Answer busy(const char *why) const;
  bool full() const;
  void begin(SoupServerMessage *message, const UpscaleRequest &request,
             const PictureHeader &header);
  void start_waiting();
  void drop(Task *task);
  void take(SoupServerMessage *message);
  void refuse_upload(SoupServerMessage *message, const Answer &answer);
  SoupServerMessage *slowest_upload() const;
  void forget_upload(SoupServerMessage *message);
  void close_answered();
  void check_drained();
  void finish(const TaskPtr &task, Answer answer);
  void count();

  static void work(gpointer data, gpointer self);
  static void got_chunk(SoupServerMessage *message, GBytes *chunk, gpointer self);
  static void message_finished(SoupServerMessage *message, gpointer self);

  const Options &options_;
  Metrics &metrics_;
  RequestLog &log_;
  GThreadPool *pool_ = nullptr;
  std::deque<TaskPtr> waiting_;
  std::vector<TaskPtr> running_;
  /// Requests taken whose answer has not been sent to its end.
  std::set<SoupServerMessage *> unanswered_;
  /// Of these, the ones whose bodies are not complete, and what has come of each and of all.
  std::map<SoupServerMessage *, int64_t> uploads_;
  int64_t upload_bytes_ = 0;
  State state_ = State::serving;
  std::function<void()> drained_;  ///< set while the server drains
};

}  // namespace upscale_server
