#include "origin.h"

#include <algorithm>
#include <cstring>

namespace upscale_server {
namespace {

const char *request_header(SoupServerMessage *message, const char *name) {
  return soup_message_headers_get_one(soup_server_message_get_request_headers(message), name);
}

GInetAddress *address_of(GSocketAddress *address) {
  return g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address));
}

bool is_loopback(const std::string &host) {
  constexpr const char *name = "localhost";
  if (host == name || g_str_has_suffix(host.c_str(), (std::string(".") + name).c_str()))
    return true;
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host.c_str());
  return address && g_inet_address_get_is_loopback(address);
}

bool is_own_address(const std::string &host, SoupServerMessage *message) {
  GSocketAddress *own = soup_server_message_get_local_address(message);
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host.c_str());
  return own && address && g_inet_address_equal(address, address_of(own));
}

bool is_allowed(const char *origin, SoupServerMessage *message, const Options &options) {
  const auto &allowed = options.allowed_origins;
  if (std::any_of(allowed.begin(), allowed.end(), [origin](const std::string &one) {
        return one == "*" || g_ascii_strcasecmp(one.c_str(), origin) == 0;
      }))
    return true;
  g_autoptr(GUri) uri = g_uri_parse(origin, G_URI_FLAGS_NONE, nullptr);
  const char *host = uri ? g_uri_get_host(uri) : nullptr;
  if (!host) return false;
  g_autofree char *lower = g_ascii_strdown(host, -1);
  return is_loopback(lower) || is_own_address(lower, message);
}

void set(SoupMessageHeaders *headers, const char *name, const char *value) {
  soup_message_headers_replace(headers, name, value);
}

}  // namespace

std::optional<std::string> read_origin(const std::string &text) {
  if (text == "*" || text == "null") return text;
  g_autoptr(GUri) uri = g_uri_parse(text.c_str(), G_URI_FLAGS_NONE, nullptr);
  const char *host = uri ? g_uri_get_host(uri) : nullptr;
  const std::string path = uri ? g_uri_get_path(uri) : "";
  if (!host || !*host || strpbrk(host, "*% ") || (!path.empty() && path != "/") ||
      g_uri_get_userinfo(uri) || g_uri_get_query(uri) || g_uri_get_fragment(uri))
    return std::nullopt;
  const std::string scheme = g_uri_get_scheme(uri);
  const int default_port = scheme == "http" ? 80 : scheme == "https" ? 443 : -1;
  const int port = g_uri_get_port(uri);
  g_autofree char *lower = g_ascii_strdown(host, -1);
  g_autofree char *origin = g_uri_join(G_URI_FLAGS_NONE, scheme.c_str(), nullptr, lower,
                                       port == default_port ? -1 : port, "", nullptr, nullptr);
  return origin;
}

std::optional<Answer> refuse_origin(SoupServerMessage *message, const Options &options) {
  const char *origin = request_header(message, "Origin");
  if (!origin || is_allowed(origin, message, options)) return std::nullopt;
  return http_error(400, std::string("Pages of ") + origin +
                             " may not use this server; its option --allow-origin lets them.");
}

void allow_origin(SoupServerMessage *message, const Options &options) {
  const char *origin = request_header(message, "Origin");
  if (!origin || !is_allowed(origin, message, options)) return;
  SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
  set(headers, "Access-Control-Allow-Origin", origin);
  set(headers, "Vary", "Origin");
}

bool is_preflight(SoupServerMessage *message) {
  return g_str_equal(soup_server_message_get_method(message), "OPTIONS") &&
         request_header(message, "Origin") &&
         request_header(message, "Access-Control-Request-Method");
}

void answer_preflight(SoupServerMessage *message, const char *method) {
  SoupMessageHeaders *headers = soup_server_message_get_response_headers(message);
  set(headers, "Access-Control-Allow-Methods", method);
  if (const char *names = request_header(message, "Access-Control-Request-Headers"))
    set(headers, "Access-Control-Allow-Headers", names);
  if (request_header(message, "Access-Control-Request-Private-Network"))
    set(headers, "Access-Control-Allow-Private-Network", "true");
  set(headers, "Access-Control-Max-Age", "600");
  // libsoup closes the connection after a 204.
  soup_server_message_set_status(message, 200, nullptr);
}

}  // namespace upscale_server
