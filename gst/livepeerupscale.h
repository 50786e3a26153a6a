#pragma once

/* Helper library around the livepeerupscale element: caps, frames, plain scaling, meta, messages.
 * For applications that read what the element did to a frame, and for the element itself. */

#include "gst/gstlivepeercaps.h"
#include "gst/gstlivepeerframe.h"
#include "gst/gstlivepeermessages.h"
#include "gst/gstlivepeermeta.h"
#include "gst/gstlivepeerscaler.h"
