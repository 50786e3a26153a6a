#include "connections.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <memory>
#include <stdexcept>

namespace upscale_server {
namespace {

constexpr guint kPauseMilliseconds = 100;  // after the system refused a connection
constexpr int kBacklog = 1024;
/// Descriptors kept for the server's own work: for each picture under way its pipeline's, and for
/// everything else nvidia-smi's pipes and files that libraries open.
constexpr int kForPicture = 24;
constexpr int kForRest = 24;

GSocket *checked(GSocket *socket, GError *error, const std::string &what) {
  const std::unique_ptr<GError, Release<g_error_free>> held(error);
  if (!socket) throw std::runtime_error(what + ": " + error->message);
  return socket;
}

int open_descriptors() {
  int number = 0;
  if (DIR *folder = opendir("/proc/self/fd")) {
    while (readdir(folder)) number++;
    closedir(folder);
  }
  return number;
}

/// How many connections there may be.
size_t most_connections(const Options &options) {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return size_t(options.max_connections);
  const auto own = rlim_t(open_descriptors() + kForPicture * options.workers + kForRest);
  const rlim_t left = limit.rlim_cur > own ? limit.rlim_cur - own : 1;
  return size_t(std::min(left, rlim_t(options.max_connections)));
}

}  // namespace

Connections::Connections(SoupServer *server, const Options &options, Metrics &metrics,
                         Connection::Late late)
    : server_(server),
      options_(options),
      metrics_(metrics),
      patience_{unsigned(options.idle_seconds), unsigned(options.receive_seconds)},
      late_(std::move(late)) {
  g_signal_connect(server, "request-started", G_CALLBACK(started), nullptr);
  g_signal_connect(server, "request-finished", G_CALLBACK(finished), nullptr);
  g_signal_connect(server, "request-aborted", G_CALLBACK(finished), nullptr);
}

Connections::~Connections() {
  stop_listening();
  g_clear_object(&unreachable_);
}

std::string Connections::listen() {
  const std::string where = options_.host + " port " + std::to_string(options_.port);
  g_autoptr(GSocketAddress) address =
      g_inet_socket_address_new_from_string(options_.host.c_str(), options_.port);
  if (!address)
    throw std::runtime_error("--host must be an IP address, not '" + options_.host + "'");
  GError *error = nullptr;
  const GSocketFamily family = g_socket_address_get_family(address);
  listener_ = checked(g_socket_new(family, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, &error),
                      error, "cannot listen on " + where);
  if (family == G_SOCKET_FAMILY_IPV6)
    g_socket_set_option(listener_, IPPROTO_IPV6, IPV6_V6ONLY, TRUE, nullptr);
  g_socket_set_blocking(listener_, FALSE);
  g_socket_set_listen_backlog(listener_, kBacklog);
  const bool good =
      g_socket_bind(listener_, address, TRUE, &error) && g_socket_listen(listener_, &error);
  checked(good ? listener_ : nullptr, error, "cannot listen on " + where);

  // libsoup keeps a connection after a request only while it listens itself: to a socket that
  // nobody can reach.
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
    throw std::runtime_error("there are too few descriptors to listen");
  unreachable_ = g_socket_new_from_fd(pair[0], nullptr);
  g_autoptr(GSocket) near = g_socket_new_from_fd(pair[1], nullptr);
  if (!soup_server_listen_socket(server_, near, SoupServerListenOptions(0), &error))
    checked(nullptr, error, "cannot listen on " + where);

  most_ = most_connections(options_);
  if (most_ < size_t(options_.max_connections))
    g_message(
        "only %zu connection%s at once, not %d: raise the limit of descriptors (ulimit -n, or "
        "LimitNOFILE= in the unit)",
        most_, most_ == 1 ? "" : "s", options_.max_connections);
  watch_listener();

  g_autoptr(GSocketAddress) bound = g_socket_get_local_address(listener_, nullptr);
  auto *inet = G_INET_SOCKET_ADDRESS(bound);
  g_autofree char *host = g_inet_address_to_string(g_inet_socket_address_get_address(inet));
  g_autoptr(GUri) uri = g_uri_build(G_URI_FLAGS_NONE, "http", nullptr, host,
                                    g_inet_socket_address_get_port(inet), "/", nullptr, nullptr);
  g_autofree char *text = g_uri_to_string(uri);
  return text;
}

void Connections::watch_listener() {
  source_ = g_socket_create_source(listener_, G_IO_IN, nullptr);
  g_source_set_callback(source_, G_SOURCE_FUNC(can_accept), this, nullptr);
  g_source_attach(source_, nullptr);
}

void Connections::stop_listening() {
  if (pause_) g_source_remove(pause_);
  pause_ = 0;
  if (source_) g_source_destroy(source_);
  g_clear_pointer(&source_, g_source_unref);
  if (listener_) g_socket_close(listener_, nullptr);
  g_clear_object(&listener_);
}

gboolean Connections::can_accept(GSocket *, GIOCondition, gpointer data) {
  static_cast<Connections *>(data)->accept_one();
  return G_SOURCE_CONTINUE;
}

void Connections::accept_one() {
  g_autoptr(GError) error = nullptr;
  g_autoptr(GSocket) socket = g_socket_accept(listener_, nullptr, &error);
  if (socket) {
    add(socket);
    return;
  }
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK)) return;  // it did not wait
  g_message("a connection has to wait: %s", error->message);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_TOO_MANY_OPEN_FILES)) make_room();
  g_source_destroy(source_);
  g_clear_pointer(&source_, g_source_unref);
  pause_ = g_timeout_add(
      kPauseMilliseconds,
      [](gpointer data) -> gboolean {
        auto *self = static_cast<Connections *>(data);
        self->pause_ = 0;
        self->watch_listener();
        return G_SOURCE_REMOVE;
      },
      this);
}

void Connections::add(GSocket *socket) {
  if (open() >= most_ && !make_room()) {
    metrics_.connections_shed++;
    return;
  }
  g_socket_set_option(socket, IPPROTO_TCP, TCP_NODELAY, TRUE, nullptr);
  Connection::open(server_, socket, patience_, late_, connections_);
}

/// Closes a connection that has no request or, where there is none, whose body is the furthest
/// behind.
bool Connections::make_room() {
  Connection *oldest = nullptr, *slowest = nullptr;
  for (Connection *connection : *connections_) {
    if (connection->is_spare() && (!oldest || connection->since() < oldest->since()))
      oldest = connection;
    if (connection->is_behind() && (!slowest || connection->deadline() < slowest->deadline()))
      slowest = connection;
  }
  if (!oldest) oldest = slowest;
  if (!oldest) return false;
  metrics_.connections_shed++;
  oldest->close();
  return true;
}

size_t Connections::open() const {
  return size_t(std::count_if(connections_->begin(), connections_->end(),
                              [](Connection *connection) { return connection->is_open(); }));
}

void Connections::started(SoupServer *, SoupServerMessage *message, gpointer) {
  if (Connection *connection = Connection::of(message)) connection->request_started(message);
}

void Connections::finished(SoupServer *, SoupServerMessage *message, gpointer) {
  if (Connection *connection = Connection::of(message)) connection->request_finished(message);
}

}  // namespace upscale_server
