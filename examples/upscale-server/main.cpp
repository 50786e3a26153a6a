// livepeer-upscale-server: POST /upscale in front of the element livepeerupscale.
#include <glib-unix.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <sys/resource.h>

#include <cstdlib>
#include <stdexcept>

#include "http_server.h"
#include "upscale_job.h"
#include "warm_model.h"

namespace upscale_server {
namespace {

constexpr guint kCancelSeconds = 10;  // for pictures that were cancelled to let go

/// Ends the program step by step: SIGTERM drains, a second one or too long a wait cancels.
class Shutdown {
 public:
  Shutdown(HttpServer &server, GMainLoop *loop, const Options &options)
      : server_(server), loop_(loop), options_(options) {
    g_unix_signal_add(SIGTERM, on_signal, this);
    g_unix_signal_add(SIGINT, on_signal, this);
  }

 private:
  static gboolean on_signal(gpointer data) {
    static_cast<Shutdown *>(data)->next_step();
    return G_SOURCE_CONTINUE;
  }

  void next_step() {
    switch (step_++) {
      case 0:
        g_message("finishing what is being worked on, then ending");
        server_.stop_listening();
        g_timeout_add_seconds(guint(options_.drain_seconds), on_drain_over, this);
        server_.service().drain([this] { g_main_loop_quit(loop_); });
        break;
      case 1:
        g_message("cancelling what is being worked on");
        g_timeout_add_seconds(kCancelSeconds, on_cancel_over, this);
        server_.service().cancel_all();
        break;
      default:
        break;
    }
  }

  static gboolean on_drain_over(gpointer data) {
    auto *self = static_cast<Shutdown *>(data);
    if (self->step_ == 1) self->next_step();
    return G_SOURCE_REMOVE;
  }

  static gboolean on_cancel_over(gpointer data) {
    auto *self = static_cast<Shutdown *>(data);
    if (!self->server_.service().is_working()) {
      g_main_loop_quit(self->loop_);  // clients that do not take their answers are not waited for
      return G_SOURCE_REMOVE;
    }
    g_critical("a picture does not let itself be cancelled, ending anyway");
    std::_Exit(EXIT_FAILURE);
  }

  HttpServer &server_;
  GMainLoop *loop_;
  const Options &options_;
  int step_ = 0;
};

/// Every connection is a descriptor, and the usual soft limit of 1024 is soon reached.
void raise_descriptor_limit() {
  rlimit limit = {};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

/// Every picture is worked on by threads of its own. glibc gives each a heap of its own and keeps
/// what they leave in them, which in a server adds up to many times what is in use.
void share_heaps() {
#ifdef M_ARENA_MAX
  mallopt(M_ARENA_MAX, 2);
#endif
}

void serve(const Options &options) {
  const WarmModel model(options);
  check_elements();
  HttpServer server(options);
  GMainLoop *loop = g_main_loop_new(nullptr, FALSE);
  const Shutdown shutdown(server, loop, options);
  const std::string url = server.listen();
  g_message("listening on %s, model %s, %d worker(s), queue of %d", url.c_str(),
            options.model_id.c_str(), options.workers, options.queue);
  g_message(
      "requests without num_inference_steps, or with 75, get the model's own number of steps");
  g_main_loop_run(loop);
  g_main_loop_unref(loop);
}

}  // namespace
}  // namespace upscale_server

int main(int argc, char **argv) {
  using namespace upscale_server;
  Options options;
  switch (read_options(argc, argv, options)) {
    case OptionsResult::quit:
      return EXIT_SUCCESS;
    case OptionsResult::fail:
      return EXIT_FAILURE;
    case OptionsResult::run:
      break;
  }
  if (options.verbose) g_setenv("G_MESSAGES_DEBUG", G_LOG_DOMAIN, FALSE);
  raise_descriptor_limit();
  share_heaps();
  try {
    serve(options);
  } catch (const std::runtime_error &error) {
    g_printerr("livepeer-upscale-server: %s\n", error.what());
    return EXIT_FAILURE;
  }
  g_message("ended");
  // A picture that was cancelled may still be in the middle of a step on a thread of the engine:
  // static objects of libraries are not to be destroyed under it.
  std::_Exit(EXIT_SUCCESS);
}
