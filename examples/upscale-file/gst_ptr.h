#pragma once

#include <gst/gst.h>

#include <memory>

namespace upscale_file {

struct UnrefMini {
  void operator()(void *object) const { gst_mini_object_unref(GST_MINI_OBJECT_CAST(object)); }
};
struct UnrefObject {
  void operator()(void *object) const { g_object_unref(object); }
};

using BufferPtr = std::unique_ptr<GstBuffer, UnrefMini>;
using CapsPtr = std::unique_ptr<GstCaps, UnrefMini>;
using ElementPtr = std::unique_ptr<GstElement, UnrefObject>;
using PadPtr = std::unique_ptr<GstPad, UnrefObject>;
using SamplePtr = std::unique_ptr<GstSample, UnrefMini>;
using TagsPtr = std::unique_ptr<GstTagList, UnrefMini>;
using TocPtr = std::unique_ptr<GstToc, UnrefMini>;

}  // namespace upscale_file
