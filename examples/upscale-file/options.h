#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace upscale_file {

/// What the user chose. Files' names are bytes, as the file system has them.
struct Options {
  std::vector<std::string> inputs;
  std::string output;  ///< a file or a folder; empty: beside the input
  std::vector<std::pair<std::string, std::string>> properties;  ///< of the element
  std::string preset;
  double scale = 4;
  int width = 0, height = 0;  ///< what --size says; 0: by scale
  std::string encoder;        ///< empty: the best that there is
  uint64_t start = 0;         ///< nanoseconds
  std::optional<uint64_t> duration, frames;
  uint64_t fragment = 0;  ///< frames; 0: about two minutes of work
  bool overwrite = false, resume = false, quiet = false, json = false;
};

enum class OptionsResult { run, quit, fail };

/// Says on standard error what is wrong.
OptionsResult read_options(int argc, char **argv, Options &options);

/// Whether a name is that of a folder: there is one, or it ends in a slash.
bool is_folder(const std::string &path);

}  // namespace upscale_file
