#include "io/original_names.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace livepeer {
namespace {

/// A name in the file, and what a snapshot calls the same. In the first, {word} and {n} stand for a
/// part between dots; {n} is a number, as are
///   {in}, {out}  the place in the UNet's list of input or output modules: a block and a layer
///   {up}         a block of the decoder, counted from the picture; a snapshot counts towards it
/// and * for a rest of any kind, ~ for one that the table of parts translates. In the second, {0},
/// {1} ... stand for what was found, in order, * for the rest, and {qkv} for three tensors, which
/// are one below the other in the file.
struct Rule {
  const char *original;
  const char *ours;
};

constexpr Rule unet_rules[] = {
    {"time_embed.0.*", "time_embedding.linear_1.*"},
    {"time_embed.2.*", "time_embedding.linear_2.*"},
    {"label_emb.*", "class_embedding.*"},
    {"input_blocks.0.0.*", "conv_in.*"},
    {"input_blocks.{in}.0.op.*", "down_blocks.{0}.downsamplers.0.conv.*"},
    {"input_blocks.{in}.0.~", "down_blocks.{0}.resnets.{1}.*"},
    {"input_blocks.{in}.1.*", "down_blocks.{0}.attentions.{1}.*"},
    {"middle_block.0.~", "mid_block.resnets.0.*"},
    {"middle_block.1.*", "mid_block.attentions.0.*"},
    {"middle_block.2.~", "mid_block.resnets.1.*"},
    {"output_blocks.{out}.0.~", "up_blocks.{0}.resnets.{1}.*"},
    {"output_blocks.{out}.1.conv.*", "up_blocks.{0}.upsamplers.0.conv.*"},
    {"output_blocks.{out}.1.*", "up_blocks.{0}.attentions.{1}.*"},
    {"output_blocks.{out}.2.conv.*", "up_blocks.{0}.upsamplers.0.conv.*"},
    {"out.0.*", "conv_norm_out.*"},
    {"out.2.*", "conv_out.*"},
};
constexpr Rule unet_parts[] = {
    {"in_layers.0.", "norm1."},          {"in_layers.2.", "conv1."},
    {"emb_layers.1.", "time_emb_proj."}, {"out_layers.0.", "norm2."},
    {"out_layers.3.", "conv2."},         {"skip_connection.", "conv_shortcut."},
};

constexpr Rule vae_rules[] = {
    {"quant_conv.*", "quant_conv.*"},
    {"post_quant_conv.*", "post_quant_conv.*"},
    {"{word}.conv_in.*", "{0}.conv_in.*"},
    {"{word}.norm_out.*", "{0}.conv_norm_out.*"},
    {"{word}.conv_out.*", "{0}.conv_out.*"},
    {"{word}.mid.block_1.~", "{0}.mid_block.resnets.0.*"},
    {"{word}.mid.block_2.~", "{0}.mid_block.resnets.1.*"},
    {"{word}.mid.attn_1.norm.*", "{0}.mid_block.attentions.0.group_norm.*"},
    {"{word}.mid.attn_1.q.*", "{0}.mid_block.attentions.0.to_q.*"},
    {"{word}.mid.attn_1.k.*", "{0}.mid_block.attentions.0.to_k.*"},
    {"{word}.mid.attn_1.v.*", "{0}.mid_block.attentions.0.to_v.*"},
    {"{word}.mid.attn_1.proj_out.*", "{0}.mid_block.attentions.0.to_out.0.*"},
    {"encoder.down.{n}.block.{n}.~", "encoder.down_blocks.{0}.resnets.{1}.*"},
    {"encoder.down.{n}.downsample.*", "encoder.down_blocks.{0}.downsamplers.0.*"},
    {"decoder.up.{up}.block.{n}.~", "decoder.up_blocks.{0}.resnets.{1}.*"},
    {"decoder.up.{up}.upsample.*", "decoder.up_blocks.{0}.upsamplers.0.*"},
};
constexpr Rule vae_parts[] = {
    {"nin_shortcut.", "conv_shortcut."},
    {"", ""},
};

constexpr Rule text_rules[] = {
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"token_embedding.*", "text_model.embeddings.token_embedding.*"},
    {"ln_final.*", "text_model.final_layer_norm.*"},
    {"transformer.resblocks.{n}.~", "text_model.encoder.layers.{0}.*"},
};
constexpr Rule text_parts[] = {
    {"ln_1.", "layer_norm1."},
    {"ln_2.", "layer_norm2."},
    {"mlp.c_fc.", "mlp.fc1."},
    {"mlp.c_proj.", "mlp.fc2."},
    {"attn.out_proj.", "self_attn.out_proj."},
    {"attn.in_proj_", "self_attn.{qkv}_proj."},
};

struct Table {
  const char *component, *prefix;
  const Rule *rules, *rules_end, *parts, *parts_end;
};
constexpr Table tables[] = {
    {"unet", "model.diffusion_model.", std::begin(unet_rules), std::end(unet_rules),
     std::begin(unet_parts), std::end(unet_parts)},
    {"vae", "first_stage_model.", std::begin(vae_rules), std::end(vae_rules), std::begin(vae_parts),
     std::end(vae_parts)},
    {"text_encoder", "cond_stage_model.model.", std::begin(text_rules), std::end(text_rules),
     std::begin(text_parts), std::end(text_parts)},
};

/// What other files are, by names that only they have; the first that fits counts.
constexpr std::pair<const char *, const char *> other_kinds[] = {
    {"conditioner.embedders.1.", "an SDXL model"},
    {"conditioner.embedders.0.", "an SDXL refiner"},
    {"cond_stage_model.transformer.", "a Stable Diffusion 1 model"},
    {"model.diffusion_model.joint_blocks.", "a Stable Diffusion 3 model"},
    {"model.diffusion_model.double_blocks.", "a Flux model"},
    {"double_blocks.", "a Flux model"},
    {"control_model.", "a ControlNet"},
    {"lora_unet_", "a LoRA, which goes with a model"},
    {"lora_te_", "a LoRA, which goes with a model"},
    {"unet.", "a LoRA, which goes with a model"},
    {"model.diffusion_model.", "another model of the Stable Diffusion family"},
    {"first_stage_model.", "an autoencoder alone"},
    {"down_blocks.", "one component of a snapshot, whose folder is needed"},
    {"text_model.", "one component of a snapshot, whose folder is needed"},
    {"encoder.conv_in.", "an autoencoder alone"},
    {"RRDB_trunk.", "a GAN for upscaling (ESRGAN)"},
    {"body.0.rdb1.", "a GAN for upscaling (ESRGAN)"},
    {"model.1.sub.", "a GAN for upscaling (ESRGAN)"},
    {"body.0.weight", "a GAN for upscaling (Real-ESRGAN, compact)"},
    {"layers.0.residual_group.", "another network for upscaling (SwinIR)"},
    {"conv_first.", "another network for upscaling"},
};

const Table *find_table(const std::string &component) {
  const auto table = std::find_if(std::begin(tables), std::end(tables),
                                  [&](const Table &row) { return component == row.component; });
  return table == std::end(tables) ? nullptr : table;
}

bool starts_with(std::string_view text, std::string_view begin) {
  return text.substr(0, begin.size()) == begin;
}

/// Cuts `count` characters off the front.
std::string_view cut(std::string_view &text, size_t count) {
  const std::string_view front = text.substr(0, count);
  text.remove_prefix(front.size());
  return front;
}

/// How a component's configuration counts.
struct Layout {
  int64_t layers = 0, blocks = 0;
};

Layout layout_of(const Config &config) {
  constexpr int64_t most = 1000;
  Layout layout;
  layout.layers = config.get<int64_t>("layers_per_block", 1);
  if (config.has("block_out_channels"))
    layout.blocks = int64_t(config.require<std::vector<int64_t>>("block_out_channels").size());
  if (layout.layers < 1 || layout.layers > most)
    config.fail("layers_per_block", "must be from 1 to " + std::to_string(most));
  return layout;
}

/// Translates names by one table.
class Translator {
 public:
  Translator(const Table &table, const Layout &layout) : table_(table), layout_(layout) {}

  /// The snapshot's name, perhaps with {qkv} in it; "" where there is none.
  std::string operator()(std::string_view name) const {
    for (const Rule *rule = table_.rules; rule != table_.rules_end; ++rule) {
      std::vector<std::string> found;
      if (match(rule->original, name, found)) return filled(rule->ours, found);
    }
    return {};
  }

 private:
  bool match(std::string_view pattern, std::string_view name,
             std::vector<std::string> &found) const {
    while (!pattern.empty()) {
      if (pattern == "*" || pattern == "~") {
        found.push_back(pattern == "*" ? std::string(name) : part(name));
        return !found.back().empty();
      }
      if (pattern[0] != '{') {
        if (cut(pattern, 1) != cut(name, 1)) return false;
        continue;
      }
      const std::string_view kind = cut(pattern, pattern.find('}') + 1);
      if (!note(kind, cut(name, name.find('.')), found)) return false;
    }
    return name.empty();
  }

  bool note(std::string_view kind, std::string_view text, std::vector<std::string> &found) const {
    const auto add = [&](int64_t number) { found.push_back(std::to_string(number)); };
    if (kind == "{word}") {
      found.emplace_back(text);
      return true;
    }
    if (text.empty() || text.size() > 6 ||
        !std::all_of(text.begin(), text.end(), [](unsigned char c) { return std::isdigit(c); }))
      return false;
    int64_t number = std::stoll(std::string(text));
    // A block has its layers, and then an upsampler's or downsampler's place.
    const int64_t places = layout_.layers + 1;
    if (kind == "{in}") --number;  // the first module is no block's
    if (number < 0) return false;
    if (kind == "{n}") {
      add(number);
    } else if (kind == "{up}") {
      add(layout_.blocks - 1 - number);
    } else {
      add(number / places);
      add(number % places);
    }
    return true;
  }

  std::string part(std::string_view name) const {
    for (const Rule *rule = table_.parts; rule != table_.parts_end; ++rule)
      if (starts_with(name, rule->original)) {
        cut(name, std::string_view(rule->original).size());
        return rule->ours + std::string(name);
      }
    return {};
  }

  static std::string filled(std::string_view pattern, const std::vector<std::string> &found) {
    std::string name;
    while (!pattern.empty()) {
      const char c = cut(pattern, 1)[0];
      if (c == '*')
        name += found.back();
      else if (c == '{')
        name += found.at(size_t(cut(pattern, 2)[0] - '0'));
      else
        name += c;
    }
    return name;
  }

  const Table &table_;
  Layout layout_;
};

/// The names of the tensors that lie one below the other in one that is called `name`.
std::vector<std::string> parts_of(const std::string &name) {
  constexpr std::string_view fused = "{qkv}";
  const size_t place = name.find(fused);
  if (place == std::string::npos) return {name};
  std::vector<std::string> names;
  for (const char *part : {"q", "k", "v"})
    names.push_back(std::string(name).replace(place, fused.size(), part));
  return names;
}

/// Anything whose name begins so, tensor or not.
bool holds(const WeightsFile &file, const std::string &begin) {
  const auto in = [&](const auto &names) {
    const auto first = names.lower_bound(begin);
    return first != names.end() && starts_with(first->first, begin);
  };
  return in(file.tensors()) || in(file.unfit());
}

}  // namespace

bool is_in_checkpoint(const std::string &component) { return find_table(component); }

void check_is_upscaler(const WeightsFile &checkpoint) {
  constexpr int64_t upscaler_channels = 7;  // a latent's and the picture's
  const auto input = checkpoint.tensors().find("model.diffusion_model.input_blocks.0.0.weight");
  std::string problem;
  if (input != checkpoint.tensors().end() && input->second.shape.size() == 4 &&
      input->second.shape[1] == upscaler_channels) {
    for (const Table &table : tables)
      if (!holds(checkpoint, table.prefix))
        problem += (problem.empty() ? "lacks " : " and ") + std::string(table.prefix) + "* (" +
                   table.component + ")";
    if (problem.empty()) return;
  } else {
    problem = "is no x4 upscaler, nor another model that is known by its names";
    for (const auto &[begin, what] : other_kinds)
      if (holds(checkpoint, begin)) {
        problem = std::string("is ") + what + ", no x4 upscaler";
        break;
      }
  }
  throw Error(ErrorKind::open_read,
              "Model " + checkpoint.path() + " " + problem +
                  "; give the file x4-upscaler-ema.safetensors of "
                  "stabilityai/stable-diffusion-x4-upscaler, a relative of it, or the folder of a "
                  "snapshot.",
              checkpoint.path());
}

std::shared_ptr<const WeightsFile> component_of(const WeightsFile &checkpoint,
                                                const std::string &component,
                                                const Config &config) {
  const Table &table = *find_table(component);
  const std::string prefix = table.prefix;
  const Translator translate(table, layout_of(config));
  std::map<std::string, TensorEntry> tensors;
  std::map<std::string, std::string> unfit;
  const auto each = [&](const auto &names, auto &&add) {
    for (auto entry = names.lower_bound(prefix);
         entry != names.end() && starts_with(entry->first, prefix); ++entry)
      if (const std::string name = translate(std::string_view(entry->first).substr(prefix.size()));
          !name.empty())
        add(parts_of(name), entry->second);
  };
  each(checkpoint.tensors(), [&](const std::vector<std::string> &names, TensorEntry entry) {
    const auto count = int64_t(names.size());
    if (count > 1) {
      if (entry.shape.empty() || entry.shape[0] % count != 0) {
        for (const std::string &name : names) unfit.emplace(name, "is a third of an odd shape");
        return;
      }
      entry.shape[0] /= count;
      entry.bytes /= uint64_t(count);
    }
    for (const std::string &name : names) {
      tensors.emplace(name, entry);
      entry.offset += entry.bytes;
    }
  });
  each(checkpoint.unfit(), [&](const std::vector<std::string> &names, const std::string &reason) {
    for (const std::string &name : names) unfit.emplace(name, reason);
  });
  return checkpoint.with(std::move(tensors), std::move(unfit));
}

}  // namespace livepeer
