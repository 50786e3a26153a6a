#include "runtime/model.h"

#include "runtime/error.h"

namespace livepeer {

void Progress::advance(double fraction, const std::string &what) {
  if (cancelled_) throw Error(ErrorKind::cancelled, "cancelled");
  if (report_) report_(fraction, what);
}

Frame UpscaleModel::upscale(const Frame &low_res, const Rect &region,
                            const UpscaleSettings &settings, const Shift &noise_shift,
                            const Limits &limits, Progress &progress) {
  Frame high_res = Frame::unset(region.width * 4, region.height * 4, low_res.samples);
  upscale_into(high_res, low_res, region, settings, {settings.seed, noise_shift}, limits, progress);
  return high_res;
}

}  // namespace livepeer
