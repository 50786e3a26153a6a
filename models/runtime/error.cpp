#include "runtime/error.h"

#include <new>
#include <utility>

namespace livepeer {

Error::Error(ErrorKind kind, const std::string &message, std::string detail)
    : std::runtime_error(message), kind_(kind), detail_(std::move(detail)) {}

Error current_error(const std::string &doing) {
  try {
    throw;
  } catch (const Error &error) {
    return error;
  } catch (const std::bad_alloc &error) {
    return Error(ErrorKind::no_space,
                 "There is not enough memory; lower memory-budget or tile-size, or use smaller "
                 "frames",
                 "while " + doing + ": " + error.what());
  } catch (const std::exception &error) {
    return Error(ErrorKind::failed, "The engine failed while " + doing + "; see the details",
                 error.what());
  } catch (...) {
    return Error(ErrorKind::failed, "The engine failed while " + doing + "; see the details",
                 "an exception of unknown type");
  }
}

}  // namespace livepeer
