// libsoup reads a body to its end before it sends a response. So the connection is taken from it.
#include "early_answer.h"

#include <array>

#include "connection.h"

namespace upscale_server {
namespace {

constexpr guint kLingerSeconds = 10;

/// A connection that has been answered and is being emptied. Owns itself.
struct Lingering {
  GIOStream *stream;
  GSocket *socket;
  std::string response;
  GCancellable *patience = g_cancellable_new();
  guint timer = 0;
  std::array<char, 65536> dropped;

  ~Lingering() {
    if (timer) g_source_remove(timer);
    g_object_unref(patience);
    if (stream) {
      g_io_stream_close(stream, nullptr, nullptr);
      g_object_unref(stream);
    }
    g_object_unref(socket);
  }
};

void drop_more(Lingering *lingering);

void dropped_some(GObject *input, GAsyncResult *result, gpointer data) {
  auto *lingering = static_cast<Lingering *>(data);
  if (g_input_stream_read_finish(G_INPUT_STREAM(input), result, nullptr) > 0)
    drop_more(lingering);
  else
    delete lingering;
}

void drop_more(Lingering *lingering) {
  g_input_stream_read_async(g_io_stream_get_input_stream(lingering->stream),
                            lingering->dropped.data(), lingering->dropped.size(),
                            G_PRIORITY_DEFAULT, lingering->patience, dropped_some, lingering);
}

void wrote_response(GObject *output, GAsyncResult *result, gpointer data) {
  auto *lingering = static_cast<Lingering *>(data);
  if (!g_output_stream_write_all_finish(G_OUTPUT_STREAM(output), result, nullptr, nullptr) ||
      !g_socket_shutdown(lingering->socket, FALSE, TRUE, nullptr)) {
    delete lingering;
    return;
  }
  drop_more(lingering);
}

gboolean lost_patience(gpointer data) {
  auto *lingering = static_cast<Lingering *>(data);
  lingering->timer = 0;
  g_cancellable_cancel(lingering->patience);
  return G_SOURCE_REMOVE;
}

std::string response_text(SoupServerMessage *message, const Answer &answer) {
  std::string text = "HTTP/1.1 " + std::to_string(answer.status) + " " +
                     soup_status_get_phrase(answer.status) + "\r\n";
  SoupMessageHeadersIter iterator;
  const char *name, *value;
  soup_message_headers_iter_init(&iterator, soup_server_message_get_response_headers(message));
  while (soup_message_headers_iter_next(&iterator, &name, &value))
    text += std::string(name) + ": " + value + "\r\n";
  return text + "Connection: close\r\n\r\n" + answer.body;
}

}  // namespace

void answer_early(SoupServerMessage *message, const Answer &answer) {
  respond(message, answer);
  SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
  soup_message_headers_set_content_length(headers, goffset(answer.body.size()));
  auto *lingering = new Lingering;
  lingering->response = response_text(message, answer);
  Connection *connection = Connection::of(message);
  lingering->socket = G_SOCKET(g_object_ref(connection->socket()));
  lingering->stream = soup_server_message_steal_connection(message);
  if (!lingering->stream) {
    delete lingering;
    return;
  }
  connection->linger();
  lingering->timer = g_timeout_add_seconds(kLingerSeconds, lost_patience, lingering);
  g_output_stream_write_all_async(g_io_stream_get_output_stream(lingering->stream),
                                  lingering->response.data(), lingering->response.size(),
                                  G_PRIORITY_DEFAULT, lingering->patience, wrote_response,
                                  lingering);
}

uint64_t announced_length(SoupServerMessage *message) {
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
  return soup_message_headers_get_encoding(headers) == SOUP_ENCODING_CONTENT_LENGTH
             ? uint64_t(soup_message_headers_get_content_length(headers))
             : 0;
}

}  // namespace upscale_server
