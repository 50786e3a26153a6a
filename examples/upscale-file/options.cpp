#include "options.h"

#include <gst/gst.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "encoders.h"
#include "text.h"

namespace upscale_file {
namespace {

const char kSummary[] =
    "Enlarges pictures and clips by four with a diffusion model. Without OUTPUT the result lies "
    "beside the\n"
    "input: NAME-x4.png for a picture, NAME-x4.mkv for a clip. OUTPUT is a file, whose extension "
    "decides\n"
    "(png, jpg, webp; mkv, mp4, mov, webm, ts), or a folder, for several inputs.";

std::string description() {
  return "Sound, subtitles, tags and chapters of a clip are copied; what the output cannot hold is "
         "said.\n"
         "Encoders: " +
         encoder_names() +
         ".\n"
         "A name that begins with a dash is given after --.\n"
         "\n"
         "SIGINT (Ctrl-C) or SIGTERM finish the file up to there; --resume goes on, also after a "
         "crash. Until a\n"
         "clip is complete, its finished fragments lie in OUTPUT.part beside it.\n"
         "Exit codes: 0 done, 1 failed, 2 wrong options, 130 and 143 interrupted.";
}

bool fail(const std::string &sentence) {
  std::fprintf(stderr, "livepeer-upscale: %s (see --help)\n", sentence.c_str());
  return false;
}

/// What the command line holds, before it is looked at.
struct Words {
  char *size = nullptr, *encoder = nullptr, *start = nullptr, *duration = nullptr,
       *preset = nullptr;
  char **set = nullptr, **files = nullptr;
  gint64 frames = -1, fragment = 0;
  gboolean no_check = FALSE, overwrite = FALSE, resume = FALSE, quiet = FALSE, json = FALSE,
           version = FALSE;
  double scale = 4;

  ~Words() {
    for (char *word : {size, encoder, start, duration, preset}) g_free(word);
    g_strfreev(set);
    g_strfreev(files);
  }
};

/// An option that is a property of the element under the same name.
gboolean take_property(const char *option, const char *value, gpointer data, GError **) {
  static_cast<Options *>(data)->properties.emplace_back(option + 2, value);
  return TRUE;
}

bool read_set(const Words &words, Options &options) {
  for (char **pair = words.set; pair && *pair; pair++) {
    const std::string text = *pair;
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos)
      return fail("--set takes PROPERTY=VALUE, not '" + shown(text) + "'");
    options.properties.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return true;
}

bool read_size(const Words &words, Options &options) {
  options.scale = words.scale;
  if (!std::isfinite(words.scale) || words.scale < 0.25 || words.scale > 4)
    return fail("--scale must be from 0.25 to 4");
  if (!words.size) return true;
  if (words.scale != 4) return fail("--scale and --size exclude each other");
  char end = 0;
  const int read = std::sscanf(words.size, "%dx%d%c", &options.width, &options.height, &end);
  if (read != 2 || std::min(options.width, options.height) < 16 ||
      std::max(options.width, options.height) > 65535)
    return fail("--size takes WIDTHxHEIGHT, as 1920x1080, not '" + shown(words.size) + "'");
  return true;
}

bool read_times(const Words &words, Options &options) {
  uint64_t duration = 0;
  if (words.start && !parse_time(words.start, options.start))
    return fail("--start takes seconds or h:mm:ss, not '" + shown(words.start) + "'");
  if (words.duration) {
    if (!parse_time(words.duration, duration) || duration == 0)
      return fail("--duration takes seconds or h:mm:ss, not '" + shown(words.duration) + "'");
    options.duration = duration;
  }
  if (words.frames == 0 || words.frames < -1) return fail("--frames must be at least 1");
  if (words.frames > 0) options.frames = uint64_t(words.frames);
  if (words.fragment < 0 || words.fragment > 100000)
    return fail("--fragment must be from 1 to 100000");
  options.fragment = uint64_t(words.fragment);
  return true;
}

bool read_files(const Words &words, Options &options) {
  for (char **file = words.files; file && *file; file++) options.inputs.emplace_back(*file);
  if (options.inputs.empty()) return fail("an input is missing");
  if (options.inputs.size() == 1) return true;
  options.output = options.inputs.back();
  options.inputs.pop_back();
  if (options.inputs.size() > 1 && !is_folder(options.output))
    return fail("several inputs need a folder as the last name, and '" + shown(options.output) +
                "' is none");
  return true;
}

}  // namespace

bool is_folder(const std::string &path) {
  return g_str_has_suffix(path.c_str(), "/") || g_file_test(path.c_str(), G_FILE_TEST_IS_DIR);
}

OptionsResult read_options(int argc, char **argv, Options &options) {
  Words words;
  const auto property = [](const char *name, const char *text, const char *argument) {
    return GOptionEntry{name,
                        0,
                        G_OPTION_FLAG_FILENAME,
                        G_OPTION_ARG_CALLBACK,
                        reinterpret_cast<gpointer>(take_property),
                        text,
                        argument};
  };
  const GOptionEntry entries[] = {
      property("prompt", "What the picture shows, or how it should look", "TEXT"),
      property("negative-prompt", "What it should not look like", "TEXT"),
      property("seed", "Seed of the noise (drawn)", "N"),
      property("steps", "Denoising steps (the model's own number)", "N"),
      property("guidance-scale", "Weight of the prompt (the model's own)", "X"),
      property("noise-level", "Noise added to the input (the model's own)", "N"),
      property("model", "Folder, file or id of the model (the embedded one)", "MODEL"),
      property("lora", "Fine-tunes, as PATH[@WEIGHT] ...", "FILES"),
      property("embeddings", "Learnt words", "FILES"),
      {"preset", 0, 0, G_OPTION_ARG_FILENAME, &words.preset,
       "Preset of the element, under the options", "NAME"},
      {"no-safety-check", 0, 0, G_OPTION_ARG_NONE, &words.no_check, "Do not check frames", nullptr},
      {"set", 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &words.set,
       "Any property of the element (gst-inspect-1.0 livepeerupscale); may be repeated",
       "PROPERTY=VALUE"},
      {"scale", 0, 0, G_OPTION_ARG_DOUBLE, &words.scale,
       "0.25 to 4: by four, then down in one pass (4)", "F"},
      {"size", 0, 0, G_OPTION_ARG_FILENAME, &words.size,
       "Fits inside, with square pixels, by four at most", "WxH"},
      {"encoder", 0, 0, G_OPTION_ARG_FILENAME, &words.encoder,
       "Encoder of a clip (the best that is installed)", "NAME"},
      {"start", 0, 0, G_OPTION_ARG_FILENAME, &words.start, "Begin there: seconds or h:mm:ss",
       "TIME"},
      {"duration", 0, 0, G_OPTION_ARG_FILENAME, &words.duration, "No more than this", "TIME"},
      {"frames", 0, 0, G_OPTION_ARG_INT64, &words.frames, "No more than this", "N"},
      {"overwrite", 0, 0, G_OPTION_ARG_NONE, &words.overwrite, "Replace an output that exists",
       nullptr},
      {"resume", 0, 0, G_OPTION_ARG_NONE, &words.resume,
       "Go on where the same command was interrupted", nullptr},
      {"fragment", 0, 0, G_OPTION_ARG_INT64, &words.fragment,
       "Frames of a fragment (about two minutes of work, 250 at most)", "N"},
      {"quiet", 'q', 0, G_OPTION_ARG_NONE, &words.quiet, "Say only what is wrong", nullptr},
      {"json", 0, 0, G_OPTION_ARG_NONE, &words.json, "Tell on standard output, one event a line",
       nullptr},
      {"version", 0, 0, G_OPTION_ARG_NONE, &words.version, "Print the version and end", nullptr},
      {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_FILENAME_ARRAY, &words.files, nullptr, nullptr},
      {nullptr, 0, 0, G_OPTION_ARG_NONE, nullptr, nullptr, nullptr}};

  g_autoptr(GOptionContext) context = g_option_context_new("INPUT... [OUTPUT]");
  g_option_context_set_summary(context, kSummary);
  g_option_context_set_description(context, description().c_str());
  GOptionGroup *group = g_option_group_new("main", "", "", &options, nullptr);
  g_option_group_add_entries(group, entries);
  g_option_context_set_main_group(context, group);
  g_autoptr(GError) error = nullptr;
  if (!g_option_context_parse(context, &argc, &argv, &error)) {
    fail(shown(error->message));
    return OptionsResult::fail;
  }
  if (words.version) {
    std::printf("livepeer-upscale %s\n", PROJECT_VERSION);
    return OptionsResult::quit;
  }
  if (words.no_check) options.properties.emplace_back("safety-check", "false");
  if (words.preset) options.preset = words.preset;
  if (words.encoder) options.encoder = words.encoder;
  options.overwrite = words.overwrite;
  options.resume = words.resume;
  options.quiet = words.quiet;
  options.json = words.json;
  if (options.overwrite && options.resume) {
    fail("--overwrite and --resume exclude each other");
    return OptionsResult::fail;
  }
  const bool good = read_set(words, options) && read_size(words, options) &&
                    read_times(words, options) && read_files(words, options);
  return good ? OptionsResult::run : OptionsResult::fail;
}

}  // namespace upscale_file
