#include "http_server.h"

#include <cstring>
#include <new>
#include <stdexcept>

#include "early_answer.h"
#include "origin.h"

namespace upscale_server {

struct HttpServer::Route {
  const char *method;  ///< GET (which serves HEAD too) or POST
  const char *path;    ///< without a slash at its end, which is taken too
  void (HttpServer::*serve)(SoupServerMessage *message, const Route &route);
  const char *resource = nullptr;
  const char *type = nullptr;
};

const HttpServer::Route HttpServer::kRoutes[] = {
    {"POST", "/upscale", &HttpServer::take_picture},
    {"POST", "/api/generate/upscale", &HttpServer::take_picture},
    {"POST", "/api/beta/generate/upscale", &HttpServer::take_picture},
    // what SDKs built for Livepeer Studio make of a server URL that ends in /api, as their own does
    {"POST", "/api/api/generate/upscale", &HttpServer::take_picture},
    {"GET", "/health", &HttpServer::send_health},
    {"GET", "/version", &HttpServer::send_version},
    {"GET", "/hardware/info", &HttpServer::send_gpu_info},
    {"GET", "/hardware/stats", &HttpServer::send_gpu_stats},
    {"GET", "/metrics", &HttpServer::send_metrics},
    {"GET", "/openapi.json", &HttpServer::send_resource, "openapi.json", "application/json"},
    {"GET", "", &HttpServer::send_resource, "index.html", "text/html; charset=utf-8"},
    {"GET", "/page.css", &HttpServer::send_resource, "page.css", "text/css; charset=utf-8"},
    {"GET", "/exif.js", &HttpServer::send_resource, "exif.js", "text/javascript; charset=utf-8"},
    {"GET", "/page.js", &HttpServer::send_resource, "page.js", "text/javascript; charset=utf-8"},
};

namespace {

Answer plain_error(unsigned status, const char *words) {
  return {status, to_text({{"detail", words}})};
}

/// Of which a proxy may have believed another one than libsoup does.
bool has_lengths(SoupServerMessage *message) {
  const char *all = soup_message_headers_get_list(soup_server_message_get_request_headers(message),
                                                  "Content-Length");
  return all && strchr(all, ',');
}

/// Bytes of a body that nobody looks at.
constexpr int64_t kMostUnread = 64 * 1024;

bool serves(const char *method, SoupServerMessage *message) {
  const char *asked = soup_server_message_get_method(message);
  return g_str_equal(method, asked) || (g_str_equal(method, "GET") && g_str_equal(asked, "HEAD"));
}

}  // namespace

HttpServer::HttpServer(const Options &options)
    : options_(options),
      server_(soup_server_new("server-header", "livepeer-upscale-server", nullptr)),
      log_(server_, metrics_),
      service_(options_, metrics_, log_),
      connections_(server_, options_, metrics_,
                   [this](SoupServerMessage *message) { service_.too_late(message); }) {
  g_signal_connect(server_, "request-started", G_CALLBACK(on_start), nullptr);
  soup_server_add_early_handler(server_, nullptr, on_headers, this, nullptr);
  soup_server_add_handler(server_, nullptr, on_body, this, nullptr);
}

HttpServer::~HttpServer() { g_object_unref(server_); }

const HttpServer::Route *HttpServer::find(SoupServerMessage *message) const {
  std::string path = g_uri_get_path(soup_server_message_get_uri(message));
  if (!path.empty() && path.back() == '/') path.pop_back();
  for (const Route &route : kRoutes)
    if (path == route.path) return &route;
  return nullptr;
}

/// What libsoup cannot read it refuses by itself, with a status of its choice and without a body.
/// It then finds this one.
void HttpServer::on_start(SoupServer *, SoupServerMessage *message, gpointer) {
  set_body(message, http_error(400, "This is not a request that HTTP/1.1 allows.").body);
}

void HttpServer::on_headers(SoupServer *, SoupServerMessage *message, const char *, GHashTable *,
                            gpointer data) {
  auto *self = static_cast<HttpServer *>(data);
  soup_server_message_set_response(message, nullptr, SOUP_MEMORY_STATIC, nullptr, 0);
  allow_origin(message, self->options_);
  const Route *route = self->find(message);
  if (has_lengths(message))
    self->service_.refuse_early(message, http_error(400, "There is more than one Content-Length."));
  else if (route && route->serve == &HttpServer::take_picture && serves(route->method, message))
    self->service_.on_headers(message);
  else
    self->pass_over_body(message);
}

void HttpServer::pass_over_body(SoupServerMessage *message) {
  soup_message_body_set_accumulate(soup_server_message_get_request_body(message), FALSE);
  if (announced_length(message) > uint64_t(kMostUnread))
    service_.refuse_early(message, too_large(kMostUnread));
  else
    g_signal_connect(message, "got-chunk", G_CALLBACK(got_unread), this);
}

void HttpServer::got_unread(SoupServerMessage *message, GBytes *, gpointer data) {
  if (Connection::of(message)->body_bytes() > kMostUnread)
    static_cast<HttpServer *>(data)->service_.refuse_early(message, too_large(kMostUnread));
}

void HttpServer::on_body(SoupServer *, SoupServerMessage *message, const char *, GHashTable *,
                         gpointer data) {
  try {
    static_cast<HttpServer *>(data)->serve(message);
  } catch (const std::bad_alloc &) {
    respond(message, out_of_memory());
  } catch (const std::exception &error) {
    respond(message, pipeline_fault(error.what()));
  }
}

void HttpServer::serve(SoupServerMessage *message) {
  const Route *route = find(message);
  if (!route) {
    respond(message, plain_error(404, "Not Found"));
  } else if (is_preflight(message)) {
    if (const auto refusal = refuse_origin(message, options_))
      respond(message, *refusal);
    else
      answer_preflight(message, route->method);
  } else if (!serves(route->method, message)) {
    soup_message_headers_replace(soup_server_message_get_response_headers(message), "Allow",
                                 route->method);
    respond(message, plain_error(405, "Method Not Allowed"));
  } else {
    (this->*route->serve)(message, *route);
  }
}

void HttpServer::take_picture(SoupServerMessage *message, const Route &) {
  service_.on_body(message);
}

void HttpServer::send_json(SoupServerMessage *message, const Json &value) {
  respond(message, {200, to_text(value)});
}

void HttpServer::send_resource(SoupServerMessage *message, const Route &route) {
  const std::string path = std::string("/upscale-server/") + route.resource;
  g_autoptr(GBytes) bytes =
      g_resources_lookup_data(path.c_str(), G_RESOURCE_LOOKUP_FLAGS_NONE, nullptr);
  SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
  soup_message_headers_replace(
      headers, "Content-Security-Policy",
      "default-src 'none'; style-src 'self'; script-src 'self' "
      // index.html's own: behind a path without its last slash nothing else loads
      "'sha256-J0byWcFw6zzET3kQyywBSH2eHGLlsh+HLC8A0R4bGfY='; "
      "img-src 'self' blob: data:; connect-src 'self' data:");
  soup_message_headers_replace(headers, "X-Content-Type-Options", "nosniff");
  soup_server_message_set_status(message, 200, nullptr);
  gsize size = 0;
  const char *data = static_cast<const char *>(g_bytes_get_data(bytes, &size));
  soup_server_message_set_response(message, route.type, SOUP_MEMORY_COPY, data, size);
}

void HttpServer::send_health(SoupServerMessage *message, const Route &) {
  send_json(message, {{"status", "OK"}});
}

Json HttpServer::identity() const {
  return {{"pipeline", "upscale"}, {"model_id", options_.model_id}};
}

void HttpServer::send_version(SoupServerMessage *message, const Route &) {
  Json version = identity();
  version["version"] = PROJECT_VERSION;
  send_json(message, version);
}

Hardware::Done HttpServer::later(SoupServerMessage *message, const char *member) {
  soup_server_message_pause(message);
  const std::shared_ptr<SoupServerMessage> held = hold(message);
  return [this, held, member](const Json &gpus) {
    Json body = identity();
    body[member] = gpus;
    send_json(held.get(), body);
    soup_server_message_unpause(held.get());
  };
}

void HttpServer::send_gpu_info(SoupServerMessage *message, const Route &) {
  hardware_.read_info(later(message, "gpu_info"));
}

void HttpServer::send_gpu_stats(SoupServerMessage *message, const Route &) {
  hardware_.read_stats(later(message, "gpu_stats"));
}

void HttpServer::send_metrics(SoupServerMessage *message, const Route &) {
  if (options_.private_metrics && !service_.authorized(message)) {
    respond(message, invalid_token());
    return;
  }
  const std::string text = metrics_.text();
  soup_server_message_set_status(message, 200, nullptr);
  soup_server_message_set_response(message, "text/plain; version=0.0.4; charset=utf-8",
                                   SOUP_MEMORY_COPY, text.data(), text.size());
}

}  // namespace upscale_server
