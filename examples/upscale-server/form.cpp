// libsoup's own SoupMultipart is not used: in libsoup 3.2 it refuses a body whose closing boundary
// is not followed by a line break, which several clients send, and it looks for the end of a part's
// headers with strstr, beyond the end of the body. Headers and their parameters are read by
// libsoup.
#include "form.h"

#include <algorithm>
#include <cstddef>

namespace upscale_server {
namespace {

constexpr size_t kMaxText = 1024 * 1024;  // bytes of one text field, as the reference has it
constexpr size_t kMaxParts = 1000;
constexpr size_t kMaxBoundary = 256;
constexpr size_t kMaxHeaders = 8 * 1024;  // bytes of one part's
constexpr ptrdiff_t kMaxHeaderLines = 64;

std::string boundary_of(SoupMessageHeaders *headers) {
  GHashTable *parameters = nullptr;
  const char *type = soup_message_headers_get_content_type(headers, &parameters);
  if (!type) return {};
  const char *value = static_cast<const char *>(g_hash_table_lookup(parameters, "boundary"));
  std::string boundary = value ? value : "";
  const bool multipart = g_ascii_strcasecmp(type, "multipart/form-data") == 0;
  g_hash_table_unref(parameters);
  if (!multipart) return {};
  if (boundary.empty()) throw FormError("Missing boundary in multipart.");
  if (boundary.size() > kMaxBoundary) throw FormError("The multipart boundary is too long.");
  return boundary;
}

/// Walks over the boundary lines of a body.
class Boundaries {
 public:
  Boundaries(std::string_view body, const std::string &boundary)
      : body_(body), mark_("--" + boundary) {}

  /// Finds the next boundary line. `before`: where what came before it ends. False: there is none.
  bool next(size_t &before) {
    for (size_t at = position_; (at = body_.find(mark_, at)) != std::string_view::npos; at++) {
      const bool starts_line = at == 0 || (at >= 2 && body_.substr(at - 2, 2) == "\r\n");
      if (!starts_line || !ends_line(at + mark_.size())) continue;
      before = at < 2 ? 0 : at - 2;
      return true;
    }
    return false;
  }

  bool closed() const { return closed_; }
  size_t position() const { return position_; }

 private:
  bool ends_line(size_t at) {
    if (body_.substr(at, 2) == "--") {
      closed_ = true;
      position_ = at + 2;
      return true;
    }
    at = body_.find_first_not_of(" \t", at);
    if (at == std::string_view::npos || body_.substr(at, 2) != "\r\n") return false;
    position_ = at + 2;
    return true;
  }

  std::string_view body_;
  std::string mark_;
  size_t position_ = 0;
  bool closed_ = false;
};

void add_part(std::string_view part, Form &form) {
  const size_t end = part.find("\r\n\r\n");
  if (end == std::string_view::npos || end > kMaxHeaders)
    throw FormError("A multipart part has no end of headers.");
  const std::string_view head = part.substr(0, end + 2);
  // libsoup's time grows with the square of these.
  if (std::count(head.begin(), head.end(), '\n') > kMaxHeaderLines ||
      std::count(head.begin(), head.end(), '\0') > 0)
    throw FormError("A multipart part has too many headers, or a NUL in them.");
  // soup_headers_parse() skips a first line, which in a message is the request line.
  const std::string text = "\r\n" + std::string(head);
  g_autoptr(SoupMessageHeaders) headers = soup_message_headers_new(SOUP_MESSAGE_HEADERS_MULTIPART);
  g_autofree char *disposition = nullptr;
  g_autoptr(GHashTable) parameters = nullptr;
  if (!soup_headers_parse(text.c_str(), int(text.size()), headers) ||
      !soup_message_headers_get_content_disposition(headers, &disposition, &parameters))
    throw FormError("A multipart part has no Content-Disposition header.");
  const char *name = static_cast<const char *>(g_hash_table_lookup(parameters, "name"));
  if (!name) throw FormError("The Content-Disposition header field \"name\" must be provided.");

  FormField field;
  field.value = part.substr(end + 4);
  field.is_file = g_hash_table_contains(parameters, "filename");
  if (!field.is_file && field.value.size() > kMaxText)
    throw FormError("The field " + std::string(name) + " is longer than 1 MiB.");
  form[name] = field;
}

}  // namespace

Form parse_form(SoupMessageHeaders *headers, std::string_view body) {
  Form form;
  const std::string boundary = boundary_of(headers);
  if (boundary.empty() || body.empty()) return form;

  Boundaries boundaries(body, boundary);
  size_t end = 0;
  if (!boundaries.next(end)) throw FormError("The multipart boundary does not occur in the body.");
  for (size_t parts = 0; !boundaries.closed(); parts++) {
    if (parts == kMaxParts) throw FormError("Too many fields: at most 1000 are taken.");
    const size_t start = boundaries.position();
    if (!boundaries.next(end)) throw FormError("The multipart body is torn off in a part.");
    if (end < start) throw FormError("A multipart part is empty.");
    add_part(body.substr(start, end - start), form);
  }
  return form;
}

}  // namespace upscale_server
