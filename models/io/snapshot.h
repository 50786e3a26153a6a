#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/config.h"
#include "io/weights_file.h"

namespace livepeer {

/// One folder of a snapshot (or a folder of its own, such as a safety checker's): a configuration,
/// and weights or other files beside it.
class Component {
 public:
  /// Reads config.json, scheduler_config.json, preprocessor_config.json or tokenizer_config.json,
  /// whichever is there first. `class_name`: as the snapshot's index says; empty: as the
  /// configuration says. Throws Error{not_found, open_read}.
  explicit Component(const std::string &folder, const std::string &class_name = {});

  const std::string &folder() const { return folder_; }
  const std::string &class_name() const { return class_name_; }
  const Config &config() const { return config_; }
  /// Path of a file in this folder, there or not.
  std::string file(const std::string &name) const { return folder_ + "/" + name; }

  /// True where weights lie here.
  bool has_weights() const;
  /// The weights file, or the shards that a *.index.json names: safetensors, or else torch.save's
  /// (.bin). The half-precision variant (.fp16.) comes first if `prefer_half`, last otherwise.
  /// Throws Error{not_found} where there is none, Error{open_read} for unreadable files and names
  /// that leave the folder.
  std::vector<std::string> weight_files(bool prefer_half) const;
  /// Those files, opened; or the part of a checkpoint that was taken. They stay open with the
  /// component, so that headers are read once. Not from two threads at a time.
  std::vector<std::shared_ptr<const WeightsFile>> open_weights(bool prefer_half) const;
  /// From now on the weights are those of this component in `checkpoint` (see original_names.h).
  void take_weights(const WeightsFile &checkpoint, const std::string &component);
  /// As Snapshot::fingerprint(), of this folder.
  std::string fingerprint() const;

 private:
  std::vector<std::string> shards(const std::string &index_file) const;

  std::string folder_;
  Config config_;
  std::string class_name_;
  std::shared_ptr<const WeightsFile> weights_;  ///< part of a checkpoint; usually none
  mutable std::map<bool, std::vector<std::shared_ptr<const WeightsFile>>> opened_;
};

/// A model folder in the layout of Hugging Face diffusers: model_index.json names the components,
/// each in a folder of its own. Or all weights in one file, as the model was first published: then
/// the configurations are those in the file's own folder where that has a model_index.json, else
/// the built-in ones of the x4 upscaler. Opening reads configurations, and that file's header.
class Snapshot {
 public:
  /// `path`: a folder or a file. Throws Error{not_found, open_read} naming the file, what was
  /// expected, and what to do.
  explicit Snapshot(const std::string &path);

  /// What was opened: a folder, canonical (symbolic links are resolved), or a file.
  const std::string &path() const { return path_; }
  /// model_index.json.
  const Config &index() const { return index_; }
  bool has(const std::string &component) const { return components_.count(component) > 0; }
  /// Throws Error{open_read} where the index does not list it.
  const Component &component(const std::string &name) const;
  const std::map<std::string, Component> &components() const { return components_; }

  /// Reads and checks the headers of all weights; no data.
  void check_weights(bool prefer_half) const;
  /// Changes whenever a file of the snapshot does: names, sizes, times, and the contents of
  /// configurations.
  std::string fingerprint() const;

 private:
  Snapshot(const std::string &path, std::shared_ptr<const WeightsFile> checkpoint);

  std::string path_;
  std::string folder_;  ///< of the configurations
  Config index_;
  std::map<std::string, Component> components_;
};

}  // namespace livepeer
