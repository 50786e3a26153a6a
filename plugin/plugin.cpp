/* Registers the plugin. */
#include <gst/gst.h>

#include "gstlivepeerupscale.h"
#include "runtime/engine_library.h"
#include "runtime/runtime.h"

static gboolean plugin_init(GstPlugin *plugin) {
  const gchar *chosen = g_getenv("LIVEPEER_UPSCALE_ENGINE");
  livepeer::Runtime::instance().set_loader(
      std::make_shared<livepeer::EngineLibrary>(chosen && *chosen ? chosen : ENGINE_LIBRARY));
  return GST_ELEMENT_REGISTER(livepeerupscale, plugin);
}

GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, livepeerupscale,
                  "Upscales video with diffusion models", plugin_init, VERSION, "MIT/X11", PACKAGE,
                  ORIGIN)
