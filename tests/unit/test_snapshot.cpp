// Snapshot folders: how they are found, which of their files are taken.
#include "io/snapshot.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <optional>

#include "io/model_lookup.h"
#include "io/safetensors.h"
#include "support/temporary_folder.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using test::write_file;

void write_weights(const fs::path &path, const std::string &name = "w") {
  fs::create_directories(path.parent_path());
  SafetensorsWriter writer(path, {{name, Dtype::f32, {1}}});
  const float value = 1;
  writer.append(&value, sizeof value);
  writer.finish();
}

void write_snapshot(const fs::path &folder) {
  write_file(folder / "model_index.json",
             R"({"_class_name": "P", "unet": ["diffusers", "UNet2DConditionModel"],
                 "scheduler": ["diffusers", "DDIMScheduler"], "safety_checker": [null, null],
                 "max_noise_level": 350})");
  write_file(folder / "unet/config.json", R"({"_class_name": "UNet2DConditionModel"})");
  write_weights(folder / "unet/diffusion_pytorch_model.safetensors");
  write_file(folder / "scheduler/scheduler_config.json", R"({"_class_name": "DDIMScheduler"})");
}

/// Sets environment variables for one test; everything that names model folders is cleared first.
class ModelLookup : public ::testing::Test {
 protected:
  ModelLookup() {
    for (const char *name : {"MODEL_DIR", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME",
                             "XDG_CACHE_HOME", "HOME", "LIVEPEER_UPSCALE_MODELS"}) {
      const char *value = getenv(name);
      saved_.emplace_back(name, value ? std::optional<std::string>(value) : std::nullopt);
      unsetenv(name);
    }
  }
  ~ModelLookup() override {
    for (const auto &[name, value] : saved_)
      value ? setenv(name.c_str(), value->c_str(), 1) : unsetenv(name.c_str());
  }
  void set(const char *name, const fs::path &value) { setenv(name, value.c_str(), 1); }
  std::string error_of(const std::string &model) {
    try {
      find_model(model);
    } catch (const Error &error) {
      return error.what();
    }
    return "(no error)";
  }

  TemporaryFolder folder_;

 private:
  std::vector<std::pair<std::string, std::optional<std::string>>> saved_;
};

TEST_F(ModelLookup, FoldersAreTakenAsTheyAre) {
  write_snapshot(folder_ / "here");
  EXPECT_EQ(find_model(folder_ / "here"), folder_ / "here");
  EXPECT_EQ(model_id_of(folder_ / "here"), "here");
  EXPECT_EQ(model_id_of((folder_ / "here").string() + "/"), "here");
}

TEST_F(ModelLookup, EmbeddedModelsFollowTheEnvironment) {
  EXPECT_NE(embedded_models_folder(), "");
  set("LIVEPEER_UPSCALE_MODELS", folder_.path());
  write_snapshot(folder_ / "default");
  EXPECT_EQ(find_model(""), folder_ / "default");
  EXPECT_EQ(find_model("default"), folder_ / "default");
  EXPECT_NE(error_of("quality").find("quality"), std::string::npos);
  write_snapshot(folder_ / "quality");
  EXPECT_EQ(find_model("quality"), folder_ / "quality");
}

TEST_F(ModelLookup, IdsAreFoundAsPlainFoldersInModelDir) {
  set("MODEL_DIR", folder_.path());
  write_snapshot(folder_ / "org/name");
  EXPECT_EQ(find_model("org/name"), folder_ / "org/name");
}

TEST_F(ModelLookup, IdsAreFoundInTheCacheLayoutOfEveryRoot) {
  const struct {
    const char *variable, *below;
  } roots[] = {{"MODEL_DIR", ""},
               {"HF_HUB_CACHE", ""},
               {"HUGGINGFACE_HUB_CACHE", ""},
               {"HF_HOME", "hub"},
               {"XDG_CACHE_HOME", "huggingface/hub"},
               {"HOME", ".cache/huggingface/hub"},
               {"HOME", ".lpData/models"}};
  for (const auto &root : roots) {
    const TemporaryFolder home;
    const fs::path repository = home.path() / root.below / "models--org--name";
    write_snapshot(repository / "snapshots/abc123");
    write_snapshot(repository / "snapshots/def456");
    write_file(repository / "refs/main", "def456\n");
    set(root.variable, home.path());
    EXPECT_EQ(fs::canonical(find_model("org/name")), fs::canonical(repository / "snapshots/def456"))
        << root.variable << " " << root.below;
    EXPECT_EQ(model_id_of(find_model("org/name")), "org/name");
    unsetenv(root.variable);
  }
}

TEST_F(ModelLookup, EarlierRootsWin) {
  set("MODEL_DIR", folder_ / "first");
  set("HF_HUB_CACHE", folder_ / "second");
  write_snapshot(folder_ / "second/models--a--b/snapshots/x");
  EXPECT_NE(find_model("a/b").find("second"), std::string::npos);
  write_snapshot(folder_ / "first/models--a--b/snapshots/y");
  EXPECT_NE(find_model("a/b").find("first"), std::string::npos);
}

TEST_F(ModelLookup, OneRevisionNeedsNoReferenceSeveralDo) {
  set("MODEL_DIR", folder_.path());
  write_snapshot(folder_ / "models--a--b/snapshots/x");
  EXPECT_EQ(fs::path(find_model("a/b")).filename(), "x");
  write_snapshot(folder_ / "models--a--b/snapshots/y");
  EXPECT_NE(error_of("a/b").find("Model a/b is neither"), std::string::npos);
}

TEST_F(ModelLookup, ARepositoryFolderStandsForItsMainRevision) {
  write_snapshot(folder_ / "models--a--b/snapshots/x");
  write_file(folder_ / "models--a--b/refs/main", "x");
  EXPECT_EQ(fs::path(find_model(folder_ / "models--a--b")).filename(), "x");
}

TEST_F(ModelLookup, UnknownIdsNameThePlacesSearched) {
  set("MODEL_DIR", folder_ / "models");
  set("HOME", folder_ / "home");
  const std::string message = error_of("org/name");
  for (const char *part :
       {"org/name", "/models", "home/.cache/huggingface/hub", ".lpData/models", "Download it"})
    EXPECT_NE(message.find(part), std::string::npos) << part << " in " << message;
}

TEST(SnapshotFolder, ListsComponentsWithTheirClasses) {
  const TemporaryFolder folder;
  write_snapshot(folder.path());
  const Snapshot snapshot(folder.path());
  EXPECT_EQ(snapshot.component("unet").class_name(), "UNet2DConditionModel");
  EXPECT_EQ(snapshot.component("scheduler").class_name(), "DDIMScheduler");
  EXPECT_FALSE(snapshot.has("safety_checker"));  // [null, null]
  EXPECT_FALSE(snapshot.has("max_noise_level"));
  EXPECT_EQ(snapshot.index().get<int>("max_noise_level", 0), 350);
  EXPECT_TRUE(snapshot.component("unet").has_weights());
  EXPECT_FALSE(snapshot.component("scheduler").has_weights());
  EXPECT_NO_THROW(snapshot.check_weights(false));
}

TEST(SnapshotFolder, IsReachedThroughLinksAsInTheCache) {
  const TemporaryFolder folder;
  write_snapshot(folder / "blobs");
  fs::create_directories(folder / "snapshots");
  fs::create_directory_symlink(folder / "blobs", folder / "snapshots/main");
  EXPECT_EQ(Snapshot(folder / "snapshots/main").path(), fs::canonical(folder / "blobs"));
}

class WeightFiles : public ::testing::Test {
 protected:
  WeightFiles() { write_file(folder_ / "config.json", "{}"); }
  std::vector<std::string> names(bool prefer_half) {
    std::vector<std::string> result;
    for (const std::string &path : Component(folder_.path(), "X").weight_files(prefer_half))
      result.push_back(fs::path(path).filename());
    return result;
  }
  using Names = std::vector<std::string>;
  TemporaryFolder folder_;
};

TEST_F(WeightFiles, TheWantedPrecisionComesFirst) {
  write_weights(folder_ / "model.fp16.safetensors");
  EXPECT_EQ(names(false), Names{"model.fp16.safetensors"});
  write_weights(folder_ / "model.safetensors");
  EXPECT_EQ(names(false), Names{"model.safetensors"});
  EXPECT_EQ(names(true), Names{"model.fp16.safetensors"});
}

TEST_F(WeightFiles, AnIndexNamesItsShardsOnce) {
  for (const std::string index :
       {"model.safetensors.index.json", "diffusion_pytorch_model.safetensors.index.json",
        "diffusion_pytorch_model.safetensors.index.fp16.json",
        "diffusion_pytorch_model.fp16.safetensors.index.json"}) {
    write_file(folder_ / index,
               R"({"weight_map": {"a": "s-2.safetensors", "b": "s-1.safetensors",
                   "c": "s-2.safetensors"}})");
    EXPECT_EQ(names(false), (Names{"s-1.safetensors", "s-2.safetensors"})) << index;
    fs::remove(folder_ / index);
  }
}

TEST_F(WeightFiles, PicklesCountWhereNothingElseLies) {
  const auto write = [&](const char *name) { write_file(folder_ / name, "x"); };
  write("pytorch_model.bin");
  EXPECT_EQ(names(true), Names{"pytorch_model.bin"});
  write("pytorch_model.fp16.bin");
  EXPECT_EQ(names(true), Names{"pytorch_model.fp16.bin"});
  EXPECT_EQ(names(false), Names{"pytorch_model.bin"});
  write_file(folder_ / "diffusion_pytorch_model.bin.index.json",
             R"({"weight_map": {"a": "s-2.bin", "b": "s-1.bin"}})");
  EXPECT_EQ(names(false), (Names{"s-1.bin", "s-2.bin"}));
  EXPECT_TRUE(Component(folder_.path(), "X").has_weights());
  write("model.safetensors");
  EXPECT_EQ(names(true), Names{"model.safetensors"});
}

TEST_F(WeightFiles, AnUnfinishedDownloadIsPassedOver) {
  fs::create_symlink(folder_ / "blob-that-never-came", folder_ / "model.safetensors");
  write_weights(folder_ / "model.fp16.safetensors");
  EXPECT_EQ(names(false), Names{"model.fp16.safetensors"});
}

TEST(Fingerprint, FollowsContentSizeAndTime) {
  const TemporaryFolder folder;
  write_snapshot(folder.path());
  const auto now = [&] { return Snapshot(folder.path()).fingerprint(); };
  const std::string first = now();
  EXPECT_EQ(now(), first);

  // Same size, same times: only the content tells.
  const fs::path config = folder / "unet/config.json";
  const auto time = fs::last_write_time(config);
  write_file(config, R"({"_class_name": "UNet2DConditionMODEL"})");
  fs::last_write_time(config, time);
  const std::string second = now();
  EXPECT_NE(second, first);

  const fs::path weights = folder / "unet/diffusion_pytorch_model.safetensors";
  fs::last_write_time(weights, fs::last_write_time(weights) + std::chrono::seconds(1));
  EXPECT_NE(now(), second);
}

}  // namespace
}  // namespace livepeer
