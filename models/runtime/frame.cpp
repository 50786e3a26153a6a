#include "runtime/frame.h"

namespace livepeer {

const Frame &in_8_bits(const Frame &frame, Frame &made) {
  const Samples &samples = frame.samples;
  if (samples.bytes == 1) return frame;
  made = Frame::unset(frame.width, frame.height);
  const float step = samples.step();
  for (int y = 0; y < frame.height; ++y) {
    const auto *in = frame.row<uint16_t>(y);
    uint8_t *out = made.row(y);
    for (size_t i = 0; i < size_t(frame.width) * 3; ++i) {
      const float value = samples.lowest + step * float(in[i]);
      out[i] = uint8_t(std::clamp(value, 0.0F, 1.0F) * 255.0F + 0.5F);
    }
  }
  return made;
}

}  // namespace livepeer
