#include "connection.h"

#include <algorithm>

namespace upscale_server {
namespace {

/// On the socket: its Connection. On the client's address, which libsoup hands out with each
/// message: the socket, which libsoup does not know where it did not accept the connection itself.
constexpr const char *kConnection = "upscale-server-connection";
constexpr const char *kSocket = "upscale-server-socket";
constexpr unsigned kMostHeadLines = 256;

}  // namespace

void Connection::open(SoupServer *server, GSocket *socket, const Patience &patience,
                      const Late &late, std::shared_ptr<All> all) {
  g_autoptr(GSocketAddress) here = g_socket_get_local_address(socket, nullptr);
  g_autoptr(GSocketAddress) there = g_socket_get_remote_address(socket, nullptr);
  if (!here || !there) return;  // it has been closed already
  auto *connection = new Connection(socket, patience, late, std::move(all));
  g_object_set_data_full(G_OBJECT(socket), kConnection, connection,
                         [](gpointer data) { delete static_cast<Connection *>(data); });
  g_object_set_data_full(G_OBJECT(there), kSocket, g_object_ref(socket), g_object_unref);
  g_autoptr(GIOStream) stream = client_stream_new(socket, connection);
  soup_server_accept_iostream(server, stream, here, there, nullptr);
}

Connection *Connection::of(SoupServerMessage *message) {
  GSocketAddress *client = soup_server_message_get_remote_address(message);
  gpointer socket = client ? g_object_get_data(G_OBJECT(client), kSocket) : nullptr;
  return socket ? static_cast<Connection *>(g_object_get_data(G_OBJECT(socket), kConnection))
                : nullptr;
}

Connection::Connection(GSocket *socket, const Patience &patience, const Late &late,
                       std::shared_ptr<All> all)
    : socket_(socket), patience_(patience), late_(late), all_(std::move(all)) {
  all_->insert(this);
  enter(Phase::head);
}

Connection::~Connection() {
  stop_timer();
  all_->erase(this);
}

void Connection::stop_timer() {
  if (timer_) g_source_remove(timer_);
  timer_ = 0;
}

gint64 Connection::latest_deadline() const {
  return g_get_monotonic_time() + patience_.receive_seconds * G_USEC_PER_SEC;
}

void Connection::set_timer(gint64 milliseconds) {
  timer_ = g_timeout_add(guint(milliseconds), time_is_up, this);
}

void Connection::enter(Phase phase) {
  stop_timer();
  phase_ = phase;
  since_ = g_get_monotonic_time();
  deadline_ = latest_deadline();
  if (phase == Phase::head || phase == Phase::body) set_timer(patience_.receive_seconds * 1000);
  if (phase == Phase::idle) set_timer(patience_.idle_seconds * 1000);
}

void Connection::request_started(SoupServerMessage *message) {
  last_.reset();
  request_ = message;
  enter(Phase::head);
  g_socket_set_timeout(socket_, patience_.idle_seconds);
  g_signal_connect(message, "got-headers", G_CALLBACK(got_headers), this);
  g_signal_connect(message, "got-chunk", G_CALLBACK(got_chunk), this);
  g_signal_connect(message, "got-body", G_CALLBACK(got_body), this);
  g_signal_connect(message, "disconnected", G_CALLBACK(disconnected), this);
}

void Connection::request_finished(SoupServerMessage *message) {
  if (phase_ == Phase::ended || !is_open()) return;
  g_socket_set_timeout(socket_, 0);
  head_lines_ = 0;
  head_is_over_ = false;
  head_tail_.clear();
  last_ = hold(message);
  enter(Phase::idle);
}

/// What libsoup makes of a head takes time with the square of its lines, folded ones above all.
bool Connection::came(const char *bytes, size_t size) {
  if ((phase_ != Phase::head && phase_ != Phase::idle) || head_is_over_) return true;
  std::string text = head_tail_ + std::string(bytes, size);
  if (head_tail_.empty()) text.erase(0, text.find_first_not_of("\r\n"));  // as libsoup does
  const size_t end = std::min({text.find("\n\r\n"), text.find("\n\n"), text.size()});
  head_is_over_ = end < text.size();
  const size_t counted = head_tail_.size();
  const std::string_view fresh =
      std::string_view(text).substr(0, end).substr(std::min(counted, end));
  head_lines_ += unsigned(std::count(fresh.begin(), fresh.end(), '\n'));
  head_tail_ = text.substr(text.size() - std::min<size_t>(text.size(), 2));
  return head_lines_ <= kMostHeadLines;
}

/// libsoup before 3.4, told of the end between two requests, drops what leads to the connection and
/// keeps the rest for ever: nobody can close it any more, and trying to crashes.
bool Connection::takes_end() {
  if (phase_ != Phase::idle) return false;
  stop_timer();
  timer_ = g_idle_add_full(G_PRIORITY_HIGH, time_is_up, this, nullptr);  // libsoup is reading now
  return true;
}

void Connection::got_headers(SoupServerMessage *, gpointer data) {
  auto *self = static_cast<Connection *>(data);
  if (self->phase_ != Phase::head) return;  // it was answered early
  self->body_bytes_ = 0;
  self->enter(Phase::body);
}

/// A body that comes fast gains time, but never more than one has that has just begun.
void Connection::got_chunk(SoupServerMessage *, GBytes *chunk, gpointer data) {
  auto *self = static_cast<Connection *>(data);
  const auto bytes = gint64(g_bytes_get_size(chunk));
  self->body_bytes_ += bytes;
  self->deadline_ =
      std::min(self->deadline_ + bytes * G_USEC_PER_SEC / kLeastRate, self->latest_deadline());
}

void Connection::got_body(SoupServerMessage *, gpointer data) {
  auto *self = static_cast<Connection *>(data);
  if (self->phase_ == Phase::body) self->enter(Phase::answer);
}

void Connection::disconnected(SoupServerMessage *, gpointer data) {
  auto *self = static_cast<Connection *>(data);
  const MessagePtr last = std::move(self->last_);  // letting go of it may destroy this
  self->enter(Phase::ended);
}

gboolean Connection::time_is_up(gpointer data) {
  auto *self = static_cast<Connection *>(data);
  self->timer_ = 0;
  if (self->phase_ != Phase::body) {
    self->close();
    return G_SOURCE_REMOVE;
  }
  const gint64 left = self->deadline_ - g_get_monotonic_time();
  if (left > 0)
    self->set_timer(left / 1000 + 1);
  else
    self->late_(self->request_);
  return G_SOURCE_REMOVE;
}

void Connection::close() {
  const MessagePtr last = std::move(last_);
  enter(Phase::ended);
  if (!last) {  // libsoup is reading: it sees the end, and lets go of everything
    g_socket_shutdown(socket_, TRUE, TRUE, nullptr);
    return;
  }
  // Taking the connection makes libsoup forget it. It waits for a request: see takes_end().
  if (GIOStream *stream = soup_server_message_steal_connection(last.get())) {
    g_io_stream_close(stream, nullptr, nullptr);
    g_object_unref(stream);
  }
}

}  // namespace upscale_server
