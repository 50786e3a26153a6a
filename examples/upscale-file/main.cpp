#include <gst/gst.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <map>

#include "clip_job.h"
#include "failure.h"
#include "input.h"
#include "job_folder.h"
#include "options.h"
#include "picture_job.h"
#include "progress.h"
#include "text.h"
#include "wake.h"

namespace upscale_file {
namespace {

std::string extension_of(const std::string &path) {
  const size_t slash = path.rfind('/'), dot = path.rfind('.');
  if (dot == std::string::npos || (slash != std::string::npos && dot < slash + 2)) return "";
  std::string extension = path.substr(dot + 1);
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](char c) { return g_ascii_tolower(c); });
  return extension;
}

/// NAME-x4.png and the like, in a folder or beside the input.
std::string default_name(const Options &options, const std::string &input, Kind kind) {
  g_autofree char *base = g_path_get_basename(input.c_str());
  std::string name = base;
  const std::string extension = extension_of(name);
  if (!extension.empty()) name.resize(name.size() - extension.size() - 1);
  g_autofree char *size = options.width ? g_strdup_printf("-%dx%d", options.width, options.height)
                                        : g_strdup_printf("-x%g", options.scale);
  name += size;
  name += kind == Kind::picture ? ".png" : ".mkv";
  g_autofree char *folder =
      options.output.empty() ? g_path_get_dirname(input.c_str()) : g_strdup(options.output.c_str());
  g_autofree char *full = g_build_filename(folder, name.c_str(), nullptr);
  return options.output.empty() && !std::strchr(input.c_str(), '/') ? name : full;
}

/// Whatever way leads to it.
void check_not_an_input(const Options &options, const std::string &output) {
  struct stat to, from;
  if (stat(output.c_str(), &to) != 0) return;
  for (const std::string &input : options.inputs)
    if (stat(input.c_str(), &from) == 0 && from.st_dev == to.st_dev && from.st_ino == to.st_ino)
      throw Failure("'" + shown(output) + "' is an input, too");
}

void check_outputs_differ(const Options &options) {
  std::map<std::string, std::string> inputs;
  for (const std::string &path : options.inputs) {
    std::string output;
    try {
      output = default_name(options, path, kind_of_file(path));
    } catch (const Failure &) {
      continue;  // said when it is its turn
    }
    const auto [other, is_new] = inputs.emplace(output, path);
    if (!is_new)
      throw Failure("'" + shown(other->second) + "' and '" + shown(path) + "' would both become '" +
                    shown(output) + "': give them to two runs, with two folders");
  }
}

void run_one(Wake &wake, const Options &options, const std::string &path, Progress &progress) {
  const Input input = inspect(path);
  const bool named = !options.output.empty() && !is_folder(options.output);
  const std::string output = named ? options.output : default_name(options, path, input.kind);
  if (!named && !options.output.empty() && g_mkdir_with_parents(options.output.c_str(), 0777) != 0)
    throw Failure("the folder '" + shown(options.output) + "' cannot be made");
  check_not_an_input(options, output);
  const std::string extension = extension_of(output);
  const Container *container = container_of(extension);
  if (!container && !is_picture(extension))
    throw Failure(
        "'" + shown(output) +
        "' would be of a kind that is not written here: png, jpg, webp; mkv, mp4, mov, webm or ts");
  if (container && input.kind == Kind::picture)
    throw Failure("'" + shown(path) + "' is a picture: its result is png, jpg or webp");
  if (options.resume && options.inputs.size() > 1 &&
      g_file_test(output.c_str(), G_FILE_TEST_EXISTS) && !is_unfinished(output)) {
    progress.note("'" + shown(output) + "' is complete already");
    return;
  }
  progress.begin(path, output);
  if (container)
    run_clip(wake, options, input, *container, output, progress);
  else
    run_picture(wake, options, input, extension, output, progress);
}

int run(Wake &wake, const Options &options) {
  Progress progress(options);
  int status = 0;
  if (options.inputs.size() > 1) check_outputs_differ(options);
  for (const std::string &path : options.inputs) {
    try {
      run_one(wake, options, path, progress);
    } catch (const Interrupted &) {
      // A frame that is being computed is not waited for.
      std::fflush(nullptr);
      _exit(128 + wake.signal());
    } catch (const std::exception &failure) {
      progress.error(failure.what());
      status = 1;
    }
    if (wake.signal()) return 128 + wake.signal();
  }
  return status;
}

}  // namespace
}  // namespace upscale_file

int main(int argc, char **argv) {
  using namespace upscale_file;
  static Wake wake;
  wake.take_signals();
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error like a full disk
  std::setlocale(LC_CTYPE, "");
  Options options;
  const OptionsResult result = read_options(argc, argv, options);
  if (result == OptionsResult::quit) return 0;
  if (result == OptionsResult::fail) return 2;
  gst_init(nullptr, nullptr);
  try {
    return run(wake, options);
  } catch (const std::exception &problem) {
    std::fprintf(stderr, "livepeer-upscale: %s\n", problem.what());
    return 1;
  }
}
