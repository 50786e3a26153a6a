#pragma once

#include <gst/base/gstbasetransform.h>

G_BEGIN_DECLS

#define GST_TYPE_LIVEPEER_UPSCALE (gst_livepeer_upscale_get_type())
G_DECLARE_FINAL_TYPE(GstLivepeerUpscale, gst_livepeer_upscale, GST, LIVEPEER_UPSCALE,
                     GstBaseTransform)
GST_ELEMENT_REGISTER_DECLARE(livepeerupscale)

G_END_DECLS
