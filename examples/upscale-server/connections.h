#pragma once

#include <libsoup/soup.h>

#include <memory>
#include <string>

#include "connection.h"
#include "metrics.h"
#include "options.h"

namespace upscale_server {

/// Accepts connections for libsoup, which by itself stops listening for good once a descriptor is
/// missing. There are never more of them than descriptors allow beside what the server's work
/// needs: a new one takes the place of the one that has been without a request for longest.
class Connections {
 public:
  Connections(SoupServer *server, const Options &options, Metrics &metrics, Connection::Late late);
  ~Connections();
  Connections(const Connections &) = delete;
  Connections &operator=(const Connections &) = delete;

  /// Throws std::runtime_error where the address cannot be had. Returns the server's URL.
  std::string listen();
  /// Takes no new connections any more; those that are open stay.
  void stop_listening();

 private:
  void watch_listener();
  void accept_one();
  void add(GSocket *socket);
  bool make_room();
  size_t open() const;

  static gboolean can_accept(GSocket *, GIOCondition, gpointer self);
  static void started(SoupServer *, SoupServerMessage *message, gpointer);
  static void finished(SoupServer *, SoupServerMessage *message, gpointer);

  SoupServer *server_;
  const Options &options_;
  Metrics &metrics_;
  const Patience patience_;
  const Connection::Late late_;
  const std::shared_ptr<Connection::All> connections_ = std::make_shared<Connection::All>();
  size_t most_ = 0;
  GSocket *listener_ = nullptr;
  GSource *source_ = nullptr;  ///< null while it does not accept
  guint pause_ = 0;
  GSocket *unreachable_ = nullptr;  ///< the far end of the listener that libsoup has
};

}  // namespace upscale_server
