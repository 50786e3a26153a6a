// What LoRAs add to parameters, parameters that models share, and models with both.
#include "weights/lora_source.h"

#include <gtest/gtest.h>
#include <torch/utils.h>

#include <filesystem>
#include <set>

#include "diffusion/torch_model_loader.h"
#include "golden/golden_files.h"
#include "support/temporary_folder.h"
#include "weights/component_source.h"

namespace livepeer {
namespace {

/// One parameter "w", or whatever is asked for.
struct OneParameter : ParameterSource {
  explicit OneParameter(torch::Tensor value_) : value(std::move(value_)) {}
  torch::Tensor get(std::initializer_list<std::string>, at::IntArrayRef) override { return value; }
  torch::Tensor value;
};

/// Layers for "w" out of tensors called down, up ...
class LoraSourceTest : public ::testing::Test {
 protected:
  LoraSourceTest() { torch::manual_seed(1); }

  LoraLayer layer_of(const NamedTensors &tensors, double weight = 1) {
    const std::string path = folder_ / (std::to_string(count_++) + ".safetensors");
    write_tensors(path, tensors);
    LoraLayer layer;
    layer.file = open_weights(path);
    layer.weight = weight;
    for (const auto &[name, entry] : layer.file->tensors()) {
      if (name == "down") layer.down = entry;
      if (name == "up") layer.up = entry;
      if (name == "mid") layer.mid = entry;
      if (name == "magnitude") layer.magnitude = entry;
      if (name == "alpha") layer.alpha = entry;
    }
    return layer;
  }
  torch::Tensor merged(const torch::Tensor &weight, std::vector<LoraLayer> layers,
                       torch::Dtype dtype = torch::kFloat) {
    const LoraSet::Layers all{{"w", std::move(layers)}};
    WeightOptions options;
    options.dtype = dtype;
    options.lora = &all;
    OneParameter base(weight);
    return LoraSource(base, options).get({"w"}, weight.sizes());
  }
  static void expect_close(const torch::Tensor &a, const torch::Tensor &b) {
    ASSERT_EQ(a.sizes(), b.sizes());
    EXPECT_LT((a - b).abs().max().item<double>(), 1e-5 * b.abs().max().item<double>());
  }

  const torch::Tensor w_ = torch::randn({6, 4}), down_ = torch::randn({2, 4}),
                      up_ = torch::randn({6, 2});

 private:
  const test::TemporaryFolder folder_;
  int count_ = 0;
};

TEST_F(LoraSourceTest, AddsTheScaledProduct) {
  const auto product = torch::matmul(up_, down_);
  const auto before = w_.clone();
  expect_close(merged(w_, {layer_of({{"down", down_}, {"up", up_}}, 0.5)}), w_ + 0.5 * product);
  const auto alpha = torch::tensor(3.0F);
  LoraLayer layer = layer_of({{"down", down_}, {"up", up_}, {"alpha", alpha}}, 0.5);
  expect_close(merged(w_, {layer}), w_ + 0.75 * product);
  layer.root_of_rank = true;
  expect_close(merged(w_, {layer}), w_ + 1.5 / std::sqrt(2.0) * product);
  layer = layer_of({{"down", down_}, {"up", up_}});
  layer.given_alpha = 1;
  expect_close(merged(w_, {layer, layer}), w_ + product);
  EXPECT_TRUE(torch::equal(w_, before)) << "the base is shared and must not change";
}

TEST_F(LoraSourceTest, LeavesOtherParametersAlone) {
  const LoraSet::Layers none{{"v", {}}};
  WeightOptions options;
  options.lora = &none;
  OneParameter base(w_);
  EXPECT_EQ(LoraSource(base, options).get({"w"}, w_.sizes()).data_ptr(), w_.data_ptr());
}

TEST_F(LoraSourceTest, ConvolutionsWithAndWithoutAMiddle) {
  const auto w = torch::randn({5, 3, 3, 3}).to(at::MemoryFormat::ChannelsLast);
  const auto down = torch::randn({2, 3, 3, 3}), up = torch::randn({5, 2, 1, 1});
  const auto x = torch::randn({1, 3, 7, 7});
  const auto plain = merged(w, {layer_of({{"down", down}, {"up", up}})});
  EXPECT_TRUE(plain.is_contiguous(at::MemoryFormat::ChannelsLast));
  expect_close(at::conv2d(x, plain), at::conv2d(x, w) + at::conv2d(at::conv2d(x, down), up));
  const auto thin = torch::randn({2, 3, 1, 1}), mid = torch::randn({2, 2, 3, 3});
  const auto middle = merged(w, {layer_of({{"down", thin}, {"mid", mid}, {"up", up}})});
  expect_close(at::conv2d(x, middle),
               at::conv2d(x, w) + at::conv2d(at::conv2d(at::conv2d(x, thin), mid), up));
}

TEST_F(LoraSourceTest, MagnitudesAreThoseOfRowsOrColumns) {
  const auto rows = torch::rand({6}) + 0.5;
  const auto columns = torch::rand({1, 4}) + 0.5;
  const auto by_row = merged(w_, {layer_of({{"down", down_}, {"up", up_}, {"magnitude", rows}})});
  expect_close(by_row.norm(2, {1}), rows);
  LoraLayer layer = layer_of({{"down", down_}, {"up", up_}, {"magnitude", columns}});
  layer.by_column = true;
  expect_close(merged(w_, {layer}).norm(2, {0}), columns[0]);
  // The length that it has already changes nothing.
  const auto sum = w_ + torch::matmul(up_, down_);
  const auto own = sum.norm(2, {1});
  expect_close(merged(w_, {layer_of({{"down", down_}, {"up", up_}, {"magnitude", own}})}), sum);
}

TEST_F(LoraSourceTest, RoundsOnceAfterTheSum) {
  const auto sum = w_ + torch::matmul(up_, down_);
  for (const auto dtype : {torch::kBFloat16, torch::kHalf}) {
    const auto result = merged(w_, {layer_of({{"down", down_}, {"up", up_}})}, dtype);
    EXPECT_EQ(result.scalar_type(), dtype);
    EXPECT_TRUE(torch::equal(result, sum.to(dtype)));
  }
}

TEST_F(LoraSourceTest, NumbersThatAreNotFiniteAreRefused) {
  auto nan = up_.clone();
  nan[1][1] = std::nan("");
  EXPECT_THROW(merged(w_, {layer_of({{"down", down_}, {"up", nan}})}), Error);
  EXPECT_THROW(merged(w_, {layer_of({{"down", down_ / 0}, {"up", up_}})}), Error);
  const auto alpha = torch::tensor(INFINITY);
  EXPECT_THROW(merged(w_, {layer_of({{"down", down_}, {"up", up_}, {"alpha", alpha}})}), Error);
  // A row of zeros has no direction that a magnitude could be that of.
  const auto zeros = torch::zeros({6, 4});
  EXPECT_THROW(
      merged(zeros,
             {layer_of({{"down", down_ * 0}, {"up", up_}, {"magnitude", torch::ones({6})}})}),
      Error);
  try {
    merged(w_ * 0 + 60000, {layer_of({{"down", down_}, {"up", up_}}, 1e5)}, torch::kHalf);
    FAIL() << "no error";
  } catch (const Error &error) {
    EXPECT_NE(std::string(error.what()).find("not finite in Half"), std::string::npos)
        << error.what();
  }
}

TEST(SharedParameters, LiveAsLongAsSomeoneHasThem) {
  SharedParameters shared;
  EXPECT_FALSE(shared.find("a").defined());
  auto tensor = torch::randn({2, 3, 3, 3}).to(at::MemoryFormat::ChannelsLast);
  shared.add("a", tensor);
  auto found = shared.find("a");
  EXPECT_EQ(found.data_ptr(), tensor.data_ptr());
  EXPECT_EQ(found.strides(), tensor.strides());
  EXPECT_TRUE(torch::equal(found, tensor));
  // A view keeps the memory, too.
  auto view = tensor[0];
  tensor.reset();
  found.reset();
  EXPECT_TRUE(shared.find("a").defined());
  view.reset();
  EXPECT_FALSE(shared.find("a").defined());
  // The dead are forgotten, and a key can come again.
  for (int i = 0; i < 5000; ++i) shared.add(std::to_string(i), torch::ones({1}));
  const auto again = torch::ones({2});
  shared.add("a", again);
  EXPECT_EQ(shared.find("a").data_ptr(), again.data_ptr());
}

TEST(SharedParameters, PartsOfOtherMemoryAreNotShared) {
  SharedParameters shared;
  const auto tensor = torch::randn({4, 3});
  shared.add("row", tensor[1]);
  shared.add("first rows", tensor.narrow(0, 0, 2));
  shared.add("expanded", torch::zeros({1}).expand({5}));
  for (const char *key : {"row", "first rows", "expanded"})
    EXPECT_FALSE(shared.find(key).defined()) << key;
}

/// The addresses of all parameters of a component.
class Addresses : public ParameterSource {
 public:
  explicit Addresses(ParameterSource &source) : source_(source) {}
  torch::Tensor get(std::initializer_list<std::string> names, at::IntArrayRef shape) override {
    const auto tensor = source_.get(names, shape);
    kept[*names.begin()] = tensor;
    return tensor;
  }
  std::map<std::string, torch::Tensor> kept;

 private:
  ParameterSource &source_;
};

TEST(ComponentSource, OnlyWhatALoraChangesIsLoadedAgain) {
  const Snapshot snapshot(golden_path("tiny-upscaler"));
  const LoraSet loras = open_loras(golden_path("lora/kohya.safetensors"), snapshot, false);
  const auto shared = std::make_shared<SharedParameters>();
  const auto files = snapshot.component("unet").open_weights(false);
  const auto load = [&](bool with_lora) {
    WeightOptions options;
    options.channels_last = true;
    options.shared = {shared, "tiny", loras.identity};
    if (with_lora) options.lora = loras.of("unet");
    ComponentSource source(files, options);
    Addresses addresses(source);
    for (const auto &[name, entry] : files[0]->tensors()) addresses.get({name}, entry.shape);
    source.finish();
    return addresses.kept;
  };
  const auto base = load(false), changed = load(true), again = load(true), back = load(false);
  size_t different = 0;
  for (const auto &[name, tensor] : base) {
    EXPECT_EQ(back.at(name).data_ptr(), tensor.data_ptr()) << name;
    EXPECT_EQ(again.at(name).data_ptr(), changed.at(name).data_ptr()) << name;
    const bool is_changed = loras.of("unet")->count(name);
    different += is_changed;
    EXPECT_EQ(changed.at(name).data_ptr() == tensor.data_ptr(), !is_changed) << name;
    EXPECT_EQ(torch::equal(changed.at(name), tensor), !is_changed) << name;
  }
  EXPECT_EQ(different, 10U);
}

class LoraModel : public ::testing::Test {
 protected:
  static ModelSpec spec_of(const std::string &lora, const std::string &embeddings = {}) {
    ModelSpec spec;
    spec.model = golden_path("tiny-upscaler");
    spec.device = "cpu";
    spec.precision = Precision::float32;
    spec.safety_check = false;
    spec.lora = lora;
    spec.embeddings = embeddings;
    return spec;
  }
  std::shared_ptr<UpscaleModel> load(const ModelSpec &spec) {
    const CheckedModel checked = loader_.check(spec);
    Progress progress;
    return loader_.load(spec, checked.opened, progress);
  }
  static Bytes picture(UpscaleModel &model, const std::string &prompt = "a cat") {
    Frame frame(16, 12);
    for (size_t i = 0; i < frame.pixels.size(); ++i) frame.pixels[i] = uint8_t(i * 7);
    UpscaleSettings settings;
    settings.prompt = prompt;
    settings.steps = 2;
    Progress progress;
    return model.upscale(frame, {0, 0, 16, 12}, settings, {}, {}, progress).pixels;
  }
  TorchModelLoader loader_;
};

TEST_F(LoraModel, TakingItAwayGivesTheBytesOfBefore) {
  const auto before = picture(*load(spec_of("")));
  const auto base = load(spec_of(""));
  const auto changed = load(spec_of(golden_path("lora/peft_dora.safetensors")));
  EXPECT_NE(picture(*changed), before);
  EXPECT_EQ(picture(*load(spec_of(""))), before);
  // Shared or not, it is the same.
  EXPECT_EQ(picture(*base), before);
  TorchModelLoader alone;
  Progress progress;
  const auto same = alone.load(spec_of(golden_path("lora/peft_dora.safetensors")), {}, progress);
  EXPECT_EQ(picture(*same), picture(*changed));
}

TEST_F(LoraModel, IdentitiesFollowFilesAndWeights) {
  const std::string lora = golden_path("lora/peft.safetensors");
  const std::string embeddings = golden_path("inversions");
  const std::vector<std::string> identities = {loader_.check(spec_of("")).identity,
                                               loader_.check(spec_of(lora)).identity,
                                               loader_.check(spec_of(lora + "@0.5")).identity,
                                               loader_.check(spec_of("", embeddings)).identity,
                                               loader_.check(spec_of(lora, embeddings)).identity};
  EXPECT_EQ(std::set<std::string>(identities.begin(), identities.end()).size(), identities.size());
}

TEST_F(LoraModel, WhatWasCheckedIsOpenedOnce) {
  namespace fs = std::filesystem;
  const test::TemporaryFolder folder;
  fs::copy(golden_path("tiny-upscaler"), folder / "model", fs::copy_options::recursive);
  ModelSpec spec = spec_of("");
  spec.model = folder / "model";
  const CheckedModel checked = loader_.check(spec);
  // No longer to be opened by name, but open still.
  for (const char *component : {"unet", "vae", "text_encoder"})
    for (const auto &file : fs::directory_iterator((folder / "model") / component))
      if (file.path().extension() == ".safetensors") fs::remove(file);
  Progress progress;
  const auto model = loader_.load(spec, checked.opened, progress);
  EXPECT_EQ(picture(*model), picture(*load(spec_of(""))));
  EXPECT_THROW(loader_.load(spec, {}, progress), Error);
}

TEST_F(LoraModel, WordsOfEmbeddingsCountAndOthersStayAsTheyWere) {
  const auto plain = load(spec_of(""));
  const auto taught = load(spec_of("", golden_path("inversions")));
  EXPECT_EQ(picture(*taught), picture(*plain));
  EXPECT_NE(picture(*taught, "a <stripe>"), picture(*plain, "a <stripe>"));
}

TEST_F(LoraModel, DamagedNumbersAreAnErrorOfTheLoad) {
  const test::TemporaryFolder folder;
  write_tensors(folder / "nan.safetensors", {{"<nan>", torch::full({12}, NAN)}});
  EXPECT_THROW(load(spec_of("", folder / "nan.safetensors")), Error);
  auto tensors = read_tensors(golden_path("lora/peft.safetensors"));
  NamedTensors damaged(tensors.begin(), tensors.end());
  damaged[3].second = torch::full_like(damaged[3].second, NAN);
  write_tensors(folder / "lora.safetensors", damaged);
  EXPECT_THROW(load(spec_of(folder / "lora.safetensors")), Error);
  // A word that the tokenizer has.
  write_tensors(folder / "known.safetensors", {{"<|endoftext|>", torch::ones({12})}});
  EXPECT_THROW(load(spec_of("", folder / "known.safetensors")), Error);
}

}  // namespace
}  // namespace livepeer
