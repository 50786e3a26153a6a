#include "options.h"

#include <glib.h>
#include <gst/gst.h>

#include <limits>

#include "origin.h"

namespace upscale_server {
namespace {

const char kDescription[] =
    "Environment: HOST, PORT, MODEL_ID, MODEL_DIR, AUTH_TOKEN, PIPELINE (only \"upscale\") and\n"
    "VERBOSE_LOGGING mean what they mean to Livepeer's AI runner. An option wins over its "
    "variable.\n"
    "--model says what to load, --model-id only what to call it; MODEL_ID is looked up as a model\n"
    "where neither is given.\n"
    "SIGTERM or SIGINT: takes no more pictures, finishes those being worked on, ends. A second "
    "one\n"
    "cancels them.";

std::string env(const char *name) {
  const char *value = g_getenv(name);
  return value ? value : "";
}

bool fail(const std::string &sentence) {
  g_printerr("livepeer-upscale-server: %s\n", sentence.c_str());
  return false;
}

/// The last part of a folder's or file's path, of a file without its extension; or the whole of a
/// model id.
std::string name_of_model(const std::string &model) {
  if (model.empty()) return "default";
  if (!g_file_test(model.c_str(), G_FILE_TEST_EXISTS)) return model;
  g_autofree char *full = g_canonicalize_filename(model.c_str(), nullptr);
  g_autofree char *base = g_path_get_basename(full);
  const std::string name = base;
  const bool is_file = g_file_test(full, G_FILE_TEST_IS_REGULAR);
  return is_file ? name.substr(0, name.rfind('.')) : name;
}

void choose_model(const char *model, const char *model_id, Options &options) {
  const std::string env_id = env("MODEL_ID");
  if (model)
    options.model = model;
  else if (!model_id)
    options.model = env_id;
  if (model_id)
    options.model_id = model_id;
  else
    options.model_id = env_id.empty() ? name_of_model(options.model) : env_id;
}

bool choose_port(const char *argument, Options &options) {
  const std::string variable = env("PORT");
  if (!argument && variable.empty()) return true;
  const std::string text = argument ? argument : variable;
  gint64 port = 0;
  if (!g_ascii_string_to_signed(text.c_str(), 10, 0, 65535, &port, nullptr))
    return fail(std::string(argument ? "--port" : "PORT") +
                " must be a number from 0 to 65535, not '" + text + "'");
  options.port = uint16_t(port);
  return true;
}

bool read_properties(char **pairs, Options &options) {
  for (char **pair = pairs; pair && *pair; pair++) {
    const std::string text = *pair;
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      return fail("--set takes PROPERTY=VALUE, not '" + text + "'");
    options.properties.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return true;
}

bool read_origins(char **origins, Options &options) {
  for (char **origin = origins; origin && *origin; origin++) {
    const auto read = read_origin(*origin);
    if (!read)
      return fail(
          "--allow-origin takes what browsers send, https://HOST or https://HOST:PORT "
          "without a path, or *, not '" +
          std::string(*origin) + "'");
    options.allowed_origins.push_back(*read);
  }
  return true;
}

struct Bound {
  const char *option;
  gint64 value, least, most;
};

bool check_bounds(const Options &options) {
  const gint64 no_end = std::numeric_limits<gint64>::max();
  const Bound bounds[] = {
      {"--workers", options.workers, 1, 64},
      {"--queue", options.queue, 0, 100000},
      {"--max-pixels", options.max_pixels, 1, 178956970},
      {"--max-body", options.max_body, 1024, no_end},
      {"--max-steps", options.max_steps, 1, 1000000},
      {"--max-seconds", options.max_seconds, 0, 1000000},
      {"--max-connections", options.max_connections, 1, 1000000},
      {"--receive-seconds", options.receive_seconds, 1, 1000000},
      {"--idle-seconds", options.idle_seconds, 1, 1000000},
      {"--drain-seconds", options.drain_seconds, 0, 1000000},
  };
  for (const Bound &bound : bounds) {
    if (bound.value < bound.least || bound.value > bound.most)
      return fail(std::string(bound.option) + " must be at least " + std::to_string(bound.least) +
                  (bound.most == no_end ? "" : " and at most " + std::to_string(bound.most)));
  }
  return true;
}

bool has_blank_ends(const std::string &text) {
  return !text.empty() && (g_ascii_isspace(text.front()) || g_ascii_isspace(text.back()));
}

void log_ignored_variables() {
  for (const char *name : {"SFAST", "DEEPCACHE", "SFAST_WARMUP", "SAFETY_CHECKER_DEVICE"}) {
    if (g_getenv(name)) g_message("the environment variable %s has no meaning here", name);
  }
}

}  // namespace

OptionsResult read_options(int argc, char **argv, Options &options) {
  g_autofree char *host = nullptr, *port = nullptr, *model = nullptr, *model_id = nullptr;
  g_autofree char *lora_dir = nullptr;
  g_auto(GStrv) properties = nullptr;
  g_auto(GStrv) origins = nullptr;
  gboolean no_checker = FALSE, private_metrics = FALSE, version = FALSE, verbose = FALSE;
  // Paths and names are bytes as the system has them, not text of a locale, which nobody has set.
  const GOptionEntry entries[] = {
      {"host", 0, 0, G_OPTION_ARG_STRING, &host, "Address to listen on (127.0.0.1)", "ADDRESS"},
      {"port", 0, 0, G_OPTION_ARG_STRING, &port, "Port to listen on (8000; 0: any)", "N"},
      {"model", 0, 0, G_OPTION_ARG_FILENAME, &model,
       "Model folder, file or id to load (the embedded default)", "MODEL"},
      {"model-id", 0, 0, G_OPTION_ARG_FILENAME, &model_id, "What to call the model", "ID"},
      {"lora-dir", 0, 0, G_OPTION_ARG_FILENAME, &lora_dir,
       "Let requests name LoRAs that lie in this folder", "DIR"},
      {"workers", 0, 0, G_OPTION_ARG_INT, &options.workers, "Pictures worked on at once (1)", "N"},
      {"queue", 0, 0, G_OPTION_ARG_INT, &options.queue, "Pictures that may wait (16)", "N"},
      {"busy-status", 0, 0, G_OPTION_ARG_INT, &options.busy_status,
       "Answer where no slot is free: 500 for the upscale pipeline of a node (500), or 503", "N"},
      {"max-pixels", 0, 0, G_OPTION_ARG_INT64, &options.max_pixels,
       "Largest picture taken, width times height (8294400)", "N"},
      {"max-body", 0, 0, G_OPTION_ARG_INT64, &options.max_body,
       "Largest request taken, in bytes (33554432)", "N"},
      {"max-steps", 0, 0, G_OPTION_ARG_INT, &options.max_steps, "Most steps taken (1000)", "N"},
      {"max-seconds", 0, 0, G_OPTION_ARG_INT, &options.max_seconds,
       "Longest time for one picture, waiting included (0: no limit)", "S"},
      {"max-connections", 0, 0, G_OPTION_ARG_INT, &options.max_connections,
       "Most connections at once (1024, or what ulimit -n allows)", "N"},
      {"receive-seconds", 0, 0, G_OPTION_ARG_INT, &options.receive_seconds,
       "Time for a request's head, and for its body beyond a second for each 8 KiB (30)", "S"},
      {"idle-seconds", 0, 0, G_OPTION_ARG_INT, &options.idle_seconds,
       "Connections on which nothing moves are closed after this time (120)", "S"},
      {"drain-seconds", 0, 0, G_OPTION_ARG_INT, &options.drain_seconds,
       "How long SIGTERM waits for pictures being worked on (30)", "S"},
      {"private-metrics", 0, 0, G_OPTION_ARG_NONE, &private_metrics,
       "Ask for AUTH_TOKEN at /metrics, too", nullptr},
      {"no-safety-checker", 0, 0, G_OPTION_ARG_NONE, &no_checker,
       "Serve without a safety checker: nsfw is always false", nullptr},
      {"allow-origin", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &origins,
       "Let web pages of https://HOST[:PORT] post pictures (* for all); may be repeated", "ORIGIN"},
      {"set", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &properties,
       "Set a property of the element (see gst-inspect-1.0 livepeerupscale); may be repeated",
       "PROPERTY=VALUE"},
      {"verbose", 'v', 0, G_OPTION_ARG_NONE, &verbose, "Log more", nullptr},
      {"version", 0, 0, G_OPTION_ARG_NONE, &version, "Print the version and end", nullptr},
      {nullptr, 0, 0, G_OPTION_ARG_NONE, nullptr, nullptr, nullptr}};

  g_autoptr(GOptionContext) context =
      g_option_context_new("- enlarge pictures by four over HTTP (POST /upscale)");
  g_option_context_add_main_entries(context, entries, nullptr);
  g_option_context_add_group(context, gst_init_get_option_group());
  g_option_context_set_description(context, kDescription);
  g_autoptr(GError) error = nullptr;
  if (!g_option_context_parse(context, &argc, &argv, &error)) {
    fail(std::string(error->message) + " (see --help)");
    return OptionsResult::fail;
  }
  if (version) {
    g_print("livepeer-upscale-server %s\n", PROJECT_VERSION);
    return OptionsResult::quit;
  }
  if (argc > 1) {
    fail("'" + std::string(argv[1]) + "' is not an option (see --help)");
    return OptionsResult::fail;
  }
  const std::string pipeline = env("PIPELINE");
  if (!pipeline.empty() && pipeline != "upscale") {
    fail("PIPELINE is '" + pipeline + "', but this program only does 'upscale'");
    return OptionsResult::fail;
  }

  if (host)
    options.host = host;
  else if (!env("HOST").empty())
    options.host = env("HOST");
  options.auth_token = env("AUTH_TOKEN");
  options.private_metrics = private_metrics;
  options.safety_checker = !no_checker;
  if (lora_dir) options.lora_dir = lora_dir;
  if (lora_dir && !g_file_test(lora_dir, G_FILE_TEST_IS_DIR)) {
    fail("--lora-dir must name a folder, not '" + options.lora_dir + "'");
    return OptionsResult::fail;
  }
  options.verbose = verbose || env("VERBOSE_LOGGING") == "1";
  choose_model(model, model_id, options);
  log_ignored_variables();
  if (options.busy_status != 500 && options.busy_status != 503) {
    fail("--busy-status must be 500 or 503");
    return OptionsResult::fail;
  }
  if (has_blank_ends(options.auth_token)) {
    fail("AUTH_TOKEN begins or ends with a blank, which no request can send");
    return OptionsResult::fail;
  }
  if (private_metrics && options.auth_token.empty()) {
    fail(
        "--private-metrics asks for the token in the environment variable AUTH_TOKEN, which is "
        "not set");
    return OptionsResult::fail;
  }
  const bool good = choose_port(port, options) && read_properties(properties, options) &&
                    read_origins(origins, options) && check_bounds(options);
  return good ? OptionsResult::run : OptionsResult::fail;
}

}  // namespace upscale_server
