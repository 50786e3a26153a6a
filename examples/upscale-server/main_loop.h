#pragma once

#include <glib.h>

#include <functional>

namespace upscale_server {

/// Calls `function` on the main thread, later. May be called from any thread.
inline void on_main_thread(std::function<void()> function) {
  g_idle_add_full(
      G_PRIORITY_DEFAULT,
      [](gpointer data) -> gboolean {
        (*static_cast<std::function<void()> *>(data))();
        return G_SOURCE_REMOVE;
      },
      new std::function<void()>(std::move(function)),
      [](gpointer data) { delete static_cast<std::function<void()> *>(data); });
}

}  // namespace upscale_server
