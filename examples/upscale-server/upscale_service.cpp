#include "upscale_service.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include "early_answer.h"
#include "form.h"
#include "main_loop.h"

namespace upscale_server {
namespace {

double now() { return double(g_get_monotonic_time()) / G_USEC_PER_SEC; }

goffset announced_length(SoupServerMessage *message) {
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
  return soup_message_headers_get_encoding(headers) == SOUP_ENCODING_CONTENT_LENGTH
             ? soup_message_headers_get_content_length(headers)
             : 0;
}

bool wants_events(SoupServerMessage *message) {
  const char *accept =
      soup_message_headers_get_list(soup_server_message_get_request_headers(message), "Accept");
  return accept && soup_header_contains(accept, "text/event-stream");
}

Answer too_large(int64_t most) {
  return http_error(400, "The request is too large: this server takes at most " +
                             std::to_string(most) + " bytes.");
}

constexpr const char *kUpload = "upscale-server-upload";

/// What a request adds to the bytes that are held in incomplete bodies.
struct Upload {
  int64_t &total;
  int64_t bytes = 0;
  ~Upload() { total -= bytes; }
};

void forget_upload(SoupServerMessage *message) {
  g_object_set_data(G_OBJECT(message), kUpload, nullptr);
}

std::string without_full_stop(std::string text) {
  while (!text.empty() && text.back() == '.') text.pop_back();
  return text;
}

Answer picture_answer(const JobResult &result, const Json &seed) {
  gsize size = 0;
  const auto *data = static_cast<const guchar *>(g_bytes_get_data(result.png.get(), &size));
  g_autofree char *base64 = g_base64_encode(data, size);
  const Json image = {{"url", std::string("data:image/png;base64,") + base64},
                      {"seed", seed},
                      {"nsfw", result.nsfw}};
  return {200, to_text({{"images", Json::array({image})}})};
}

Answer answer_to(const JobResult &result, const Json &seed) {
  switch (result.outcome) {
    case Outcome::done:
      return picture_answer(result, seed);
    case Outcome::unreadable:
      return http_error(400, "The image cannot be decoded: " + result.message);
    case Outcome::model_failed:
      return http_error(400,
                        "Error during model execution: " + without_full_stop(result.message) + ".");
    case Outcome::out_of_memory:
      return out_of_memory();
    case Outcome::cancelled:
      return no_capacity("the server is stopping.");
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
    : options_(options),
      metrics_(metrics),
      log_(log),
      pool_(g_thread_pool_new(work, this, options.workers, FALSE, nullptr)) {}

UpscaleService::~UpscaleService() { g_thread_pool_free(pool_, FALSE, TRUE); }

bool UpscaleService::authorized(SoupServerMessage *message) const {
  if (options_.auth_token.empty()) return true;
  const char *header = soup_message_headers_get_one(
      soup_server_message_get_request_headers(message), "Authorization");
  constexpr const char *scheme = "Bearer ";
  if (!header || g_ascii_strncasecmp(header, scheme, strlen(scheme)) != 0) return false;
  return options_.auth_token == header + strlen(scheme);
}

bool UpscaleService::full() const {
  return waiting_.size() + running_.size() >= size_t(options_.workers + options_.queue);
}

std::optional<Answer> UpscaleService::refuse(SoupServerMessage *message) const {
  if (!authorized(message)) return http_error(401, "Invalid bearer token.");
  if (draining_) return no_capacity("the server is stopping.");
  if (full()) return no_capacity("all slots are taken, try again later.");
  if (announced_length(message) > options_.max_body) return too_large(options_.max_body);
  return std::nullopt;
}

void UpscaleService::on_headers(SoupServerMessage *message) {
  if (const auto refusal = refuse(message))
    refuse_early(message, *refusal);
  else
    count_upload(message);
}

void UpscaleService::count_upload(SoupServerMessage *message) {
  g_object_set_data_full(G_OBJECT(message), kUpload, new Upload{uploading_},
                         [](gpointer upload) { delete static_cast<Upload *>(upload); });
  g_signal_connect(message, "got-chunk", G_CALLBACK(got_chunk), this);
  g_signal_connect(message, "finished", G_CALLBACK(forget_upload), nullptr);
}

void UpscaleService::refuse_early(SoupServerMessage *message, const Answer &answer) {
  forget_upload(message);
  log_.write(message, answer.status);
  answer_early(message, answer);
}

void UpscaleService::got_chunk(SoupServerMessage *message, GBytes *chunk, gpointer data) {
  auto *self = static_cast<UpscaleService *>(data);
  const Options &options = self->options_;
  auto *upload = static_cast<Upload *>(g_object_get_data(G_OBJECT(message), kUpload));
  upload->bytes += int64_t(g_bytes_get_size(chunk));
  self->uploading_ += int64_t(g_bytes_get_size(chunk));
  if (upload->bytes > options.max_body)
    self->refuse_early(message, too_large(options.max_body));
  else if (self->uploading_ / options.max_body > options.workers + options.queue)
    self->refuse_early(message, no_capacity("too much is being sent at once, try again later."));
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
    if (const auto refusal =
            read_request(form, options_.model_id, unsigned(options_.max_steps), request)) {
      respond(message, *refusal);
      return;
    }
  } catch (const FormError &error) {
    respond(message, http_error(400, error.what()));
    return;
  }
  const auto header = read_picture_header(request.image);
  if (!header) {
    respond(message, http_error(400,
                                "The image cannot be decoded: it is not a PNG, JPEG, GIF, "
                                "WebP, BMP or TIFF file, or its header is broken."));
  } else if (uint64_t(header->width) * header->height > uint64_t(options_.max_pixels)) {
    respond(message,
            http_error(400, "The image is too large: " + std::to_string(header->width) + "x" +
                                std::to_string(header->height) + " is more than the " +
                                std::to_string(options_.max_pixels) +
                                " pixels that this server takes."));
  } else if (full()) {  // others were quicker while the body was on its way
    respond(message, no_capacity("all slots are taken, try again later."));
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
                                    std::to_string(request.steps) + " seed " +
                                    request.seed_as_json().dump());
  unanswered_++;
  g_signal_connect(message, "finished", G_CALLBACK(message_finished), this);
  waiting_.push_back(std::move(task));
  start_waiting();
}

void UpscaleService::message_finished(SoupServerMessage *, gpointer data) {
  auto *self = static_cast<UpscaleService *>(data);
  self->unanswered_--;
  self->check_drained();
}

void UpscaleService::start_waiting() {
  while (!waiting_.empty() && running_.size() < size_t(options_.workers)) {
    running_.push_back(waiting_.front());
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
  const std::unique_ptr<TaskPtr> held(static_cast<TaskPtr *>(data));
  const TaskPtr task = *held;
  const double start = now();
  const JobResult result = task->job->run([task](double fraction) {
    on_main_thread([task, fraction] { task->exchange->progress(fraction); });
  });
  const double seconds = now() - start;
  const Answer answer = answer_to(result, task->job->seed_as_json());
  const bool done = result.outcome == Outcome::done;
  on_main_thread([self, task, answer, done, seconds] {
    if (done) {
      self->metrics_.pictures++;
      self->metrics_.seconds += seconds;
      self->metrics_.input_pixels +=
          uint64_t(task->job->header().width) * task->job->header().height;
    }
    self->finish(task, answer);
  });
}

void UpscaleService::finish(const TaskPtr &task, const Answer &answer) {
  task->exchange->settle(answer);
  running_.erase(std::find(running_.begin(), running_.end(), task));
  start_waiting();
  check_drained();
}

void UpscaleService::drain(std::function<void()> finished) {
  draining_ = true;
  drained_ = std::move(finished);
  check_drained();
}

void UpscaleService::check_drained() {
  if (drained_ && running_.empty() && unanswered_ == 0) drained_();
}

void UpscaleService::cancel_all() {
  const Answer answer = no_capacity("the server is stopping.");
  for (const TaskPtr &task : waiting_) task->exchange->settle(answer);
  waiting_.clear();
  for (const TaskPtr &task : running_) task->job->cancel();
  count();
}

void UpscaleService::count() {
  metrics_.running = running_.size();
  metrics_.waiting = waiting_.size();
}

}  // namespace upscale_server
