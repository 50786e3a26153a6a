#include "runtime/error.h"

#include <utility>

namespace livepeer {

Error::Error(ErrorKind kind, const std::string &message, std::string detail)
    : std::runtime_error(message), kind_(kind), detail_(std::move(detail)) {}

}  // namespace livepeer
