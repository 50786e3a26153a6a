#include "runtime/model.h"

#include "runtime/error.h"

namespace livepeer {

void Progress::advance(double fraction, const std::string &what) {
  if (cancelled_) throw Error(ErrorKind::cancelled, "cancelled");
  if (report_) report_(fraction, what);
}

}  // namespace livepeer
