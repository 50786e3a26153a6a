#include "io/model_lookup.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <vector>

#include "io/file.h"
#include "runtime/error.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;

constexpr const char cache_prefix[] = "models--";

/// Letters, digits and -._ only, at most 128, and not a way up.
bool is_safe_name(std::string_view name) {
  const auto is_safe = [](unsigned char c) {
    return (c < 128 && std::isalnum(c)) || c == '-' || c == '.' || c == '_';
  };
  return !name.empty() && name.size() <= 128 && name[0] != '.' && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), is_safe);
}

/// "name" or "org/name".
bool is_model_id(std::string_view model) {
  const size_t slash = model.find('/');
  return slash == std::string_view::npos
             ? is_safe_name(model)
             : is_safe_name(model.substr(0, slash)) && is_safe_name(model.substr(slash + 1));
}

bool is_folder(const fs::path &path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

std::string environment(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// Folders that may hold models, in the order of precedence.
std::vector<fs::path> model_roots() {
  std::vector<fs::path> roots;
  const auto add = [&](const std::string &base, const char *below) {
    if (!base.empty()) roots.push_back(fs::path(base) / below);
  };
  add(environment("MODEL_DIR"), "");
  add(environment("HF_HUB_CACHE"), "");
  add(environment("HUGGINGFACE_HUB_CACHE"), "");
  add(environment("HF_HOME"), "hub");
  add(environment("XDG_CACHE_HOME"), "huggingface/hub");
  add(environment("HOME"), ".cache/huggingface/hub");
  add(environment("HOME"), ".lpData/models");
  return roots;
}

/// The revision "main" of a repository folder of the cache; empty where the cache holds none.
fs::path main_revision(const fs::path &repository) {
  const fs::path snapshots = repository / "snapshots";
  const fs::path reference = repository / "refs" / "main";
  std::error_code ignored;
  if (fs::exists(fs::symlink_status(reference, ignored))) {
    std::string hash = read_text(reference, "Model reference", 4096);
    hash.erase(hash.find_last_not_of(" \r\n\t") + 1);
    if (!is_safe_name(hash))
      throw Error(
          ErrorKind::open_read,
          "Model reference " + reference.string() +
              " is damaged: it does not hold the name of a revision. Fetch the model again.",
          reference);
    if (!is_folder(snapshots / hash))
      throw Error(ErrorKind::not_found,
                  "The model cache " + repository.string() + " names revision " + hash +
                      " but does not hold it; fetch the model again.",
                  snapshots / hash);
    return snapshots / hash;
  }
  // Without a reference one revision is unambiguous, several are not.
  std::vector<fs::path> revisions;
  for (fs::directory_iterator entry(snapshots, ignored), end; !ignored && entry != end;
       entry.increment(ignored))
    if (is_folder(entry->path())) revisions.push_back(entry->path());
  return revisions.size() == 1 ? revisions.front() : fs::path();
}

/// `folder`, or the snapshot inside where it is a repository folder of the cache.
fs::path resolve_folder(const fs::path &folder) {
  if (fs::path revision = is_folder(folder / "snapshots") ? main_revision(folder) : fs::path();
      !revision.empty())
    return revision;
  return folder;
}

fs::path embedded_model(const std::string &name) {
  const fs::path folder = fs::path(embedded_models_folder()) / name;
  if (!is_folder(folder))
    throw Error(ErrorKind::not_found,
                "The embedded model \"" + name + "\" is not installed in " + folder.string() +
                    "; install livepeerupscale completely, or set LIVEPEER_UPSCALE_MODELS to the "
                    "folder that holds it.",
                folder);
  return folder;
}

}  // namespace

std::string embedded_models_folder() {
  const std::string chosen = environment("LIVEPEER_UPSCALE_MODELS");
  return chosen.empty() ? LIVEPEER_MODELS_DIR : chosen;
}

std::string find_model(const std::string &model) {
  if (model.empty() || model == "default" || model == "quality")
    return embedded_model(model.empty() ? "default" : model);
  if (model.find('\0') != std::string::npos)
    throw Error(ErrorKind::not_found, "The model's name holds a NUL character; correct it.",
                "model");

  std::error_code error;
  const fs::file_status status = fs::status(model, error);
  if (fs::is_directory(status)) return resolve_folder(model);
  if (fs::is_regular_file(status)) return model;
  if (fs::exists(status))
    throw Error(ErrorKind::not_found,
                "Model " + model +
                    " is neither a folder nor a file; give the folder that holds model_index.json, "
                    "or a .safetensors or .ckpt file.",
                model);
  if (error && error != std::errc::no_such_file_or_directory && error != std::errc::not_a_directory)
    throw Error(ErrorKind::open_read,
                "Model folder " + model + " cannot be opened (" + error.message() +
                    "); check its permissions and links.",
                model);

  if (!is_model_id(model))
    throw Error(ErrorKind::not_found,
                "Model folder " + model.substr(0, 200) +
                    " does not exist; give a folder that holds model_index.json, a .safetensors or "
                    ".ckpt file, or a model id such as org/name.",
                model);

  std::string cache_name = cache_prefix + model;
  if (const size_t slash = cache_name.find('/'); slash != std::string::npos)
    cache_name.replace(slash, 1, "--");
  std::string searched;
  for (const fs::path &root : model_roots()) {
    for (const fs::path &folder : {root / model, root / cache_name})
      if (const fs::path found = is_folder(folder) ? resolve_folder(folder) : fs::path();
          fs::exists(found / "model_index.json", error))
        return found;
    searched += (searched.empty() ? "" : ", ") + root.string();
  }
  throw Error(ErrorKind::not_found,
              "Model " + model + " is neither a folder nor in a model folder of this machine (" +
                  (searched.empty() ? "MODEL_DIR is not set" : searched) +
                  "). Download it there first; nothing is downloaded from here.",
              model + " not in: " + searched);
}

std::string model_id_of(const std::string &model) {
  const fs::path path = fs::path(model).lexically_normal();
  std::error_code ignored;
  if (fs::is_regular_file(path, ignored)) return path.stem();
  const fs::path name = path.has_filename() ? path.filename() : path.parent_path().filename();
  for (const fs::path &part : path) {
    std::string text = part.string();
    if (text.rfind(cache_prefix, 0) != 0) continue;
    text.erase(0, sizeof(cache_prefix) - 1);
    if (const size_t dashes = text.find("--"); dashes != std::string::npos)
      text.replace(dashes, 2, "/");
    return text;
  }
  return name.string();
}

}  // namespace livepeer
