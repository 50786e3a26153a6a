#include "io/snapshot.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "io/file.h"
#include "io/model_lookup.h"
#include "io/original_names.h"
#include "io/weights_file.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;

constexpr uint64_t max_index_bytes = 64 << 20;

/// One name inside a folder: no separators, no way up.
bool is_plain_name(const std::string &name) {
  return !name.empty() && name != "." && name != ".." &&
         name.find_first_of(std::string("/\\\0", 3)) == std::string::npos;
}

/// Something stands there, even a broken link.
bool is_there(const fs::path &path) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(path, ignored));
}

/// It can be reached through all links.
bool is_reachable(const fs::path &path) {
  std::error_code error;
  return fs::exists(path, error) && !error;
}

std::string canonical(const std::string &folder) {
  std::error_code error;
  const fs::path path = fs::canonical(folder, error);
  if (!error && fs::is_directory(path, error)) return path;
  const bool missing = !error || error == std::errc::no_such_file_or_directory;
  throw Error(missing ? ErrorKind::not_found : ErrorKind::open_read,
              "Model folder " + folder + " cannot be opened (" +
                  (error ? error.message() : "not a folder") +
                  "); give a folder that holds model_index.json.",
              folder);
}

bool is_file(const std::string &path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

std::shared_ptr<const WeightsFile> open_checkpoint(const std::string &path) {
  auto checkpoint = open_weights(path);
  check_is_upscaler(*checkpoint);
  return checkpoint;
}

/// The folder of the configurations that go with a checkpoint.
std::string folder_beside(const std::string &checkpoint) {
  const std::string own = fs::absolute(checkpoint).parent_path();
  return is_there(own + "/model_index.json") ? own : embedded_models_folder() + "/x4-upscaler";
}

std::string config_path(const std::string &folder) {
  for (const char *name : {"config.json", "scheduler_config.json", "preprocessor_config.json",
                           "tokenizer_config.json"})
    if (is_there(fs::path(folder) / name)) return folder + "/" + name;
  return folder + "/config.json";
}

struct WeightCandidate {
  std::string name;
  bool is_half;
  bool is_index;
};

/// The names that diffusers and transformers give to weights. Pickles come last: of a snapshot that
/// holds both kinds, safetensors files are what its makers want to be loaded today.
std::vector<WeightCandidate> weight_candidates(bool prefer_half) {
  std::vector<WeightCandidate> candidates;
  const auto add = [&](const std::string &stem, const std::string &end) {
    candidates.push_back({stem + end, false, false});
    candidates.push_back({stem + end + ".index.json", false, true});
    candidates.push_back({stem + ".fp16" + end, true, false});
    candidates.push_back({stem + ".fp16" + end + ".index.json", true, true});
    candidates.push_back({stem + end + ".index.fp16.json", true, true});
  };
  add("diffusion_pytorch_model", ".safetensors");
  add("model", ".safetensors");
  const auto pickles = candidates.size();
  add("diffusion_pytorch_model", ".bin");
  add("pytorch_model", ".bin");
  const auto wanted_first = [&](const auto &a, const auto &b) {
    return (a.is_half == prefer_half) > (b.is_half == prefer_half);
  };
  const auto first_pickle = candidates.begin() + std::ptrdiff_t(pickles);
  std::stable_sort(candidates.begin(), first_pickle, wanted_first);
  std::stable_sort(first_pickle, candidates.end(), wanted_first);
  return candidates;
}

/// FNV-1a, 64 bits: tells versions of files apart, nothing more.
class Hash {
 public:
  void add(const std::string &bytes) {
    for (const unsigned char byte : bytes) value_ = (value_ ^ byte) * 0x100000001b3;
    add(uint64_t(bytes.size()));
  }
  void add(uint64_t number) {
    for (int i = 0; i < 8; ++i) value_ = (value_ ^ (number >> (8 * i) & 0xff)) * 0x100000001b3;
  }
  std::string text() const {
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(value_));
    return digits;
  }

 private:
  uint64_t value_ = 0xcbf29ce484222325;
};

void add_status(Hash &hash, const fs::path &path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  hash.add(path.filename().string());
  for (const uint64_t number : {uint64_t(status.st_size), uint64_t(status.st_ino),
                                uint64_t(status.st_mtim.tv_sec), uint64_t(status.st_mtim.tv_nsec)})
    hash.add(number);
  if (path.extension() == ".json")
    hash.add(read_text(path, "Model configuration", max_index_bytes));
}

void add_folder(Hash &hash, const fs::path &folder) {
  std::set<fs::path> files;
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error))
    files.insert(entry->path());
  for (const fs::path &path : files) add_status(hash, path);
}

}  // namespace

Component::Component(const std::string &folder, const std::string &class_name)
    : folder_(folder),
      config_(Config::read(config_path(folder))),
      class_name_(class_name.empty() ? config_.class_name() : class_name) {}

bool Component::has_weights() const {
  if (weights_) return true;
  for (const WeightCandidate &candidate : weight_candidates(false))
    if (is_there(file(candidate.name))) return true;
  return false;
}

std::string Component::fingerprint() const {
  Hash hash;
  add_folder(hash, folder_);
  return hash.text();
}

std::vector<std::string> Component::weight_files(bool prefer_half) const {
  const auto candidates = weight_candidates(prefer_half);
  // A link into nowhere (an unfinished download) counts only where nothing better is there; opening
  // it then says what is wrong with it.
  for (const auto &usable : {is_reachable, is_there})
    for (const WeightCandidate &candidate : candidates) {
      const std::string path = file(candidate.name);
      if (!usable(path)) continue;
      return candidate.is_index ? shards(path) : std::vector<std::string>{path};
    }
  throw Error(
      ErrorKind::not_found,
      "Model folder " + folder_ +
          " holds no weights; expected diffusion_pytorch_model.safetensors or "
          "model.safetensors (or their .fp16. variants, or .bin files). Fetch the snapshot again.",
      folder_);
}

std::vector<std::shared_ptr<const WeightsFile>> Component::open_weights(bool prefer_half) const {
  if (weights_) return {weights_};
  if (const auto known = opened_.find(prefer_half); known != opened_.end()) return known->second;
  std::vector<std::shared_ptr<const WeightsFile>> files;
  for (const std::string &path : weight_files(prefer_half))
    files.push_back(livepeer::open_weights(path));
  return opened_[prefer_half] = std::move(files);
}

void Component::take_weights(const WeightsFile &checkpoint, const std::string &component) {
  weights_ = component_of(checkpoint, component, config_);
}

std::vector<std::string> Component::shards(const std::string &index_file) const {
  const auto damaged = [&](const std::string &problem) {
    return Error(ErrorKind::open_read,
                 "Weights index " + index_file + " " + problem + ". Fetch the snapshot again.",
                 index_file);
  };
  const auto json = read_json(index_file, "Weights index", max_index_bytes);
  if (!json.contains("weight_map") || !json["weight_map"].is_object() || json["weight_map"].empty())
    throw damaged("is damaged: it holds no weight_map");
  std::set<std::string> names;
  for (const auto &[tensor, shard] : json["weight_map"].items()) {
    if (!shard.is_string()) throw damaged("does not say in which file \"" + tensor + "\" is");
    names.insert(shard.get<std::string>());
  }
  std::vector<std::string> paths;
  for (const std::string &name : names) {
    if (!is_plain_name(name)) throw damaged("names a file outside of its folder: \"" + name + "\"");
    paths.push_back(file(name));
  }
  return paths;
}

Snapshot::Snapshot(const std::string &path)
    : Snapshot(path, is_file(path) ? open_checkpoint(path) : nullptr) {}

Snapshot::Snapshot(const std::string &path, std::shared_ptr<const WeightsFile> checkpoint)
    : path_(checkpoint ? path : canonical(path)),
      folder_(checkpoint ? folder_beside(path) : path_),
      index_(Config::read(folder_ + "/model_index.json")) {
  for (const auto &[name, value] : index_.json().items()) {
    // Components are [library, class]; [null, null] stands for one that was left out.
    if (!value.is_array() || value.size() != 2 || !value[1].is_string()) continue;
    if (!is_plain_name(name))
      throw Error(ErrorKind::open_read,
                  "Model configuration " + index_.origin() +
                      " names a component outside of its folder: \"" + name +
                      "\". Fetch the snapshot again.",
                  index_.origin());
    const std::string component_folder = folder_ + "/" + name;
    if (!is_reachable(component_folder))
      throw Error(ErrorKind::not_found,
                  "Model folder " + folder_ + " lacks the folder " + name +
                      " that its model_index.json lists. Fetch the snapshot again.",
                  component_folder);
    components_.emplace(name, Component(component_folder, value[1].get<std::string>()));
  }
  if (!checkpoint) return;
  for (auto &[name, component] : components_)
    if (is_in_checkpoint(name)) component.take_weights(*checkpoint, name);
}

const Component &Snapshot::component(const std::string &name) const {
  const auto found = components_.find(name);
  if (found != components_.end()) return found->second;
  throw Error(ErrorKind::open_read,
              "Model configuration " + index_.origin() + " lists no " + name +
                  "; this snapshot is not an upscaler, or is damaged.",
              index_.origin());
}

void Snapshot::check_weights(bool prefer_half) const {
  for (const auto &[name, component] : components_)
    if (component.has_weights()) component.open_weights(prefer_half);
}

std::string Snapshot::fingerprint() const {
  Hash hash;
  add_status(hash, path_);
  add_folder(hash, folder_);
  for (const auto &[name, component] : components_) {
    hash.add(name);
    add_folder(hash, component.folder());
  }
  return hash.text();
}

}  // namespace livepeer
