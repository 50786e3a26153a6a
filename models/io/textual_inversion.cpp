#include "io/textual_inversion.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include "io/file_list.h"
#include "runtime/error.h"
#include "runtime/log.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;

constexpr const char *extensions[] = {".bin", ".pt", ".safetensors"};
constexpr size_t longest_token = 256;

Error unfit(const WeightsFile &file, const std::string &problem) {
  return {ErrorKind::open_read, "The embedding " + file.path() + " " + problem + ".", file.path()};
}

/// The token that a tensor of this name has the vectors of.
std::string token_of(const WeightsFile &file, const std::string &name) {
  if (const auto title = file.metadata().find("name");
      name == "*" && title != file.metadata().end())
    return title->second;
  return name == "*" || name == "emb_params" ? fs::path(file.path()).stem().string() : name;
}

TextualInversion open(const std::string &path, int64_t width) {
  const auto file = open_weights(path);
  const auto &tensors = file->tensors();
  if (tensors.count("clip_g"))
    throw unfit(*file, "is one for SDXL; take one that was trained for this model");
  if (tensors.size() != 1) {
    const auto &others = file->unfit();
    throw unfit(*file,
                "is no textual inversion: it holds " + std::to_string(tensors.size()) +
                    " tensors, not the one of a token" +
                    (tensors.empty() && !others.empty()
                         ? ", and " + others.begin()->first + ", which " + others.begin()->second
                         : ""));
  }
  const auto &[name, entry] = *tensors.begin();
  const TextualInversion inversion{token_of(*file, name), file, entry};
  const size_t dimensions = entry.shape.size();
  if (dimensions < 1 || dimensions > 2 || inversion.vectors() < 1 || entry.bytes == 0)
    throw unfit(*file,
                "is no textual inversion: its tensor has the shape " + to_string(entry.shape));
  if (entry.shape.back() != width)
    throw unfit(*file, "has vectors of " + std::to_string(entry.shape.back()) +
                           " numbers, and the model's text encoder takes " + std::to_string(width) +
                           "; take one that was trained for this model");
  if (entry.dtype != Dtype::f16 && entry.dtype != Dtype::bf16 && entry.dtype != Dtype::f32 &&
      entry.dtype != Dtype::f64)
    throw unfit(*file, std::string("has type ") + name_of(entry.dtype) +
                           ", expected F16, BF16, F32 or F64");
  if (inversion.token.empty() || inversion.token.size() > longest_token)
    throw unfit(*file, "has a token of " + std::to_string(inversion.token.size()) +
                           " characters; give it from 1 to " + std::to_string(longest_token));
  return inversion;
}

std::vector<std::string> files_of(const std::string &folder) {
  std::set<std::string> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    if (std::count(std::begin(extensions), std::end(extensions), entry->path().extension()))
      files.insert(entry->path());
  if (error)
    throw Error(ErrorKind::open_read,
                "The folder of embeddings " + folder + " cannot be read (" + error.message() +
                    "); check its permissions.",
                folder);
  return {files.begin(), files.end()};
}

}  // namespace

TextualInversions open_textual_inversions(const std::string &list, int64_t width) {
  TextualInversions inversions;
  std::set<std::string> tokens;
  const auto add = [&](const std::string &path) {
    TextualInversion inversion = open(path, width);
    if (!tokens.insert(inversion.token).second)
      throw unfit(*inversion.file, "has the token \"" + inversion.token +
                                       "\", as another of the embeddings has; leave one out");
    inversions.all.push_back(std::move(inversion));
    inversions.identity += file_identity(path) + ";";
  };
  for (const ListedFile &listed : parse_file_list(list, "embeddings", /*with_weights=*/false)) {
    std::error_code ignored;
    if (!fs::is_directory(listed.path, ignored)) {
      add(listed.path);
      continue;
    }
    const size_t before = inversions.all.size();
    for (const std::string &path : files_of(listed.path)) try {
        add(path);
      } catch (const Error &error) {
        log(LogLevel::warning, std::string(error.what()) + " It is left out.");
      }
    if (inversions.all.size() == before)
      throw Error(ErrorKind::not_found,
                  "The folder " + listed.path +
                      " holds no embedding that fits the model; give a folder of .safetensors, "
                      ".bin or .pt files, or the files themselves.",
                  listed.path);
  }
  return inversions;
}

}  // namespace livepeer
