#include "exchange.h"

#include <glib-unix.h>

#include "client_left.h"
#include "connection.h"
#include "request_log.h"

namespace upscale_server {
namespace {

constexpr guint kPulseSeconds =
    15;  // proxies cut streams that are silent for half a minute or more

}  // namespace

Exchange::Exchange(SoupServerMessage *message, bool stream, int max_seconds,
                   std::function<void()> given_up)
    : message_(hold(message)),
      stream_(stream),
      max_seconds_(max_seconds),
      given_up_(std::move(given_up)) {
  GSocket *socket = Connection::of(message)->socket();
  // libsoup does not look at the socket of a paused message.
  client_watch_ = g_unix_fd_add(g_socket_get_fd(socket), kClientLeft, client_left, this);
  if (max_seconds > 0) timer_ = g_timeout_add_seconds(guint(max_seconds), time_is_up, this);
  finished_handler_ = g_signal_connect(message, "finished", G_CALLBACK(message_finished), this);
  soup_server_message_pause(message);
  if (stream_) {
    SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
    soup_message_headers_set_encoding(headers, SOUP_ENCODING_CHUNKED);
    soup_message_headers_replace(headers, "Content-Type", "text/event-stream");
    soup_message_headers_replace(headers, "Cache-Control", "no-store");
    soup_message_headers_replace(headers, "X-Accel-Buffering", "no");  // nginx would hold it back
    soup_message_body_set_accumulate(soup_server_message_get_response_body(message), FALSE);
    soup_server_message_set_status(message, 200, nullptr);
    pulse_ = g_timeout_add_seconds(kPulseSeconds, long_silent, this);
  }
}

Exchange::~Exchange() { end(); }

void Exchange::end() {
  ended_ = true;
  if (client_watch_) g_source_remove(client_watch_);
  if (timer_) g_source_remove(timer_);
  if (pulse_) g_source_remove(pulse_);
  if (finished_handler_) g_signal_handler_disconnect(message_.get(), finished_handler_);
  client_watch_ = timer_ = pulse_ = 0;
  finished_handler_ = 0;
}

void Exchange::append_event(const std::string &name, const std::string &data) {
  append_text(message_.get(), "event: " + name + "\ndata: " + data + "\n\n");
}

void Exchange::progress(double fraction) {
  if (ended_ || !stream_) return;
  append_event("progress", to_text({{"fraction", fraction}}));
  soup_server_message_unpause(message_.get());
}

void Exchange::waits(size_t place) {
  if (ended_ || !stream_ || place == place_) return;
  place_ = place;
  append_event("queue", to_text({{"place", place}}));
  soup_server_message_unpause(message_.get());
}

void Exchange::settle(Answer answer) {
  if (ended_) return;
  end();
  if (!stream_) {
    respond(message_.get(), std::move(answer));
  } else {
    if (answer.status == 200) {
      append_event("result", answer.body);
    } else {
      Json data = Json::parse(answer.body);
      data["status"] = answer.status;
      append_event("error", to_text(data));
    }
    soup_message_body_complete(soup_server_message_get_response_body(message_.get()));
  }
  soup_server_message_unpause(message_.get());
}

void Exchange::give_up(Answer answer) {
  settle(std::move(answer));
  const auto given_up = given_up_;  // it may destroy this object
  given_up();
}

gboolean Exchange::client_left(gint, GIOCondition, gpointer data) {
  auto *self = static_cast<Exchange *>(data);
  self->client_watch_ = 0;
  // Nobody reads this; writing it is how libsoup gets to close the connection.
  soup_message_headers_replace(soup_server_message_get_response_headers(self->message_.get()),
                               "Connection", "close");
  RequestLog::client_left(self->message_.get());
  self->give_up(http_error(500, "The client closed the connection."));
  return G_SOURCE_REMOVE;
}

gboolean Exchange::time_is_up(gpointer data) {
  auto *self = static_cast<Exchange *>(data);
  self->timer_ = 0;
  self->give_up(http_error(400, "Error during model execution: the picture was not done within " +
                                    std::to_string(self->max_seconds_) +
                                    " s, the limit of this server."));
  return G_SOURCE_REMOVE;
}

/// A comment, which whoever reads the stream passes over.
gboolean Exchange::long_silent(gpointer data) {
  auto *self = static_cast<Exchange *>(data);
  append_text(self->message_.get(), ": still here\n\n");
  soup_server_message_unpause(self->message_.get());
  return G_SOURCE_CONTINUE;
}

void Exchange::message_finished(SoupServerMessage *, gpointer data) {
  auto *self = static_cast<Exchange *>(data);
  self->end();
  const auto given_up = self->given_up_;
  given_up();
}

}  // namespace upscale_server
