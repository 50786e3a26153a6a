#pragma once

#include "runtime/frame.h"

namespace livepeer {

/// How far the picture as a whole has moved from one frame to the next of the same size, both in
/// 8 bits: the displacement of up to 20 pixels each way under which the frames agree best, on luma.
/// None where none makes the frames agree clearly better than standing still. Session::follow moves
/// the noise by it.
Shift estimate_shift(const Frame &from, const Frame &to);

}  // namespace livepeer
