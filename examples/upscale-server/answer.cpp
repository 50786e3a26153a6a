#include "answer.h"

namespace upscale_server {

std::string to_text(const Json &value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Answer http_error(unsigned status, const std::string &message) {
  return {status, to_text({{"detail", {{"msg", message}}}})};
}

Answer validation_error(Json items) { return {422, to_text({{"detail", std::move(items)}})}; }

Answer invalid_token() { return http_error(401, "Invalid bearer token."); }

Answer too_large(int64_t most) {
  return http_error(400, "The request is too large: this server takes at most " +
                             std::to_string(most) + " bytes here.");
}

Answer no_capacity(unsigned status, const std::string &why) {
  return http_error(status, "insufficient capacity: " + why);
}

Answer out_of_memory() {
  return http_error(500, "Out of memory error. Try reducing input image resolution.");
}

Answer pipeline_fault(const std::string &cause) {
  g_warning("%s", cause.c_str());
  return http_error(500, "Upscale pipeline error.");
}

void respond(SoupServerMessage *message, Answer answer) {
  if (answer.status == 401) {
    soup_message_headers_replace(soup_server_message_get_response_headers(message),
                                 "WWW-Authenticate", "Bearer");
  }
  soup_server_message_set_status(message, answer.status, nullptr);
  set_body(message, std::move(answer.body));
}

void set_body(SoupServerMessage *message, std::string json) {
  soup_message_headers_replace(soup_server_message_get_response_headers(message), "Content-Type",
                               "application/json");
  soup_message_body_truncate(soup_server_message_get_response_body(message));
  append_text(message, std::move(json));
}

void append_text(SoupServerMessage *message, std::string text) {
  auto *kept = new std::string(std::move(text));
  g_autoptr(GBytes) bytes = g_bytes_new_with_free_func(
      kept->data(), kept->size(), [](gpointer data) { delete static_cast<std::string *>(data); },
      kept);
  soup_message_body_append_bytes(soup_server_message_get_response_body(message), bytes);
}

}  // namespace upscale_server
