#pragma once

#include <libsoup/soup.h>

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "client_stream.h"
#include "glib_ptr.h"

namespace upscale_server {

/// How long a client may take.
struct Patience {
  unsigned idle_seconds;     ///< nothing moves, in a request or between two
  unsigned receive_seconds;  ///< a request's head; how far its body may fall behind kLeastRate
};

/// Bytes a second that a body has to arrive with.
constexpr gint64 kLeastRate = 8 * 1024;

/// A client's connection, in libsoup's hands. Watches how far it is and ends it where the client
/// takes too long, or has closed it between two requests. Lives as long as its socket.
class Connection final : private ClientWatcher {
 public:
  /// `late` gets a request whose body takes too long.
  using Late = std::function<void(SoupServerMessage *)>;
  using All = std::set<Connection *>;

  /// Gives `socket` to `server`, and enters it in `all` for as long as it lives.
  static void open(SoupServer *server, GSocket *socket, const Patience &patience, const Late &late,
                   std::shared_ptr<All> all);
  /// The connection that `message` came by, whose socket may be closed.
  static Connection *of(SoupServerMessage *message);

  /// Signals of libsoup's server.
  void request_started(SoupServerMessage *message);
  void request_finished(SoupServerMessage *message);

  GSocket *socket() const { return socket_; }
  bool is_open() const { return !g_socket_is_closed(socket_); }
  /// Whether it can be closed without a request being lost that has arrived.
  bool is_spare() const {
    return is_open() &&
           (phase_ == Phase::head || phase_ == Phase::idle || phase_ == Phase::lingering);
  }
  /// Whether more than a second is missing of the body that should be there.
  bool is_behind() const {
    return is_open() && phase_ == Phase::body && deadline_ < latest_deadline() - G_USEC_PER_SEC;
  }
  /// What has come of the body of this request, in bytes.
  gint64 body_bytes() const { return body_bytes_; }
  /// When more of the head or body has to be there (monotonic time).
  gint64 deadline() const { return deadline_; }
  /// When what it waits for began (monotonic time).
  gint64 since() const { return since_; }
  /// From now on it is not libsoup's, has been answered, and is only read empty.
  void linger() { enter(Phase::lingering); }
  void close();

 private:
  enum class Phase { head, body, answer, idle, lingering, ended };

  Connection(GSocket *socket, const Patience &patience, const Late &late, std::shared_ptr<All> all);
  ~Connection();

  void enter(Phase phase);
  gint64 latest_deadline() const;
  void set_timer(gint64 milliseconds);
  void stop_timer();
  bool came(const char *bytes, size_t size) override;
  bool takes_end() override;

  static void got_headers(SoupServerMessage *, gpointer self);
  static void got_chunk(SoupServerMessage *, GBytes *chunk, gpointer self);
  static void got_body(SoupServerMessage *, gpointer self);
  static void disconnected(SoupServerMessage *, gpointer self);
  static gboolean time_is_up(gpointer self);

  GSocket *socket_;
  const Patience &patience_;
  const Late &late_;
  const std::shared_ptr<All> all_;
  Phase phase_ = Phase::head;
  gint64 since_ = 0;
  gint64 deadline_ = 0;
  gint64 body_bytes_ = 0;
  unsigned head_lines_ = 0;
  bool head_is_over_ = false;
  std::string head_tail_;                 ///< the last two bytes of it that have come
  SoupServerMessage *request_ = nullptr;  ///< in the phases head and body
  MessagePtr last_;                       ///< when idle: the one before, which leads to the stream
  guint timer_ = 0;
};

}  // namespace upscale_server
