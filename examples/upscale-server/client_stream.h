#pragma once

#include <gio/gio.h>

namespace upscale_server {

/// Sees what comes from a client before libsoup does.
class ClientWatcher {
 public:
  /// `size` bytes have come. False: the client is not to be read any more.
  virtual bool came(const char *bytes, size_t size) = 0;
  /// There is nothing more to read. True: the watcher sees to what follows, libsoup is not told.
  virtual bool takes_end() = 0;

 protected:
  ~ClientWatcher() = default;
};

/// A stream over `socket`, which keeps it. `watcher` has to live as long as the socket.
GIOStream *client_stream_new(GSocket *socket, ClientWatcher *watcher);

}  // namespace upscale_server
