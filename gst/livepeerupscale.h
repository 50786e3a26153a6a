#pragma once

/* What the livepeerupscale element tells of a frame: the meta on its buffer and the messages on the
 * bus. For applications, and for the element itself. */

#include "gst/gstlivepeermessages.h"
#include "gst/gstlivepeermeta.h"
