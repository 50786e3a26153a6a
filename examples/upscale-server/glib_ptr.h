#pragma once

#include <gst/gst.h>
#include <libsoup/soup.h>

#include <memory>

namespace upscale_server {

template <auto release>
struct Release {
  template <class T>
  void operator()(T *pointer) const {
    release(pointer);
  }
};

using BytesPtr = std::unique_ptr<GBytes, Release<g_bytes_unref>>;
using BusPtr = std::unique_ptr<GstBus, Release<gst_object_unref>>;
using ElementPtr = std::unique_ptr<GstElement, Release<gst_object_unref>>;
/// Stops the element before it lets go of it.
struct Stop {
  void operator()(GstElement *element) const {
    gst_element_set_state(element, GST_STATE_NULL);
    gst_object_unref(element);
  }
};
using RunningElementPtr = std::unique_ptr<GstElement, Stop>;
using MessagePtr = std::unique_ptr<SoupServerMessage, Release<g_object_unref>>;

inline MessagePtr hold(SoupServerMessage *message) {
  return MessagePtr(SOUP_SERVER_MESSAGE(g_object_ref(message)));
}

}  // namespace upscale_server
