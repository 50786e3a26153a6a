// Damaged and hostile files. Every case must end in one Error that names the file and says what is
// wrong with it; this program is built with the address sanitizer.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <limits>

#include "io/model_lookup.h"
#include "io/safetensors.h"
#include "io/snapshot.h"
#include "support/temporary_folder.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;
using test::TemporaryFolder;
using test::write_file;

/// Runs `action`, expects an Error whose sentence holds `expected` and the last part of `path`.
void expect_error(const std::function<void()> &action, const std::string &expected,
                  const fs::path &path) {
  try {
    action();
    ADD_FAILURE() << "no error";
  } catch (const Error &error) {
    const std::string message = error.what();
    EXPECT_NE(message.find(expected), std::string::npos) << expected << "\nis not in: " << message;
    EXPECT_NE(message.find(path.filename()), std::string::npos)
        << path << "\nis not in: " << message;
    EXPECT_TRUE(error.kind() == ErrorKind::open_read || error.kind() == ErrorKind::not_found);
    EXPECT_FALSE(error.detail().empty());
  }
}

std::string length_field(uint64_t length) {
  std::string bytes(8, '\0');
  for (int i = 0; i < 8; ++i) bytes[size_t(i)] = char(length >> (8 * i));
  return bytes;
}

std::string file_of(const std::string &header, size_t data_bytes = 0) {
  return length_field(header.size()) + header + std::string(data_bytes, '\1');
}

/// A header of one tensor "a".
std::string one(const std::string &dtype, const std::string &shape, const std::string &offsets) {
  return R"({"a":{"dtype":)" + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

struct FileCase {
  const char *name;
  std::string bytes;
  const char *expected;
};

class BadWeights : public ::testing::TestWithParam<FileCase> {};

TEST_P(BadWeights, IsRefused) {
  const TemporaryFolder folder;
  const fs::path path = folder / "bad.safetensors";
  write_file(path, GetParam().bytes);
  expect_error([&] { SafetensorsFile file(path); }, GetParam().expected, path);
}

const std::string two = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)";

INSTANTIATE_TEST_SUITE_P(
    Files, BadWeights,
    ::testing::Values(
        FileCase{"Empty", "", "too short"}, FileCase{"SevenBytes", "1234567", "too short"},
        FileCase{"LengthOnly", length_field(0), "too short"},
        FileCase{"HeaderLongerThanFile", length_field(4096) + "{}", "is truncated"},
        FileCase{"HeaderOfTwoGigabytes", length_field(uint64_t(2) << 30) + "{}", "claims a header"},
        FileCase{"HeaderLengthNegative", length_field(~uint64_t(0)) + "{}", "claims a header"},
        FileCase{"HeaderLengthWrapsAround", length_field(~uint64_t(0) - 7) + "{}",
                 "claims a header"},
        FileCase{"HeaderZero", length_field(0) + "{}", "not a JSON object"},
        FileCase{"NotJson", file_of("this is no header"), "not a JSON object"},
        FileCase{"JsonCutOff", file_of(R"({"a":{"dtype":"F32")"), "not a JSON object"},
        FileCase{"JsonList", file_of("[1, 2, 3]"), "not a JSON object"},
        FileCase{"JsonInvalidUtf8", file_of("{\"\xff\xfe\": 1}"), "not a JSON object"},
        FileCase{"JsonDeep",
                 file_of("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}"),
                 "without dtype"},
        FileCase{"ZipArchive", "PK\3\4" + std::string(64, '\0'), "claims a header"},
        FileCase{"Pickle", "\x80\x02}q" + std::string(64, 'X'), "claims a header"},
        FileCase{"TensorIsNumber", file_of(R"({"a": 7})"), "without dtype"},
        FileCase{"NoDtype", file_of(R"({"a":{"shape":[2],"data_offsets":[0,8]}})", 8),
                 "without dtype"},
        FileCase{"NoOffsets", file_of(R"({"a":{"dtype":"F32","shape":[2]}})", 8), "without dtype"},
        FileCase{"UnknownDtype", file_of(one("\"F99\"", "[2]", "[0,8]"), 8), "unknown dtype"},
        FileCase{"DtypeIsNumber", file_of(one("32", "[2]", "[0,8]"), 8), "unknown dtype"},
        FileCase{"ShapeIsNumber", file_of(one("\"F32\"", "2", "[0,8]"), 8), "not a list"},
        FileCase{"ShapeNegative", file_of(one("\"F32\"", "[-2]", "[0,8]"), 8), "other than sizes"},
        FileCase{"ShapeFraction", file_of(one("\"F32\"", "[2.0]", "[0,8]"), 8), "other than sizes"},
        FileCase{"ShapeBoolean", file_of(one("\"F32\"", "[true]", "[0,4]"), 4), "other than sizes"},
        FileCase{"ShapeBeyondInt64", file_of(one("\"F32\"", "[9223372036854775808]", "[0,8]"), 8),
                 "other than sizes"},
        FileCase{"ShapeOverflows", file_of(one("\"F32\"", "[4294967296, 4294967296, 2]", "[0,0]")),
                 "not its size"},
        FileCase{"BytesOverflow", file_of(one("\"F64\"", "[2305843009213693952]", "[0,0]")),
                 "not its size"},
        FileCase{"OffsetsNegative", file_of(one("\"F32\"", "[2]", "[-8,0]"), 8), "data_offsets"},
        FileCase{"OffsetsDescending", file_of(one("\"F32\"", "[2]", "[8,0]"), 8), "data_offsets"},
        FileCase{"OffsetsThree", file_of(one("\"F32\"", "[2]", "[0,8,16]"), 16), "data_offsets"},
        FileCase{"OffsetsText", file_of(one("\"F32\"", "[2]", "[\"0\",\"8\"]"), 8), "data_offsets"},
        FileCase{"OffsetsBeyondInt64",
                 file_of(one("\"F32\"", "[2]", "[18446744073709551608,18446744073709551615]"), 8),
                 "data_offsets"},
        FileCase{"DataTruncated", file_of(one("\"F32\"", "[2]", "[0,8]"), 5), "is truncated"},
        FileCase{"DataTooLong", file_of(one("\"F32\"", "[2]", "[0,8]"), 12), "belong to no tensor"},
        FileCase{"SizeDisagrees", file_of(one("\"F32\"", "[3]", "[0,8]"), 8), "not its size"},
        FileCase{"TypeDisagrees", file_of(one("\"F16\"", "[2]", "[0,8]"), 8), "not its size"},
        FileCase{"Overlapping",
                 file_of(two + R"("b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})", 12),
                 "overlapping"},
        FileCase{"SamePlace",
                 file_of(two + R"("b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8),
                 "overlapping"},
        FileCase{"Gap",
                 file_of(two + R"("b":{"dtype":"F32","shape":[1],"data_offsets":[12,16]}})", 16),
                 "a gap"},
        FileCase{"NamedTwice",
                 file_of(two + R"("a":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})", 16),
                 "twice"},
        FileCase{"FieldTwice",
                 file_of(R"({"a":{"dtype":"F32","dtype":"F16","shape":[2],)"
                         R"("data_offsets":[0,8]}})",
                         8),
                 "twice"},
        FileCase{"MetadataIsList", file_of(R"({"__metadata__":[1]})"), "__metadata__"},
        FileCase{"MetadataOfNumbers", file_of(R"({"__metadata__":{"a":1}})"), "__metadata__"}),
    [](const auto &info) { return info.param.name; });

TEST(GoodWeights, AreTaken) {
  const TemporaryFolder folder;
  write_file(folder / "empty.safetensors", file_of("{}"));
  EXPECT_TRUE(SafetensorsFile(folder / "empty.safetensors").tensors().empty());
  write_file(folder / "zero.safetensors",
             file_of(R"({"__metadata__":{"format":"pt"},)"
                     R"("a":{"dtype":"F32","shape":[0,5],"data_offsets":[0,0]},)"
                     R"("b":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}   )",
                     8));
  const SafetensorsFile file(folder / "zero.safetensors");
  EXPECT_EQ(file.tensors().at("a").bytes, 0u);
  EXPECT_EQ(file.tensors().at("b").bytes, 8u);
  EXPECT_EQ(file.metadata().at("format"), "pt");
}

TEST(GoodWeights, ShrinkingWhileOpenIsNoticed) {
  const TemporaryFolder folder;
  const fs::path path = folder / "shrinks.safetensors";
  write_file(path, file_of(one("\"U8\"", "[100000]", "[0,100000]"), 100000));
  const SafetensorsFile file(path);
  fs::resize_file(path, 50);
  std::vector<char> data(100000);
  expect_error([&] { file.read(file.tensors().at("a"), 0, data.data(), data.size()); },
               "changed while", path);
}

TEST(GoodWeights, RandomDamageNeverCrashes) {
  const TemporaryFolder folder;
  const fs::path path = folder / "fuzz.safetensors";
  const std::string good =
      file_of(two + R"("b":{"dtype":"F16","shape":[2,2],"data_offsets":[8,16]}})", 16);
  uint32_t state = 1;
  const auto next = [&] { return state = state * 1664525 + 1013904223, state >> 8; };
  int refused = 0;
  for (int round = 0; round < 500; ++round) {
    std::string bytes = good;
    for (uint32_t i = 0, count = 1 + next() % 3; i < count; ++i)
      bytes[next() % bytes.size()] = char(next());
    if (next() % 8 == 0) bytes.resize(next() % bytes.size());
    write_file(path, bytes);
    try {
      const SafetensorsFile file(path);
      for (const auto &[name, entry] : file.tensors()) {
        std::vector<char> data(entry.bytes);
        file.read(entry, 0, data.data(), data.size());
        all_finite(entry.dtype, data.data(), data.size());
      }
    } catch (const Error &) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 250);
}

TEST(Writer, RefusesMissingAndSurplusDataAndLeavesNothing) {
  const TemporaryFolder folder;
  const std::string path = folder / "out.safetensors";
  const char data[8] = {};
  {
    SafetensorsWriter writer(path, {{"a", Dtype::f32, {1}}});
    EXPECT_THROW(writer.finish(), Error);
    EXPECT_THROW(writer.append(data, 8), Error);
  }
  EXPECT_THROW(SafetensorsWriter(path, {{"a", Dtype::f32, {1}}, {"a", Dtype::f32, {1}}}), Error);
  EXPECT_THROW(SafetensorsWriter(folder / "no/such/folder.safetensors", {}), Error);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

void write_snapshot(const fs::path &folder) {
  write_file(folder / "model_index.json",
             R"({"_class_name": "P", "unet": ["diffusers", "UNet2DConditionModel"]})");
  write_file(folder / "unet/config.json", R"({"_class_name": "UNet2DConditionModel"})");
  write_file(folder / "unet/diffusion_pytorch_model.safetensors",
             file_of(one("\"F32\"", "[2]", "[0,8]"), 8));
}

struct SnapshotCase {
  const char *name;
  std::function<void(const fs::path &folder)> damage;
  const char *names;  ///< the file that the message must name
  const char *expected;
};

class BadSnapshot : public ::testing::TestWithParam<SnapshotCase> {};

TEST_P(BadSnapshot, IsRefused) {
  const TemporaryFolder temporary;
  const fs::path folder = temporary / "snapshot";
  write_snapshot(folder);
  Snapshot(folder).check_weights(false);
  GetParam().damage(folder);
  expect_error([&] { Snapshot(find_model(folder)).check_weights(false); }, GetParam().expected,
               GetParam().names);
}

constexpr const char *weights = "unet/diffusion_pytorch_model.safetensors";

/// Replaces the weights by an index of this text.
std::function<void(const fs::path &)> index_of(const std::string &text) {
  return [text](const fs::path &folder) {
    fs::remove(folder / weights);
    write_file(folder / "unet/model.safetensors.index.json", text);
  };
}

std::function<void(const fs::path &)> replace(const std::string &file, const std::string &text) {
  return [file, text](const fs::path &folder) { write_file(folder / file, text); };
}

INSTANTIATE_TEST_SUITE_P(
    Folders, BadSnapshot,
    ::testing::Values(
        SnapshotCase{"FolderGone", [](const fs::path &f) { fs::remove_all(f); }, "snapshot",
                     "does not exist"},
        SnapshotCase{"FolderIsFile",
                     [](const fs::path &f) { fs::remove_all(f), write_file(f, "x"); }, "snapshot",
                     "is too short to be one"},
        SnapshotCase{"FolderIsPipe",
                     [](const fs::path &f) {
                       fs::remove_all(f);
                       ASSERT_EQ(mkfifo(f.c_str(), 0600), 0);
                     },
                     "snapshot", "is neither a folder nor a file"},
        SnapshotCase{"FolderIsLoop",
                     [](const fs::path &f) { fs::remove_all(f), fs::create_symlink(f, f); },
                     "snapshot", "cannot be opened"},
        SnapshotCase{"FolderEmpty",
                     [](const fs::path &f) { fs::remove_all(f), fs::create_directory(f); },
                     "model_index.json", "does not exist"},
        SnapshotCase{"IndexEmpty", replace("model_index.json", ""), "model_index.json",
                     "not a JSON object"},
        SnapshotCase{"IndexIsList", replace("model_index.json", "[]"), "model_index.json",
                     "not a JSON object"},
        SnapshotCase{"IndexIsFolder",
                     [](const fs::path &f) {
                       fs::remove(f / "model_index.json");
                       fs::create_directory(f / "model_index.json");
                     },
                     "model_index.json", "not a regular file"},
        SnapshotCase{"IndexIsPipe",
                     [](const fs::path &f) {
                       fs::remove(f / "model_index.json");
                       ASSERT_EQ(mkfifo((f / "model_index.json").c_str(), 0600), 0);
                     },
                     "model_index.json", "not a regular file"},
        SnapshotCase{"IndexIsLoop",
                     [](const fs::path &f) {
                       fs::remove(f / "model_index.json");
                       fs::create_symlink("model_index.json", f / "model_index.json");
                     },
                     "model_index.json", "cannot be read"},
        SnapshotCase{"IndexHuge", replace("model_index.json", std::string(2 << 20, ' ')),
                     "model_index.json", "more than"},
        SnapshotCase{"IndexDeep",
                     replace("model_index.json", "{\"a\":" + std::string(100000, '[') +
                                                     std::string(100000, ']') + "}"),
                     "model_index.json", "not a JSON object"},
        SnapshotCase{"IndexLeavesFolder",
                     replace("model_index.json", R"({"../other": ["diffusers", "X"]})"),
                     "model_index.json", "outside of its folder"},
        SnapshotCase{"IndexAbsolute", replace("model_index.json", R"({"/etc": ["diffusers", "X"]})"),
                     "model_index.json", "outside of its folder"},
        SnapshotCase{"ComponentGone", [](const fs::path &f) { fs::remove_all(f / "unet"); }, "unet",
                     "lacks the folder"},
        SnapshotCase{"ComponentIsLoop",
                     [](const fs::path &f) {
                       fs::remove_all(f / "unet"), fs::create_symlink("unet", f / "unet");
                     },
                     "unet", "lacks the folder"},
        SnapshotCase{"ConfigGone", [](const fs::path &f) { fs::remove(f / "unet/config.json"); },
                     "config.json", "does not exist"},
        SnapshotCase{"ConfigBinary", replace("unet/config.json", std::string(100, '\xff')),
                     "config.json", "not a JSON object"},
        SnapshotCase{"WeightsTruncated",
                     [](const fs::path &f) { fs::resize_file(f / weights, 40); },
                     "diffusion_pytorch_model.safetensors", "is truncated"},
        SnapshotCase{"WeightsLoop",
                     [](const fs::path &f) {
                       fs::remove(f / weights);
                       fs::create_symlink("diffusion_pytorch_model.safetensors", f / weights);
                     },
                     "diffusion_pytorch_model.safetensors", "cannot be read"},
        SnapshotCase{"WeightsDangling",
                     [](const fs::path &f) {
                       fs::remove(f / weights);
                       fs::create_symlink("../../blobs/none", f / weights);
                     },
                     "diffusion_pytorch_model.safetensors", "does not exist"},
        SnapshotCase{"PickleDamaged",
                     [](const fs::path &f) {
                       fs::remove(f / weights);
                       write_file(f / "unet/diffusion_pytorch_model.bin", "PK\3\4");
                     },
                     "diffusion_pytorch_model.bin", "too short to be a zip archive"},
        SnapshotCase{"WeightsEmpty", replace(weights, ""), "diffusion_pytorch_model.safetensors",
                     "is empty"},
        SnapshotCase{"WeightsArePointer",
                     replace(weights,
                             "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
                     "diffusion_pytorch_model.safetensors", "\"git lfs pull\""},
        SnapshotCase{"WeightsArePage", replace(weights, "\r\n <!DOCTYPE html><html></html>"),
                     "diffusion_pytorch_model.safetensors", "is a web page"},
        SnapshotCase{"ShardIndexNoMap", index_of("{}"), "model.safetensors.index.json",
                     "no weight_map"},
        SnapshotCase{"ShardIndexEmptyMap", index_of(R"({"weight_map": {}})"),
                     "model.safetensors.index.json", "no weight_map"},
        SnapshotCase{"ShardIndexNumbers", index_of(R"({"weight_map": {"a": 1}})"),
                     "model.safetensors.index.json", "in which file"},
        SnapshotCase{"ShardLeavesFolder",
                     index_of(R"({"weight_map": {"a": "../../secret.safetensors"}})"),
                     "model.safetensors.index.json", "outside of its folder"},
        SnapshotCase{"ShardAbsolute", index_of(R"({"weight_map": {"a": "/etc/passwd"}})"),
                     "model.safetensors.index.json", "outside of its folder"},
        SnapshotCase{"ShardGone", index_of(R"({"weight_map": {"a": "s-1.safetensors"}})"),
                     "s-1.safetensors", "does not exist"}),
    [](const auto &info) { return info.param.name; });

TEST(BadSnapshot, UnreadableFilesAreNamed) {
  const bool is_root = geteuid() == 0;
  if (is_root) {  // who may read everything
    ASSERT_TRUE(setegid(65534) == 0 && seteuid(65534) == 0);
  }
  {
    const TemporaryFolder folder;
    write_snapshot(folder.path());
    fs::permissions(folder / weights, fs::perms::none);
    expect_error([&] { Snapshot(folder.path()).check_weights(false); }, "cannot be read", weights);
  }
  if (is_root) {
    ASSERT_TRUE(seteuid(0) == 0 && setegid(0) == 0);
  }
}

TEST(BadSnapshot, NamesThatAreNeitherFolderNorId) {
  for (const char *model : {"../../etc/none", "a/b/c", "/none", "http://x/y", "a b", "-x"})
    EXPECT_THROW(find_model(model), Error) << model;
  EXPECT_THROW(find_model(std::string("a\0b", 3)), Error);
  EXPECT_THROW(find_model(std::string(100000, 'a')), Error);
}

TEST(BadCache, DamagedReferencesAreNamed) {
  const TemporaryFolder folder;
  const fs::path repository = folder / "models--a--b";
  write_snapshot(repository / "snapshots/x");
  for (const char *reference : {"", "../x", "a/b", "\xff", "x y"}) {
    write_file(repository / "refs/main", reference);
    expect_error([&] { find_model(repository); }, "is damaged", repository / "refs/main");
  }
  write_file(repository / "refs/main", "gone");
  expect_error([&] { find_model(repository); }, "does not hold it", repository);
}

TEST(BadConfig, NumbersThatOnlyPythonWritesAreTaken) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "config.json";
  write_file(path, R"({"low": -Infinity, "list": [Infinity, 1], "none": NaN,
                       "text": "-Infinity \"NaN\"", "more": "\\"})");
  const Config config = Config::read(path);
  EXPECT_EQ(config.require<double>("low"), -std::numeric_limits<double>::infinity());
  EXPECT_EQ(config.require<std::vector<double>>("list")[0],
            std::numeric_limits<double>::infinity());
  EXPECT_TRUE(std::isnan(config.require<double>("none")));
  EXPECT_EQ(config.require<std::string>("text"), "-Infinity \"NaN\"");
  EXPECT_EQ(config.require<std::string>("more"), "\\");
  for (const char *damaged : {R"({"a": --Infinity})", R"({"a": Infinity5})", R"({"a": Inf})"}) {
    write_file(path, damaged);
    expect_error([&] { Config::read(path); }, "not a JSON object", path);
  }
}

TEST(BadConfig, ValuesOfTheWrongKindAreNamed) {
  const Config config(
      nlohmann::json::parse(R"({"text": "x", "number": 1.5, "big": 1e300, "list": [1, "a"],
                                "huge": 18446744073709551615, "minus": -1, "yes": true})"),
      "config.json");
  const auto refuses = [&](const std::string &key, const std::function<void()> &read) {
    expect_error(read, "\"" + key + "\"", "config.json");
  };
  refuses("none", [&] { config.require<int>("none"); });
  refuses("text", [&] { config.require<int>("text"); });
  refuses("number", [&] { config.require<int>("number"); });
  refuses("big", [&] { config.require<int64_t>("big"); });
  refuses("huge", [&] { config.require<int64_t>("huge"); });
  refuses("minus", [&] { config.require<unsigned>("minus"); });
  refuses("yes", [&] { config.require<double>("yes"); });
  refuses("number", [&] { config.require<bool>("number"); });
  refuses("number", [&] { config.require<std::string>("number"); });
  refuses("list", [&] { config.require<std::vector<int>>("list"); });
  refuses("text", [&] { config.require<std::vector<int>>("text"); });
  EXPECT_EQ(config.get<int>("none", 3), 3);
}

}  // namespace
}  // namespace livepeer
