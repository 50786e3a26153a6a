#pragma once

#include <libsoup/soup.h>

#include <optional>

#include "answer.h"
#include "options.h"

namespace upscale_server {

/// A browser names the page that sends a request in its header Origin, and lets any page post to
/// any server. Refuses pages that are neither of this machine, nor of the address that they post
/// to, nor in
/// `--allow-origin`. A request without Origin does not come from a page.
std::optional<Answer> refuse_origin(SoupServerMessage *message, const Options &options);

/// Tells the browser that the page may see the answer; nothing where refuse_origin() refuses it.
void allow_origin(SoupServerMessage *message, const Options &options);

/// `text` as a browser would write that origin: scheme and host in lower case, no default port, no
/// slash at the end; or "*" or "null" as they are. Nothing where no browser can mean it.
std::optional<std::string> read_origin(const std::string &text);

/// Whether a browser asks with `message` what the page may send.
bool is_preflight(SoupServerMessage *message);
/// The answer to a preflight that is not refused: `method` may be sent.
void answer_preflight(SoupServerMessage *message, const char *method);

}  // namespace upscale_server
