#pragma once

#include <stdexcept>
#include <string>

namespace upscale_file {

/// A sentence for the user: what is wrong, and what to do.
class Failure : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// A signal came before there was anything to keep.
class Interrupted : public std::runtime_error {
 public:
  Interrupted() : std::runtime_error("interrupted") {}
};

}  // namespace upscale_file
