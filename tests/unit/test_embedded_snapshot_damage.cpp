// Damages a copy of the embedded model in every way we could think of. Each must end in one Error
// that names the damaged file or folder and can be told to a user; nothing may crash or hang.
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "diffusion/torch_model_loader.h"
#include "io/safetensors.h"
#include "runtime/error.h"
#include "support/temporary_folder.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;
using Damage = std::function<void(const fs::path &snapshot)>;

constexpr const char *unet_weights = "unet/diffusion_pytorch_model.safetensors";

Damage remove(const std::string &name) {
  return [name](const fs::path &snapshot) { ASSERT_GT(fs::remove_all(snapshot / name), 0u); };
}

Damage overwrite(const std::string &name, const std::string &bytes) {
  return [name, bytes](const fs::path &snapshot) {
    ASSERT_TRUE(fs::exists(snapshot / name));
    test::write_file(snapshot / name, bytes);
  };
}

/// Sets a key of a JSON file; a null value removes it.
Damage set(const std::string &name, const std::string &key, const nlohmann::json &value) {
  return [name, key, value](const fs::path &snapshot) {
    auto json = nlohmann::json::parse(test::read_file(snapshot / name));
    ASSERT_TRUE(json.contains(key)) << key;
    if (value.is_null())
      json.erase(key);
    else
      json[key] = value;
    test::write_file(snapshot / name, json.dump(2));
  };
}

/// Replaces bytes of a file by as many others.
Damage replace(const std::string &name, const std::string &bytes, const std::string &others) {
  return [=](const fs::path &snapshot) {
    std::string text = test::read_file(snapshot / name);
    const size_t at = text.find(bytes);
    ASSERT_NE(at, std::string::npos);
    ASSERT_EQ(bytes.size(), others.size());
    test::write_file(snapshot / name, text.replace(at, bytes.size(), others));
  };
}

/// A whole and consistent unet that takes one channel more than latent and picture have.
void widen_unet(const fs::path &snapshot) {
  const auto takes_input = [](const std::string &name) {
    return name.find(".conv_in.weight") != std::string::npos;
  };
  set("unet/config.json", "in_channels", 52)(snapshot);
  const fs::path path = snapshot / unet_weights;
  {
    const SafetensorsFile file(path);
    std::vector<SafetensorsWriter::Tensor> tensors;
    for (const auto &[name, entry] : file.tensors()) {
      tensors.push_back({name, entry.dtype, entry.shape});
      if (takes_input(name)) tensors.back().shape[1] = 52;
    }
    SafetensorsWriter writer(snapshot / "wide", tensors);
    for (const auto &[name, entry] : file.tensors()) {
      std::string data(takes_input(name) ? entry.bytes / 51 * 52 : entry.bytes, '\0');
      if (!takes_input(name)) file.read(entry, 0, data.data(), data.size());
      writer.append(data.data(), data.size());
    }
    writer.finish();
  }
  fs::rename(snapshot / "wide", path);
}

struct Case {
  const char *name;
  Damage damage;
  const char *expected;  ///< parts of the message, separated by |
};

class EmbeddedSnapshotDamage : public ::testing::TestWithParam<Case> {
 protected:
  EmbeddedSnapshotDamage() : snapshot_(folder_ / "snapshot") {
    fs::copy(fs::path(SOURCE_ROOT) / "models/default", snapshot_, fs::copy_options::recursive);
  }
  void load() {
    ModelSpec spec;
    spec.model = snapshot_;
    spec.device = "cpu";
    spec.precision = Precision::float32;
    spec.safety_check = false;
    TorchModelLoader loader;
    const CheckedModel checked = loader.check(spec);
    Progress progress;
    loader.load(spec, checked.opened, progress);
  }

  test::TemporaryFolder folder_;
  const fs::path snapshot_;
};

TEST_P(EmbeddedSnapshotDamage, IsOneClearError) {
  GetParam().damage(snapshot_);
  if (HasFatalFailure()) return;
  try {
    load();
    FAIL() << "the damaged snapshot was loaded";
  } catch (const Error &error) {
    const std::string message = error.what();
    RecordProperty("message", message);
    EXPECT_TRUE(error.kind() == ErrorKind::not_found || error.kind() == ErrorKind::open_read)
        << message;
    std::istringstream parts(GetParam().expected);
    for (std::string part; std::getline(parts, part, '|');)
      EXPECT_NE(message.find(part), std::string::npos) << part << "\nis not in: " << message;
  }
}

class EmbeddedSnapshot : public EmbeddedSnapshotDamage {};

TEST_P(EmbeddedSnapshot, LoadsUndamaged) { EXPECT_NO_THROW(load()); }

INSTANTIATE_TEST_SUITE_P(Copy, EmbeddedSnapshot, ::testing::Values(Case{"Whole", {}, ""}),
                         [](const auto &info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Files, EmbeddedSnapshotDamage,
    ::testing::Values(
        Case{"IndexGone", remove("model_index.json"), "model_index.json|does not exist"},
        Case{"IndexCutOff", overwrite("model_index.json", "{\"_class_name\": "),
             "model_index.json|not a JSON object"},
        Case{"OtherPipeline", set("model_index.json", "_class_name", "FluxPipeline"),
             "FluxPipeline|StableDiffusionUpscalePipeline"},
        Case{"IndexLacksUnet", set("model_index.json", "unet", nullptr), "model_index.json|unet"},
        Case{"IndexDefaultIsText", set("model_index.json", "default_num_inference_steps", "one"),
             "model_index.json|default_num_inference_steps"},
        Case{"UnknownDenoiser", set("model_index.json", "unet", {"diffusers", "UNet9D"}),
             "UNet9D|FlatDenoiser"},
        Case{"UnknownVae", set("model_index.json", "vae", {"diffusers", "Magic"}), "Magic"},
        Case{"UnknownScheduler", set("scheduler/scheduler_config.json", "_class_name", "Soon"),
             "Soon"},
        Case{"UnknownPrediction",
             set("scheduler/scheduler_config.json", "prediction_type", "everything"),
             "prediction_type|everything"},
        Case{"UnetFolderGone", remove("unet"), "unet|lacks the folder"},
        Case{"UnetConfigGone", remove("unet/config.json"), "unet/config.json|does not exist"},
        Case{"UnetConfigKeyGone", set("unet/config.json", "channels", nullptr),
             "unet/config.json|\"channels\" is missing"},
        Case{"UnetConfigKeyIsText", set("unet/config.json", "channels", "many"),
             "unet/config.json|\"channels\" must be an integer"},
        Case{"UnetConfigHuge", set("unet/config.json", "channels", int64_t(1) << 40),
             "unet|asks for a parameter experts.0.film."},
        Case{"UnetConfigNegative", set("unet/config.json", "num_blocks", nlohmann::json::array({-1, 8})),
             "unet|asks for a parameter experts.0.film."},
        Case{"UnetConfigIsOfOneExpert", set("unet/config.json", "num_blocks", nlohmann::json::array({8})),
             "unet/config.json|\"num_blocks\" must be a list of two"},
        Case{"UnetConfigDisagrees", set("unet/config.json", "in_channels", 52),
             "diffusion_pytorch_model.safetensors|conv_in.weight|expected [48, 52, 3, 3]"},
        Case{"WeightsGone", remove(unet_weights), "unet|holds no weights"},
        Case{"WeightsEmpty", overwrite(unet_weights, ""), "unet|is empty"},
        Case{"WeightsAreText", overwrite(unet_weights, std::string(5000, 'x')),
             "unet|claims a header"},
        Case{"WeightsTruncated",
             [](const fs::path &s) {
               fs::resize_file(s / unet_weights, fs::file_size(s / unet_weights) - 1000);
             },
             "unet|is truncated"},
        Case{"WeightsWithTail",
             [](const fs::path &s) {
               fs::resize_file(s / unet_weights, fs::file_size(s / unet_weights) + 1000);
             },
             "unet|belong to no tensor"},
        Case{"WeightsLackOne", replace(unet_weights, ".conv_mid.bias\"", ".conv_mid.bios\""),
             "unet|conv_mid.bias: is missing"},
        Case{"WeightsOfOtherType", replace(unet_weights, "\"BF16\"", "\"I16\" "),
             "unet|has type I16"},
        Case{"WeightsNotNumbers",
             [](const fs::path &s) {
               std::string bytes = test::read_file(s / unet_weights);
               test::write_file(s / unet_weights,
                                bytes.substr(0, bytes.size() - 64) + std::string(64, '\xff'));
             },
             "unet|not numbers"},
        Case{"WeightsAreAPickleOfSomethingElse",
             [](const fs::path &s) {
               fs::remove(s / unet_weights);
               test::write_file(s / "unet/diffusion_pytorch_model.bin",
                                "\x80\x02" + std::string(20, 'N') + ".");
             },
             "diffusion_pytorch_model.bin|not one of torch.save's"},
        Case{"WeightsLinkInCircle",
             [](const fs::path &s) {
               fs::remove(s / unet_weights);
               fs::create_symlink("diffusion_pytorch_model.safetensors", s / unet_weights);
             },
             "unet|cannot be read"},
        Case{"TextWeightsGone", remove("text_encoder/model.safetensors"),
             "text_encoder|holds no weights"},
        Case{"TextHeadsDoNotDivide", set("text_encoder/config.json", "num_attention_heads", 5),
             "text_encoder/config.json|num_attention_heads"},
        Case{"TextActivationUnknown", set("text_encoder/config.json", "hidden_act", "swish9"),
             "text_encoder/config.json|swish9"},
        Case{"VocabularyGone", remove("tokenizer/vocab.json"), "vocab.json|does not exist"},
        Case{"VocabularyTooLarge",
             replace("tokenizer/vocab.json", "\"<|endoftext|>\"", "\"<|endoftexx|>\""),
             "vocab.json|<|endoftext|>"},
        Case{"VocabularyBeyondEncoder", set("tokenizer/vocab.json", "!", 99999), "tokenizer"},
        Case{"MergesDamaged", overwrite("tokenizer/merges.txt", "#version: 0.2\nabc\n"),
             "merges.txt|line 2"},
        Case{"VaeConfigKeyIsText", set("vae/config.json", "latent_channels", "x"),
             "vae/config.json|latent_channels"},
        Case{"VaeDisagreesWithUnet", set("vae/config.json", "latent_channels", 12),
             "vae/config.json|latent_channels"},
        Case{"UnetOfAnotherVae", widen_unet, "snapshot|takes 52 channels|latents of 48"},
        Case{"LowResSchedulerGone", remove("low_res_scheduler"), "low_res_scheduler"}),
    [](const auto &info) { return info.param.name; });

}  // namespace
}  // namespace livepeer
