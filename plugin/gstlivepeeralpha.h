#pragma once

#include <glib.h>

#include <vector>

#include "runtime/frame.h"

/* Transparent pictures. Colours are straight, not multiplied by alpha, so those of pixels that
 * hardly show can be anything, and must not spread when the picture is enlarged. `alpha` has a
 * number for each pixel, of as many bytes as the picture's, 0 for transparent. */

/// Gives pixels the colours of those around them, the more the less they show beside them. Returns
/// what that takes from the picture, multiplied by alpha, as samples of -1 .. 1; an empty frame
/// where it takes nothing.
livepeer::Frame gst_livepeer_hide_transparent(livepeer::Frame &pixels,
                                              const livepeer::Bytes &alpha);

/// Puts back what was taken, all of the enlarged size, so that laid over anything the picture looks
/// as if it had been multiplied by alpha before.
void gst_livepeer_put_back(livepeer::Frame &pixels, const livepeer::Frame &taken,
                           const livepeer::Bytes &alpha);
