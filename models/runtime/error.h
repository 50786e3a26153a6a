#pragma once

#include <stdexcept>
#include <string>

namespace livepeer {

/// What went wrong; the element gives each kind a domain and code of GStreamer's.
enum class ErrorKind {
  not_found,  ///< a path or a model id that does not exist
  open_read,  ///< a file that cannot be read, is damaged, or does not hold what it should
  no_space,   ///< memory of the device or the machine is exhausted, or would be
  init,       ///< torch, CUDA or a device cannot be started
  settings,   ///< a combination of settings that cannot work
  format,     ///< video that is not taken
  failed,     ///< inference threw
  cancelled,  ///< the caller asked to stop; never shown to a user
};

/// The only exception type that the engine throws on purpose. `what()` is one sentence for a user
/// that says what to do; `detail()` holds paths, shapes, numbers.
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string &message, std::string detail = {});
  ErrorKind kind() const { return kind_; }
  const std::string &detail() const { return detail_; }

 private:
  ErrorKind kind_;
  std::string detail_;
};

/// Whatever is being thrown, as an Error; for catch-all handlers at borders that no exception may
/// cross. `doing` completes "The engine failed while ...".
Error current_error(const std::string &doing);

}  // namespace livepeer
