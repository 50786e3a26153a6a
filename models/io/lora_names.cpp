#include "io/lora_names.h"

#include <algorithm>

namespace livepeer {
namespace {

struct Prefix {
  const char *text;
  const char *component;
  bool is_part_of_layer;
};
/// What names of layers begin with; the first that fits counts. The first list is PEFT's, in front
/// of the second.
constexpr const char *wrapper = "base_model.model.";
constexpr Prefix prefixes[] = {
    {"unet.", "unet", false},
    {"text_encoder.", "text_encoder", false},
    {"lora_unet_", "unet", false},
    {"lora_te_", "text_encoder", false},
    {"lora_te1_", "text_encoder", false},
    {"text_model.", "text_encoder", true},
    {"conv_in.", "unet", true},
    {"time_embedding.", "unet", true},
    {"class_embedding.", "unet", true},
    {"down_blocks.", "unet", true},
    {"mid_block.", "unet", true},
    {"up_blocks.", "unet", true},
    {"conv_out.", "unet", true},
};

struct Suffix {
  const char *text;
  LoraPart part;
};
/// What names of tensors end with; the first that fits counts.
constexpr Suffix suffixes[] = {
    // PEFT
    {".lora_A.weight", LoraPart::down},
    {".lora_B.weight", LoraPart::up},
    {".lora_A.default.weight", LoraPart::down},
    {".lora_B.default.weight", LoraPart::up},
    {".lora_magnitude_vector", LoraPart::magnitude},
    {".lora_magnitude_vector.weight", LoraPart::magnitude},
    {".lora_magnitude_vector.default.weight", LoraPart::magnitude},
    // diffusers
    {".lora.down.weight", LoraPart::down},
    {".lora.up.weight", LoraPart::up},
    {".lora.alpha", LoraPart::alpha},
    {"_lora.down.weight", LoraPart::down},
    {"_lora.up.weight", LoraPart::up},
    {"_lora.alpha", LoraPart::alpha},
    {".lora_linear_layer.down.weight", LoraPart::down},
    {".lora_linear_layer.up.weight", LoraPart::up},
    {".lora_linear_layer.alpha", LoraPart::alpha},
    // kohya
    {".lora_down.weight", LoraPart::down},
    {".lora_up.weight", LoraPart::up},
    {".lora_mid.weight", LoraPart::mid},
    {".dora_scale", LoraPart::magnitude_by_shape},
    {".alpha", LoraPart::alpha},
};

struct Renaming {
  const char *old, *now;
  bool at_end;
};
/// Layers' names of older files, flat.
constexpr Renaming renamings[] = {
    {"_processor_", "_", false},
    {"_self_attn_to_q", "_self_attn_q_proj", true},
    {"_self_attn_to_k", "_self_attn_k_proj", true},
    {"_self_attn_to_v", "_self_attn_v_proj", true},
    {"_self_attn_to_out", "_self_attn_out_proj", true},
    {"_attn1_to_out", "_attn1_to_out_0", true},
    {"_attn2_to_out", "_attn2_to_out_0", true},
};

/// Other things that people keep beside LoRAs, by a part of their names.
constexpr std::pair<const char *, const char *> other_kinds[] = {
    {".hada_w1_a", "a LoHa, which is not taken; merge it into a model, or train a LoRA"},
    {".lokr_w", "a LoKr, which is not taken; merge it into a model, or train a LoRA"},
    {".oft_", "an OFT, which is not taken; merge it into a model, or train a LoRA"},
    {".ia3_l", "an IA3, which is not taken; train a LoRA"},
    {"emb_params", "a textual inversion; give it to the property embeddings"},
    {"string_to_param", "a textual inversion; give it to the property embeddings"},
    {"model.diffusion_model.", "a whole model; give it to the property model"},
    {"control_model.", "a ControlNet, which is not taken"},
    {"down_blocks.", "a network of a model, not what is added to one"},
};

bool starts_with(std::string_view text, std::string_view begin) {
  return text.substr(0, begin.size()) == begin;
}
bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

std::string flat_name(std::string_view name) {
  std::string flat(name);
  std::replace(flat.begin(), flat.end(), '.', '_');
  return flat;
}

bool parse_lora_name(std::string_view name, LoraName &parsed) {
  const auto suffix = std::find_if(std::begin(suffixes), std::end(suffixes),
                                   [&](const Suffix &row) { return ends_with(name, row.text); });
  if (suffix == std::end(suffixes)) return false;
  name.remove_suffix(std::string_view(suffix->text).size());
  if (starts_with(name, wrapper)) name.remove_prefix(std::string_view(wrapper).size());
  const auto prefix = std::find_if(std::begin(prefixes), std::end(prefixes),
                                   [&](const Prefix &row) { return starts_with(name, row.text); });
  if (prefix == std::end(prefixes)) return false;
  if (!prefix->is_part_of_layer) name.remove_prefix(std::string_view(prefix->text).size());
  parsed = {prefix->component, flat_name(name), suffix->part};
  return true;
}

std::vector<std::string> names_of_layer(const std::string &layer) {
  std::string now = layer;
  for (const Renaming &row : renamings) {
    const std::string_view old = row.old;
    const size_t place = row.at_end
                             ? (ends_with(now, old) ? now.size() - old.size() : std::string::npos)
                             : now.find(old);
    if (place != std::string::npos) now.replace(place, old.size(), row.now);
  }
  return {layer, now};
}

std::string what_instead_of_lora(const WeightsFile &file) {
  for (const auto &[part, what] : other_kinds) {
    const auto has = [part = part](const auto &entry) {
      return entry.first.find(part) != std::string::npos;
    };
    if (std::any_of(file.tensors().begin(), file.tensors().end(), has) ||
        std::any_of(file.unfit().begin(), file.unfit().end(), has))
      return what;
  }
  return {};
}

}  // namespace livepeer
