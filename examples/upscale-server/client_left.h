#pragma once

#include <glib.h>
#include <poll.h>

namespace upscale_server {

/// What poll() says of a socket whose client has gone. A closed connection shows as the end of the
/// client's half, which GLib has no name for but passes on.
#ifdef POLLRDHUP
constexpr auto kClientLeft = GIOCondition(G_IO_HUP | G_IO_ERR | POLLRDHUP);
#else
constexpr auto kClientLeft = GIOCondition(G_IO_HUP | G_IO_ERR);
#endif

}  // namespace upscale_server
