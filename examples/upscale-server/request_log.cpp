#include "request_log.h"

namespace upscale_server {
namespace {

constexpr const char *kEntry = "upscale-server-log-entry";
constexpr size_t kMaxPath = 120;
constexpr unsigned kAborted = 0;  // in place of a status: the client did not wait for its answer

struct Entry {
  gint64 start = g_get_monotonic_time();
  std::string client;  // libsoup cannot tell any more once the connection has gone
  std::string words;
  bool answered = false;
  bool client_left = false;
};

Entry *entry_of(SoupServerMessage *message) {
  return static_cast<Entry *>(g_object_get_data(G_OBJECT(message), kEntry));
}

}  // namespace

RequestLog::RequestLog(SoupServer *server, Metrics &metrics) : metrics_(metrics) {
  g_signal_connect(server, "request-started", G_CALLBACK(started), this);
  g_signal_connect(server, "request-finished", G_CALLBACK(finished), this);
  g_signal_connect(server, "request-aborted", G_CALLBACK(finished), this);
}

void RequestLog::started(SoupServer *, SoupServerMessage *message, gpointer) {
  auto *entry = new Entry;
  const char *client = soup_server_message_get_remote_host(message);
  entry->client = client ? client : "unknown";
  g_object_set_data_full(G_OBJECT(message), kEntry, entry,
                         [](gpointer entry) { delete static_cast<Entry *>(entry); });
  g_signal_connect(message, "wrote-body", G_CALLBACK(wrote_body), nullptr);
}

void RequestLog::finished(SoupServer *, SoupServerMessage *message, gpointer self) {
  const Entry *entry = entry_of(message);
  const bool arrived = entry && entry->answered && !entry->client_left;
  static_cast<RequestLog *>(self)->write(
      message, arrived ? soup_server_message_get_status(message) : kAborted);
}

/// libsoup calls every answer of status 500 aborted, so it is seen by itself whether one was sent.
void RequestLog::wrote_body(SoupServerMessage *message, gpointer) {
  entry_of(message)->answered = true;
}

void RequestLog::client_left(SoupServerMessage *message) {
  if (Entry *entry = entry_of(message)) entry->client_left = true;
}

void RequestLog::annotate(SoupServerMessage *message, const std::string &words) {
  if (Entry *entry = entry_of(message)) entry->words += " " + words;
}

void RequestLog::write(SoupServerMessage *message, unsigned status) {
  const Entry *entry = entry_of(message);
  GUri *uri = soup_server_message_get_uri(message);
  const char *method = soup_server_message_get_method(message);
  if (!entry || !uri || !method) return;
  g_autofree char *path = g_strescape(g_uri_get_path(uri), nullptr);
  const double seconds = double(g_get_monotonic_time() - entry->start) / G_USEC_PER_SEC;
  const std::string outcome = status == kAborted ? "aborted" : std::to_string(status);
  g_message("%s %.8s %.*s %s %.3f s%s", entry->client.c_str(), method, int(kMaxPath), path,
            outcome.c_str(), seconds, entry->words.c_str());
  if (method == SOUP_METHOD_POST && status != kAborted) metrics_.post_requests[status]++;
}

}  // namespace upscale_server
