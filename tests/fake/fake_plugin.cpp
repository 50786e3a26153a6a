// The real element on the fake engine, for what a real model cannot be asked to do on request. The
// environment says what the engine does.
#include <gst/gst.h>

#include <cstdlib>
#include <new>
#include <string>

#include "fake/fake_engine.h"
#include "gstlivepeerupscale.h"
#include "runtime/error.h"
#include "runtime/runtime.h"

using livepeer::Error;
using livepeer::ErrorKind;

static void misbehave() {
  const char *text = g_getenv("FAKE_UPSCALE");
  const std::string wanted = text ? text : "";
  if (wanted == "no-space") throw Error(ErrorKind::no_space, "There is no memory left.");
  if (wanted == "bad-alloc") throw std::bad_alloc();
  if (wanted == "failed") throw Error(ErrorKind::failed, "The numbers ran away.");
  if (wanted == "init") throw Error(ErrorKind::init, "The device has gone.");
}

static gboolean plugin_init(GstPlugin *plugin) {
  auto engine = std::make_shared<livepeer::FakeEngine>();
  const char *score = g_getenv("FAKE_NSFW_SCORE"), *checker = g_getenv("FAKE_CHECKER");
  engine->nsfw_score = score ? g_ascii_strtod(score, nullptr) : 0;
  engine->has_checker = !checker || g_str_equal(checker, "yes");
  engine->on_upscale = misbehave;
  if (const char *steps = g_getenv("FAKE_LEAST_STEPS"))
    engine->least_steps = unsigned(std::atoi(steps));
  if (const char *step = g_getenv("FAKE_STEP_MILLISECONDS"))
    engine->step_time = std::chrono::milliseconds(std::atoi(step));
  livepeer::Runtime::instance().set_loader(std::make_shared<livepeer::FakeLoader>(engine));
  return GST_ELEMENT_REGISTER(livepeerupscale, plugin);
}

#define PACKAGE "livepeerupscale"
GST_PLUGIN_DEFINE(GST_VERSION_MAJOR, GST_VERSION_MINOR, livepeerupscale,
                  "The element on an engine without a model", plugin_init, "1.0", "MIT/X11",
                  PACKAGE, "https://github.com/livepeer/livepeerupscale")
