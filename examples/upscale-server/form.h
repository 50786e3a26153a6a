#pragma once

#include <libsoup/soup.h>

#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace upscale_server {

/// The value of a form field. The text lies in the body that was parsed.
struct FormField {
  std::string_view value;
  bool is_file = false;
};

/// Fields by name; of a repeated one the last.
using Form = std::map<std::string, FormField, std::less<>>;

/// A body that claims to be multipart and is not, or that breaks a limit (status 400).
class FormError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Parses a multipart/form-data body. A body of another type is a form without fields.
/// Throws FormError.
Form parse_form(SoupMessageHeaders *headers, std::string_view body);

}  // namespace upscale_server
