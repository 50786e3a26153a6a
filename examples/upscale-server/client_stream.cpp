#include "client_stream.h"

namespace upscale_server {
namespace {

struct ClientInput {
  GFilterInputStream parent;
  ClientWatcher *watcher;
};
struct ClientInputClass {
  GFilterInputStreamClass parent;
};

GPollableInputStream *socket_input(GPollableInputStream *stream) {
  return G_POLLABLE_INPUT_STREAM(
      g_filter_input_stream_get_base_stream(G_FILTER_INPUT_STREAM(stream)));
}

gboolean is_readable(GPollableInputStream *stream) {
  return g_pollable_input_stream_is_readable(socket_input(stream));
}

GSource *create_source(GPollableInputStream *stream, GCancellable *cancellable) {
  GSource *socket = g_pollable_input_stream_create_source(socket_input(stream), nullptr);
  GSource *source = g_pollable_source_new_full(stream, socket, cancellable);
  g_source_unref(socket);
  return source;
}

gssize read_nonblocking(GPollableInputStream *stream, void *buffer, gsize count, GError **error) {
  ClientWatcher *watcher = reinterpret_cast<ClientInput *>(stream)->watcher;
  GError *mine = nullptr;
  gssize size =
      g_pollable_input_stream_read_nonblocking(socket_input(stream), buffer, count, nullptr, &mine);
  if (g_error_matches(mine, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) {
    g_propagate_error(error, mine);
    return size;
  }
  if (size > 0) {
    if (watcher->came(static_cast<const char *>(buffer), size_t(size))) return size;
    size = 0;
  }
  if (watcher->takes_end()) {
    g_clear_error(&mine);
    g_set_error_literal(&mine, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK, "The client has left");
    size = -1;
  }
  if (mine) g_propagate_error(error, mine);
  return size;
}

void pollable_init(GPollableInputStreamInterface *interface) {
  interface->is_readable = is_readable;
  interface->create_source = create_source;
  interface->read_nonblocking = read_nonblocking;
}

G_DEFINE_TYPE_WITH_CODE(ClientInput, client_input, G_TYPE_FILTER_INPUT_STREAM,
                        G_IMPLEMENT_INTERFACE(G_TYPE_POLLABLE_INPUT_STREAM, pollable_init))

void client_input_init(ClientInput *) {}
void client_input_class_init(ClientInputClass *) {}

struct ClientStream {
  GSocketConnection parent;
  GInputStream *input;
};
struct ClientStreamClass {
  GSocketConnectionClass parent;
};

G_DEFINE_TYPE(ClientStream, client_stream, G_TYPE_SOCKET_CONNECTION)

void client_stream_init(ClientStream *) {}

GInputStream *get_input_stream(GIOStream *stream) {
  return reinterpret_cast<ClientStream *>(stream)->input;
}

void finalize(GObject *object) {
  g_clear_object(&reinterpret_cast<ClientStream *>(object)->input);
  G_OBJECT_CLASS(client_stream_parent_class)->finalize(object);
}

void client_stream_class_init(ClientStreamClass *type) {
  G_OBJECT_CLASS(type)->finalize = finalize;
  G_IO_STREAM_CLASS(type)->get_input_stream = get_input_stream;
}

}  // namespace

GIOStream *client_stream_new(GSocket *socket, ClientWatcher *watcher) {
  auto *stream = static_cast<ClientStream *>(
      g_object_new(client_stream_get_type(), "socket", socket, nullptr));
  GInputStream *bare =
      G_IO_STREAM_CLASS(client_stream_parent_class)->get_input_stream(G_IO_STREAM(stream));
  stream->input = G_INPUT_STREAM(g_object_new(client_input_get_type(), "base-stream", bare,
                                              "close-base-stream", FALSE, nullptr));
  reinterpret_cast<ClientInput *>(stream->input)->watcher = watcher;
  return G_IO_STREAM(stream);
}

}  // namespace upscale_server
