#include "upscale_service.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <stdexcept>
#include <utility>

#include "connection.h"
#include "early_answer.h"
#include "form.h"
#include "main_loop.h"
#include "origin.h"

namespace upscale_server {
namespace {

double now() { return double(g_get_monotonic_time()) / G_USEC_PER_SEC; }

bool wants_events(SoupServerMessage *message) {
  const char *accept =
      soup_message_headers_get_list(soup_server_message_get_request_headers(message), "Accept");
  return accept && soup_header_contains(accept, "text/event-stream");
}

constexpr uint32_t kMostSide = 65535;  // pixels, of what the element takes

std::optional<Answer> refuse_picture(const std::optional<PictureHeader> &header,
                                     const Options &options) {
  if (!header)
    return http_error(400,
                      "The image cannot be decoded: it is not a PNG, JPEG, GIF, WebP, BMP or TIFF "
                      "file, or its header is broken or of a rare kind.");
  const std::string size = std::to_string(header->width) + "x" + std::to_string(header->height);
  if (uint64_t(header->width) * header->height > uint64_t(options.max_pixels))
    return http_error(400, "The image is too large: " + size + " is more than the " +
                               std::to_string(options.max_pixels) +
                               " pixels that this server takes.");
  if (std::max(header->width, header->height) > kMostSide)
    return http_error(400, "The image is too large: " + size + " has a side of more than " +
                               std::to_string(kMostSide) + " pixels.");
  return std::nullopt;
}

constexpr const char *kStopping = "the server is stopping.";
constexpr const char *kAllSlotsTaken = "all slots are taken, try again later.";

/// In a time that does not tell how much of `text` is right.
bool is_secret(std::string_view text, const std::string &secret) {
  bool differs = text.size() != secret.size();
  for (size_t i = 0; i < text.size(); i++) differs |= text[i] != secret[i % secret.size()];
  return !differs;
}

std::string without_full_stop(std::string text) {
  while (!text.empty() && text.back() == '.') text.pop_back();
  return text;
}

void append_base64(GBytes *bytes, std::string &text) {
  gsize size = 0;
  const auto *data = static_cast<const guchar *>(g_bytes_get_data(bytes, &size));
  const size_t before = text.size();
  text.resize(before + (size / 3 + 2) * 4);
  gint state = 0, save = 0;
  gsize length = g_base64_encode_step(data, size, FALSE, &text[before], &state, &save);
  length += g_base64_encode_close(FALSE, &text[before + length], &state, &save);
  text.resize(before + length);
}

/// Written without the JSON library, which would copy a picture of hundreds of megabytes twice.
Answer picture_answer(const JobResult &result, const Json &seed) {
  std::string body = R"({"images":[{"url":"data:image/png;base64,)";
  append_base64(result.png.get(), body);
  body += R"(","seed":)" + to_text(seed) + R"(,"nsfw":)" + to_text(result.nsfw) + "}]}";
  return {200, std::move(body)};
}

Answer answer_to(const JobResult &result, const Json &seed, unsigned busy_status) {
  switch (result.outcome) {
    case Outcome::done:
      try {
        return picture_answer(result, seed);
      } catch (const std::bad_alloc &) {
        return out_of_memory();
      }
    case Outcome::unreadable:
      return http_error(400, "The image cannot be decoded: " + result.message);
    case Outcome::model_failed:
      return http_error(400,
                        "Error during model execution: " + without_full_stop(result.message) + ".");
    case Outcome::out_of_memory:
      return out_of_memory();
    case Outcome::cancelled:
      return no_capacity(busy_status, kStopping);
    case Outcome::fault:
      break;
  }
  return pipeline_fault(result.message);
}

}  // namespace

/// A picture and the request it belongs to.
struct UpscaleService::Task {
  explicit Task(std::unique_ptr<UpscaleJob> its_job) : job(std::move(its_job)) {}

  std::unique_ptr<UpscaleJob> job;
  std::unique_ptr<Exchange> exchange;
};

UpscaleService::UpscaleService(const Options &options, Metrics &metrics, RequestLog &log)
    : options_(options), metrics_(metrics), log_(log) {
  // Exclusive: its threads are there from the start. One that is made when a picture needs it may
  // be refused by the system, and the picture would wait for ever.
  g_autoptr(GError) error = nullptr;
  pool_ = g_thread_pool_new(work, this, options.workers, TRUE, &error);
  if (error) throw std::runtime_error(std::string("no threads for --workers: ") + error->message);
}

UpscaleService::~UpscaleService() { g_thread_pool_free(pool_, FALSE, TRUE); }

bool UpscaleService::authorized(SoupServerMessage *message) const {
  if (options_.auth_token.empty()) return true;
  const char *header = soup_message_headers_get_one(
      soup_server_message_get_request_headers(message), "Authorization");
  constexpr const char *scheme = "Bearer ";
  if (!header || g_ascii_strncasecmp(header, scheme, strlen(scheme)) != 0) return false;
  return is_secret(header + strlen(scheme), options_.auth_token);
}

bool UpscaleService::full() const {
  return waiting_.size() + running_.size() >= size_t(options_.workers + options_.queue);
}

Answer UpscaleService::busy(const char *why) const {
  return no_capacity(unsigned(options_.busy_status), why);
}

std::optional<Answer> UpscaleService::refuse(SoupServerMessage *message) const {
  if (!authorized(message)) return invalid_token();
  if (auto refusal = refuse_origin(message, options_)) return refusal;
  if (state_ != State::serving) return busy(kStopping);
  if (full()) return busy(kAllSlotsTaken);
  if (announced_length(message) > uint64_t(options_.max_body)) return too_large(options_.max_body);
  return std::nullopt;
}

void UpscaleService::on_headers(SoupServerMessage *message) {
  if (const auto refusal = refuse(message))
    refuse_early(message, *refusal);
  else
    take(message);
}

void UpscaleService::take(SoupServerMessage *message) {
  unanswered_.insert(message);
  uploads_.emplace(message, 0);
  metrics_.uploading = uploads_.size();
  g_signal_connect(message, "got-chunk", G_CALLBACK(got_chunk), this);
  g_signal_connect(message, "finished", G_CALLBACK(message_finished), this);
}

void UpscaleService::refuse_early(SoupServerMessage *message, const Answer &answer) {
  log_.write(message, answer.status);
  answer_early(message, answer);
}

/// The same for a request that had been taken. Its signal "finished" will not come.
void UpscaleService::refuse_upload(SoupServerMessage *message, const Answer &answer) {
  const MessagePtr held = hold(message);
  refuse_early(message, answer);
  message_finished(message, this);
}

void UpscaleService::too_late(SoupServerMessage *message) {
  const Answer answer =
      http_error(400, "The request takes too long to arrive: it has fallen " +
                          std::to_string(options_.receive_seconds) + " s behind 8 KiB a second.");
  if (uploads_.count(message))
    refuse_upload(message, answer);
  else
    refuse_early(message, answer);
}

void UpscaleService::got_chunk(SoupServerMessage *message, GBytes *chunk, gpointer data) {
  auto *self = static_cast<UpscaleService *>(data);
  const Options &options = self->options_;
  const auto bytes = int64_t(g_bytes_get_size(chunk));
  self->uploads_[message] += bytes;
  self->upload_bytes_ += bytes;
  if (self->uploads_[message] > options.max_body)
    self->refuse_upload(message, too_large(options.max_body));
  else if (self->upload_bytes_ / options.max_body > options.workers + options.queue)
    self->refuse_upload(self->slowest_upload(),
                        self->busy("too much is being sent at once, try again later."));
}

/// The one that is the furthest behind: others are not to wait for those that have stopped.
SoupServerMessage *UpscaleService::slowest_upload() const {
  const auto deadline = [](const auto &upload) { return Connection::of(upload.first)->deadline(); };
  return std::min_element(uploads_.begin(), uploads_.end(),
                          [deadline](const auto &one, const auto &other) {
                            return deadline(one) < deadline(other);
                          })
      ->first;
}

void UpscaleService::forget_upload(SoupServerMessage *message) {
  const auto upload = uploads_.find(message);
  if (upload == uploads_.end()) return;
  upload_bytes_ -= upload->second;
  uploads_.erase(upload);
  metrics_.uploading = uploads_.size();
}

void UpscaleService::on_body(SoupServerMessage *message) {
  forget_upload(message);
  g_autoptr(GBytes) body = soup_message_body_flatten(soup_server_message_get_request_body(message));
  gsize size = 0;
  const char *data = static_cast<const char *>(g_bytes_get_data(body, &size));
  UpscaleRequest request;
  try {
    const Form form = parse_form(soup_server_message_get_request_headers(message),
                                 data ? std::string_view(data, size) : std::string_view());
    if (const auto refusal = read_request(form, options_.model_id, unsigned(options_.max_steps),
                                          options_.lora_dir, request)) {
      respond(message, *refusal);
      return;
    }
  } catch (const FormError &error) {
    respond(message, http_error(400, error.what()));
    return;
  }
  const auto header = read_picture_header(request.image);
  if (const auto refusal = refuse_picture(header, options_)) {
    respond(message, *refusal);
  } else if (state_ == State::cancelling) {
    respond(message, busy(kStopping));
  } else if (full()) {  // others were quicker while the body was on its way
    respond(message, busy(kAllSlotsTaken));
  } else {
    begin(message, request, *header);
  }
  soup_message_body_truncate(soup_server_message_get_request_body(message));
}

void UpscaleService::begin(SoupServerMessage *message, const UpscaleRequest &request,
                           const PictureHeader &header) {
  auto task = std::make_shared<Task>(std::make_unique<UpscaleJob>(options_, request, header));
  Task *raw = task.get();
  task->exchange = std::make_unique<Exchange>(message, wants_events(message), options_.max_seconds,
                                              [this, raw] { drop(raw); });
  RequestLog::annotate(message, std::to_string(header.width) + "x" + std::to_string(header.height) +
                                    " " + header.format + " steps " +
                                    (request.steps ? std::to_string(request.steps) : "own") +
                                    " seed " + request.seed_as_json().dump());
  waiting_.push_back(std::move(task));
  start_waiting();
}

void UpscaleService::message_finished(SoupServerMessage *message, gpointer data) {
  auto *self = static_cast<UpscaleService *>(data);
  self->forget_upload(message);
  self->unanswered_.erase(message);
  self->check_drained();
}

void UpscaleService::start_waiting() {
  while (!waiting_.empty() && running_.size() < size_t(options_.workers)) {
    running_.push_back(waiting_.front());
    running_.back()->exchange->progress(0);
    g_thread_pool_push(pool_, new TaskPtr(waiting_.front()), nullptr);
    waiting_.pop_front();
  }
  count();
}

/// The client has gone or time is up: forgets the picture if it waits, else stops working on it.
void UpscaleService::drop(Task *task) {
  metrics_.cancelled++;
  RequestLog::annotate(task->exchange->message(), "given up");
  task->job->cancel();
  waiting_.erase(std::remove_if(waiting_.begin(), waiting_.end(),
                                [task](const TaskPtr &other) { return other.get() == task; }),
                 waiting_.end());
  count();
}

void UpscaleService::work(gpointer data, gpointer pointer) {
  auto *self = static_cast<UpscaleService *>(pointer);
  // The last to let go of the task, and so of the connection, has to be the main thread.
  const std::unique_ptr<TaskPtr> held(static_cast<TaskPtr *>(data));
  TaskPtr task = std::move(*held);
  const double start = now();
  const JobResult result = task->job->run([&task](double fraction) {
    on_main_thread([task, fraction] { task->exchange->progress(fraction); });
  });
  const double seconds = now() - start;
  Answer answer =
      answer_to(result, task->job->seed_as_json(), unsigned(self->options_.busy_status));
  on_main_thread([self, task = std::move(task), seconds, answer = std::move(answer)]() mutable {
    if (answer.status == 200) {
      self->metrics_.pictures++;
      self->metrics_.seconds += seconds;
      self->metrics_.input_pixels +=
          uint64_t(task->job->header().width) * task->job->header().height;
    }
    self->finish(task, std::move(answer));
  });
}

void UpscaleService::finish(const TaskPtr &task, Answer answer) {
  task->exchange->settle(std::move(answer));
  running_.erase(std::find(running_.begin(), running_.end(), task));
  start_waiting();
  check_drained();
}

void UpscaleService::drain(std::function<void()> finished) {
  state_ = State::draining;
  drained_ = std::move(finished);
  check_drained();
}

void UpscaleService::check_drained() {
  const size_t not_waited_for = state_ == State::cancelling ? uploads_.size() : 0;
  if (drained_ && running_.empty() && unanswered_.size() == not_waited_for)
    std::exchange(drained_, nullptr)();
}

void UpscaleService::cancel_all() {
  state_ = State::cancelling;
  close_answered();
  for (const TaskPtr &task : waiting_) task->exchange->settle(busy(kStopping));
  waiting_.clear();
  for (const TaskPtr &task : running_) task->job->cancel();
  count();
  check_drained();
}

/// A client that has not taken all of its answer by now may never do so.
void UpscaleService::close_answered() {
  std::set<SoupServerMessage *> answered = unanswered_;
  for (const auto &[message, bytes] : uploads_) answered.erase(message);
  for (const TaskPtr &task : waiting_) answered.erase(task->exchange->message());
  for (const TaskPtr &task : running_) answered.erase(task->exchange->message());
  for (SoupServerMessage *message : answered) Connection::of(message)->close();
}

void UpscaleService::count() {
  metrics_.running = running_.size();
  metrics_.waiting = waiting_.size();
  for (size_t i = 0; i < waiting_.size(); i++) waiting_[i]->exchange->waits(i + 1);
}

}  // namespace upscale_server
