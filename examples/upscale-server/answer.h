#pragma once

#include <libsoup/soup.h>

#include <nlohmann/json.hpp>
#include <string>

namespace upscale_server {

using Json = nlohmann::ordered_json;

/// A status and a JSON body.
struct Answer {
  unsigned status = 200;
  std::string body;
};

/// JSON text of `value`; bytes that are not UTF-8 are replaced.
std::string to_text(const Json &value);

/// {"detail":{"msg":...}}, the body of every error but 422.
Answer http_error(unsigned status, const std::string &message);

/// {"detail":[...]}, status 422.
Answer validation_error(Json items);

/// 401.
Answer invalid_token();

/// 400: more than `most` bytes.
Answer too_large(int64_t most);

/// No slot is free. As a 500 it makes a gateway try another node without suspending this one.
Answer no_capacity(unsigned status, const std::string &why);

/// The two other faults that are not the client's. The cause goes to the log only.
Answer out_of_memory();
Answer pipeline_fault(const std::string &cause);

/// Makes `answer` the response to `message`, in place of any other. A 401 gets its WWW-Authenticate
/// header.
void respond(SoupServerMessage *message, Answer answer);
/// The body alone, in place of any other.
void set_body(SoupServerMessage *message, std::string json);
/// Adds `text` to the body of the response without copying it.
void append_text(SoupServerMessage *message, std::string text);

}  // namespace upscale_server
