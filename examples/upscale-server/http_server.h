#pragma once

#include <libsoup/soup.h>

#include <memory>
#include <string>

#include "connections.h"
#include "hardware.h"
#include "metrics.h"
#include "options.h"
#include "request_log.h"
#include "upscale_service.h"

namespace upscale_server {

/// The HTTP side: listens, finds the route of a request, and answers the small ones itself.
class HttpServer {
 public:
  explicit HttpServer(const Options &options);
  ~HttpServer();
  HttpServer(const HttpServer &) = delete;
  HttpServer &operator=(const HttpServer &) = delete;

  /// Throws std::runtime_error where the address cannot be had. Returns the server's URL.
  std::string listen() { return connections_.listen(); }
  /// Takes no new connections any more; those that are open stay.
  void stop_listening() { connections_.stop_listening(); }
  UpscaleService &service() { return service_; }

 private:
  struct Route;
  static const Route kRoutes[];

  const Route *find(SoupServerMessage *message) const;
  void pass_over_body(SoupServerMessage *message);
  void serve(SoupServerMessage *message);
  void send_json(SoupServerMessage *message, const Json &value);
  void send_resource(SoupServerMessage *message, const Route &route);
  void send_health(SoupServerMessage *message, const Route &route);
  void send_version(SoupServerMessage *message, const Route &route);
  void send_gpu_info(SoupServerMessage *message, const Route &route);
  void send_gpu_stats(SoupServerMessage *message, const Route &route);
  void send_metrics(SoupServerMessage *message, const Route &route);
  void take_picture(SoupServerMessage *message, const Route &route);
  Json identity() const;
  Hardware::Done later(SoupServerMessage *message, const char *member);

  static void got_unread(SoupServerMessage *message, GBytes *chunk, gpointer self);
  static void on_start(SoupServer *server, SoupServerMessage *message, gpointer);
  static void on_headers(SoupServer *server, SoupServerMessage *message, const char *path,
                         GHashTable *query, gpointer self);
  static void on_body(SoupServer *server, SoupServerMessage *message, const char *path,
                      GHashTable *query, gpointer self);

  const Options &options_;
  SoupServer *server_;
  Metrics metrics_;
  RequestLog log_;
  Hardware hardware_;
  UpscaleService service_;
  Connections connections_;
};

}  // namespace upscale_server
