#include "io/lora.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "io/complaints.h"
#include "io/file_list.h"
#include "io/lora_names.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;

/// The names that libraries give to a LoRA in a folder.
constexpr const char *file_names[] = {"pytorch_lora_weights.safetensors",
                                      "adapter_model.safetensors", "pytorch_lora_weights.bin",
                                      "adapter_model.bin"};
constexpr uint64_t max_config_bytes = 16 << 20;

/// Layers by component and flat name.
using Found = std::map<std::pair<std::string, std::string>, LoraLayer>;

std::string find_file(const std::string &path) {
  std::error_code ignored;
  if (!fs::is_directory(path, ignored)) return path;
  for (const char *name : file_names)
    if (fs::exists(fs::path(path) / name, ignored)) return path + "/" + name;
  throw Error(ErrorKind::not_found,
              "The folder " + path + " holds no LoRA: neither " + file_names[0] + " nor " +
                  file_names[1] + "; give the file itself.",
              path);
}

/// What PEFT writes down beside its weights, or diffusers in front of them: alphas, which other
/// formats have as tensors.
class AdapterConfig {
 public:
  AdapterConfig(const WeightsFile &file, const std::string &path) {
    const fs::path beside = fs::path(path).parent_path() / "adapter_config.json";
    std::error_code ignored;
    if (fs::path(path).stem() == "adapter_model" && fs::exists(beside, ignored)) {
      origin_ = beside;
      values_ = read_json(origin_, "LoRA configuration", max_config_bytes);
      return;
    }
    const auto entry = file.metadata().find("lora_adapter_metadata");
    if (entry == file.metadata().end()) return;
    origin_ = path;
    prefixed_ = true;
    values_ = nlohmann::json::parse(entry->second, nullptr, /*allow_exceptions=*/false);
    if (!values_.is_object()) damaged("its metadata are no object");
  }

  void apply(const std::string &component, const std::string &layer, LoraLayer &to) const {
    const auto value = [&](const char *key) -> const nlohmann::json * {
      const auto found = values_.find(prefixed_ ? component + "." + key : key);
      return found == values_.end() || found->is_null() ? nullptr : &*found;
    };
    if (const nlohmann::json *alpha = value("lora_alpha"))
      to.given_alpha = number(*alpha, "lora_alpha");
    if (const nlohmann::json *pattern = value("alpha_pattern")) {
      if (!pattern->is_object()) damaged("\"alpha_pattern\" must be an object");
      for (const auto &[name, alpha] : pattern->items())
        if (is_meant(name, layer)) to.given_alpha = number(alpha, "alpha_pattern");
    }
    if (const nlohmann::json *root = value("use_rslora"))
      to.root_of_rank = root->is_boolean() && root->get<bool>();
  }

 private:
  /// The whole name, or its last parts.
  static bool is_meant(const std::string &pattern, const std::string &layer) {
    const std::string flat = flat_name(pattern);
    if (flat == layer) return true;
    const std::string end = "_" + flat;
    return layer.size() > end.size() &&
           layer.compare(layer.size() - end.size(), end.size(), end) == 0;
  }
  double number(const nlohmann::json &value, const char *key) const {
    if (!value.is_number()) damaged(std::string("\"") + key + "\" must hold numbers");
    return value.get<double>();
  }
  [[noreturn]] void damaged(const std::string &problem) const {
    throw Error(ErrorKind::open_read,
                "LoRA configuration " + origin_ + " is damaged: " + problem + ". Fetch it again.",
                origin_);
  }

  nlohmann::json values_ = nlohmann::json::object();
  std::string origin_;
  bool prefixed_ = false;  ///< keys begin with a component's name
};

void put(LoraLayer &layer, LoraPart part, const TensorEntry &entry) {
  switch (part) {
    case LoraPart::down:
      layer.down = entry;
      break;
    case LoraPart::up:
      layer.up = entry;
      break;
    case LoraPart::mid:
      layer.mid = entry;
      break;
    case LoraPart::alpha:
      layer.alpha = entry;
      break;
    case LoraPart::magnitude_by_shape:
      layer.by_column = entry.shape.size() > 1 && entry.shape[0] == 1 && entry.shape[1] > 1;
      [[fallthrough]];
    case LoraPart::magnitude:
      layer.magnitude = entry;
      break;
  }
}

int64_t count_of(const TensorEntry &entry) { return int64_t(entry.bytes / size_of(entry.dtype)); }

/// Of all but the first two sides.
bool same_kernel(const std::vector<int64_t> &shape, const std::vector<int64_t> &as) {
  const auto side = [](const std::vector<int64_t> &of, size_t i) {
    return i < of.size() ? of[i] : 1;
  };
  return side(shape, 2) == side(as, 2) && side(shape, 3) == side(as, 3);
}

bool is_matrix(const std::vector<int64_t> &shape) {
  return (shape.size() == 2 || shape.size() == 4) &&
         std::all_of(shape.begin(), shape.end(), [](int64_t side) { return side > 0; });
}

/// What is wrong with a layer for a parameter of this shape; "" where it fits.
std::string misfit(const LoraLayer &layer, const std::vector<int64_t> &shape) {
  if (!layer.down || !layer.up) return "lacks its other half";
  const auto &down = layer.down->shape, &up = layer.up->shape;
  for (const auto *part : {&layer.down, &layer.up, &layer.mid, &layer.magnitude})
    if (*part && !is_floating((*part)->dtype))
      return std::string("has type ") + name_of((*part)->dtype) +
             ", expected F16, BF16, F32 or F64";
  if (!is_matrix(down) || !is_matrix(up))
    return "has the shapes " + to_string(down) + " and " + to_string(up) +
           ", which are no matrices";
  if (down[0] != up[1])
    return "has halves of different ranks, " + std::to_string(down[0]) + " and " +
           std::to_string(up[1]);
  const std::vector<int64_t> one = {1, 1};
  const auto &kernel = layer.mid ? layer.mid->shape : down;
  const bool has_middle = !layer.mid || (kernel.size() == 4 && kernel[0] == down[0] &&
                                         kernel[1] == down[0] && same_kernel(down, one));
  if (up[0] != shape[0] || down[1] != shape[1] || !same_kernel(up, one) || !has_middle ||
      !same_kernel(kernel, shape))
    return "has the shapes " + to_string(down) + " and " + to_string(up) +
           ", which do not make the model's " + to_string(shape);
  if (layer.magnitude && count_of(*layer.magnitude) != (layer.by_column ? shape[1] : shape[0]))
    return "has a magnitude of shape " + to_string(layer.magnitude->shape) + " for " +
           to_string(shape);
  if (layer.alpha && (count_of(*layer.alpha) != 1 || layer.alpha->dtype == Dtype::boolean))
    return "has an alpha that is no number";
  return {};
}

/// The parameters that a LoRA can change: the weights of products and convolutions, by flat name
/// of the layer.
using Index = std::map<std::string, std::pair<std::string, std::vector<int64_t>>>;

Index index_of(const Component &component, bool prefer_half) {
  constexpr std::string_view end = ".weight";
  Index index;
  for (const auto &file : component.open_weights(prefer_half))
    for (const auto &[name, entry] : file->tensors())
      if (name.size() > end.size() && is_matrix(entry.shape) &&
          name.compare(name.size() - end.size(), end.size(), end) == 0)
        index.emplace(flat_name(name.substr(0, name.size() - end.size())),
                      std::pair(name, entry.shape));
  return index;
}

class Collector {
 public:
  Collector(const Snapshot &model, bool prefer_half) : model_(model) {
    for (const char *name : {"unet", "text_encoder"})
      if (model.has(name)) indices_[name] = index_of(model.component(name), prefer_half);
  }

  void add(const ListedFile &listed) {
    const std::string path = find_file(listed.path);
    const auto file = open_weights(path);
    const AdapterConfig config(*file, path);
    Found found;
    std::vector<std::string> unknown;
    std::map<std::string, double> alphas;
    for (const auto &[name, entry] : file->tensors()) {
      LoraName parsed;
      if (!parse_lora_name(name, parsed)) {
        unknown.push_back(name);
        continue;
      }
      put(found[{parsed.component, parsed.layer}], parsed.part, entry);
      if (parsed.part == LoraPart::up && entry.shape.size() > 1)
        alphas.emplace(parsed.component, double(entry.shape[1]));
    }
    // As diffusers has it: where nothing tells alphas, all are the first layer's rank.
    for (const auto &[name, layer] : found)
      if (layer.alpha) alphas.erase(name.first);
    if (found.empty()) refuse(*file);
    for (const auto &[name, reason] : file->unfit()) complain(path, name, reason);
    for (const std::string &name : unknown) complain(path, name, "is no part of a LoRA");
    for (auto &[name, layer] : found) {
      layer.file = file;
      layer.weight = listed.weight;
      if (const auto alpha = alphas.find(name.first); alpha != alphas.end())
        layer.given_alpha = alpha->second;
      config.apply(name.first, name.second, layer);
      place(path, name.first, name.second, layer);
    }
    char weight[32];
    std::snprintf(weight, sizeof weight, "%.17g", listed.weight);
    set_.identity += file_identity(path) + "@" + weight + ";";
  }

  LoraSet finish() {
    if (complaints_.empty()) return std::move(set_);
    throw Error(ErrorKind::open_read,
                "The LoRA does not fit the model " + model_.path() + ": " +
                    in_a_sentence(complaints_) + ". Take one that was trained for this model.",
                in_lines(complaints_));
  }

 private:
  void place(const std::string &path, const std::string &component, const std::string &layer,
             LoraLayer &found) {
    const Index &index = indices_[component];
    for (const std::string &name : names_of_layer(layer)) {
      const auto parameter = index.find(name);
      if (parameter == index.end()) continue;
      const auto &[full_name, shape] = parameter->second;
      if (const std::string problem = misfit(found, shape); !problem.empty())
        complain(path, component + "." + full_name, problem);
      else
        set_.components[component][full_name].push_back(std::move(found));
      return;
    }
    complain(path, component + " " + layer, "is no layer of the model's");
  }

  void complain(const std::string &path, const std::string &name, const std::string &problem) {
    complaints_.push_back(fs::path(path).filename().string() + ": " + name + " " + problem);
  }

  [[noreturn]] static void refuse(const WeightsFile &file) {
    const std::string what = what_instead_of_lora(file);
    throw Error(ErrorKind::open_read,
                "The file " + file.path() + " is no LoRA" +
                    (what.empty() ? ": none of its " + std::to_string(file.tensors().size()) +
                                        " tensors is called like a part of one; give a file of "
                                        "PEFT, diffusers or kohya's scripts."
                                  : " but " + what + "."),
                file.path());
  }

  const Snapshot &model_;
  std::map<std::string, Index> indices_;
  std::vector<std::string> complaints_;
  LoraSet set_;
};

}  // namespace

const LoraSet::Layers *LoraSet::of(const std::string &component) const {
  const auto found = components.find(component);
  return found == components.end() ? nullptr : &found->second;
}

LoraSet open_loras(const std::string &list, const Snapshot &model, bool prefer_half) {
  const std::vector<ListedFile> files = parse_file_list(list, "lora", /*with_weights=*/true);
  if (files.empty()) return {};
  // Embedded networks are small and of other layers, for which nobody trains a LoRA.
  const Component &unet = model.component("unet");
  if (unet.class_name() != "UNet2DConditionModel")
    throw Error(ErrorKind::settings,
                "The model " + model.path() + " takes no LoRA, as its " + unet.class_name() +
                    " has none of the layers that one changes; set model to an x4 upscaler of "
                    "diffusers, or unset lora.",
                list);
  Collector collector(model, prefer_half);
  for (const ListedFile &file : files) collector.add(file);
  return collector.finish();
}

}  // namespace livepeer
