#include "idle_connections.h"

#include <glib-unix.h>

#include "client_left.h"
#include "glib_ptr.h"

namespace upscale_server {

/// A connection between two requests. `message` is the one that is over; it leads to the
/// connection.
struct IdleConnections::Watch {
  Watch(IdleConnections &owner, SoupServerMessage *its_message)
      : idle(owner),
        message(hold(its_message)),
        socket(soup_server_message_get_socket(its_message)) {
    // Before libsoup's own source, which would forget the connection.
    client = g_unix_fd_add_full(G_PRIORITY_HIGH, g_socket_get_fd(socket), kClientLeft, client_left,
                                this, nullptr);
    timer = g_timeout_add_seconds(idle.seconds_, time_is_up, this);
    closed = g_signal_connect(message.get(), "disconnected", G_CALLBACK(disconnected), this);
  }

  ~Watch() {
    if (client) g_source_remove(client);
    if (timer) g_source_remove(timer);
    g_signal_handler_disconnect(message.get(), closed);
  }

  void forget() { idle.watches_.erase(socket); }

  /// Takes the connection from libsoup, which makes it forget it, and drops it.
  void close() {
    const MessagePtr last = hold(message.get());
    GIOStream *stream = soup_server_message_steal_connection(last.get());  // destroys this
    if (stream) {
      g_io_stream_close(stream, nullptr, nullptr);
      g_object_unref(stream);
    }
  }

  static gboolean client_left(gint, GIOCondition, gpointer data) {
    auto *self = static_cast<Watch *>(data);
    self->client = 0;
    if (g_socket_get_available_bytes(self->socket) <= 0) self->close();
    return G_SOURCE_REMOVE;
  }

  static gboolean time_is_up(gpointer data) {
    auto *self = static_cast<Watch *>(data);
    self->timer = 0;
    self->close();
    return G_SOURCE_REMOVE;
  }

  static void disconnected(SoupServerMessage *, gpointer data) {
    static_cast<Watch *>(data)->forget();
  }

  IdleConnections &idle;
  MessagePtr message;
  GSocket *socket;
  guint client = 0;
  guint timer = 0;
  gulong closed = 0;
};

IdleConnections::IdleConnections(SoupServer *server, unsigned seconds) : seconds_(seconds) {
  g_signal_connect(server, "request-started", G_CALLBACK(started), this);
  g_signal_connect(server, "request-finished", G_CALLBACK(finished), this);
  g_signal_connect(server, "request-aborted", G_CALLBACK(finished), this);
}

IdleConnections::~IdleConnections() = default;

void IdleConnections::started(SoupServer *, SoupServerMessage *message, gpointer data) {
  auto *self = static_cast<IdleConnections *>(data);
  GSocket *socket = soup_server_message_get_socket(message);
  self->watches_.erase(socket);
  g_socket_set_timeout(socket, self->seconds_);
}

void IdleConnections::finished(SoupServer *, SoupServerMessage *message, gpointer data) {
  auto *self = static_cast<IdleConnections *>(data);
  GSocket *socket = soup_server_message_get_socket(message);
  if (!socket || g_socket_is_closed(socket)) return;
  g_socket_set_timeout(socket, 0);
  self->watches_[socket] = std::make_unique<Watch>(*self, message);
}

}  // namespace upscale_server
