#pragma once

#include "answer.h"

namespace upscale_server {

/// Answers a request whose body has not been read, or not to its end: the answer goes out at once,
/// then what the client still sends is dropped for a while before the connection is closed, so that
/// a client that writes first and reads later gets to see it. `message` may be gone afterwards.
void answer_early(SoupServerMessage *message, const Answer &answer);

/// Bytes of the body as the request tells: 0 where it does not, huge where that is below 0 or above
/// what 63 bits hold.
uint64_t announced_length(SoupServerMessage *message);

}  // namespace upscale_server
