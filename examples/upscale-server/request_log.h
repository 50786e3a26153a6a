#pragma once

#include <libsoup/soup.h>

#include <string>

#include "metrics.h"

namespace upscale_server {

/// Writes one line for each request once it is over, without what its fields said.
class RequestLog {
 public:
  RequestLog(SoupServer *server, Metrics &metrics);

  /// Adds words to the line of `message`.
  static void annotate(SoupServerMessage *message, const std::string &words);
  /// The answer to `message` will be written to nobody.
  static void client_left(SoupServerMessage *message);
  /// For a request that the HTTP library will not report, because its connection was taken away.
  void write(SoupServerMessage *message, unsigned status);

 private:
  static void started(SoupServer *server, SoupServerMessage *message, gpointer self);
  static void finished(SoupServer *server, SoupServerMessage *message, gpointer self);
  static void wrote_body(SoupServerMessage *message, gpointer);

  Metrics &metrics_;
};

}  // namespace upscale_server
