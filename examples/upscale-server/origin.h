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

/// Whether a browser asks with `message` what the page may send.
bool is_preflight(SoupServerMessage *message);
/// The answer to a preflight that is not refused: `method` may be sent.
void answer_preflight(SoupServerMessage *message, const char *method);

}  // namespace upscale_server
