#pragma once

#include <libsoup/soup.h>

#include <map>
#include <memory>

namespace upscale_server {

/// Closes connections on which nothing moves for a while, and those that a client closes between
/// two requests: libsoup before 3.4 keeps the descriptor of the latter for ever.
class IdleConnections {
 public:
  IdleConnections(SoupServer *server, unsigned seconds);
  ~IdleConnections();
  IdleConnections(const IdleConnections &) = delete;
  IdleConnections &operator=(const IdleConnections &) = delete;

 private:
  struct Watch;

  static void started(SoupServer *server, SoupServerMessage *message, gpointer self);
  static void finished(SoupServer *server, SoupServerMessage *message, gpointer self);

  unsigned seconds_;
  std::map<GSocket *, std::unique_ptr<Watch>> watches_;
};

}  // namespace upscale_server
