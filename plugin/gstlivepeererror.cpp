#include "gstlivepeererror.h"

#include <string>
#include <utility>

using livepeer::Error;
using livepeer::ErrorKind;

namespace {

std::pair<GQuark, gint> code_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::not_found:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NOT_FOUND};
    case ErrorKind::open_read:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_OPEN_READ};
    case ErrorKind::no_space:
      return {GST_RESOURCE_ERROR, GST_RESOURCE_ERROR_NO_SPACE_LEFT};
    case ErrorKind::init:
      return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_INIT};
    case ErrorKind::settings:
      return {GST_LIBRARY_ERROR, GST_LIBRARY_ERROR_SETTINGS};
    case ErrorKind::format:
      return {GST_STREAM_ERROR, GST_STREAM_ERROR_FORMAT};
    case ErrorKind::failed:
    case ErrorKind::cancelled:
      break;
  }
  return {GST_STREAM_ERROR, GST_STREAM_ERROR_FAILED};
}

void post(GstElement *element, GstMessageType type, const Error &error) {
  const auto [domain, code] = code_of(error.kind());
  const std::string detail = error.detail().empty() ? error.what() : error.detail();
  gst_element_message_full(element, type, domain, code, g_strdup(error.what()),
                           g_strdup(detail.c_str()), __FILE__, "livepeerupscale", __LINE__);
}

}  // namespace

void gst_livepeer_post_error(GstElement *element, const Error &error) {
  post(element, GST_MESSAGE_ERROR, error);
}

void gst_livepeer_post_warning(GstElement *element, const Error &error) {
  post(element, GST_MESSAGE_WARNING, error);
}
