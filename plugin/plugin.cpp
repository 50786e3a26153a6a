/* Registers the plugin. */
#include <gst/gst.h>

#include "diffusion/torch_model_loader.h"
#include "gstlivepeerupscale.h"
#include "runtime/runtime.h"

static gboolean plugin_init(GstPlugin *plugin) {
  livepeer::Runtime::instance().set_loader(livepeer::make_torch_model_loader());
  return GST_ELEMENT_REGISTER(livepeerupscale, plugin);
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, livepeerupscale,
                  "Upscales video with diffusion models", plugin_init, VERSION, "MIT/X11", PACKAGE,
                  ORIGIN)
