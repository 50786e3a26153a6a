// What torch.save writes: good files, and hostile ones. Each hostile file tests the one defence
// that its message names; none of them may run anything, crash, or take more than a bounded memory.
#include <gtest/gtest.h>

#include "io/torch_file.h"
#include "runtime/error.h"
#include "support/temporary_folder.h"
#include "support/torch_files.h"

namespace livepeer {
namespace {

namespace fs = std::filesystem;
using namespace test;
using namespace test::pickled;

std::string floats(const std::vector<float> &values) {
  return {reinterpret_cast<const char *>(values.data()), values.size() * sizeof(float)};
}

/// The tensor that most files here hold: [1, 2] in storage "0".
const std::string small_tensor = tensor(storage("0", 2), 0, {2}, {1});
const std::string small_data = floats({1, 2});

std::vector<float> values_of(const WeightsFile &file, const std::string &name) {
  const TensorEntry &entry = file.tensors().at(name);
  std::vector<float> values(entry.bytes / sizeof(float));
  file.read(entry, 0, values.data(), size_t(entry.bytes));
  return values;
}

class TorchFiles : public ::testing::Test {
 protected:
  std::shared_ptr<const WeightsFile> open(const std::string &bytes) {
    write_file(folder_ / "weights.ckpt", bytes);
    return open_weights(folder_ / "weights.ckpt");
  }
  std::string error_of(const std::string &bytes) {
    try {
      open(bytes);
    } catch (const Error &error) {
      EXPECT_EQ(error.kind(), ErrorKind::open_read);
      return error.what();
    }
    return "(no error)";
  }
  TemporaryFolder folder_;
};

TEST_F(TorchFiles, BothFormatsHoldTheSame) {
  const std::string value =
      dict({{"a", small_tensor},
            {"b", tensor(storage("1", 6), 1, {2, 1, 2}, {2, 77, 1})},
            {"tied", tensor(storage("1", 6), 2, {}, {})},
            {"empty", tensor(storage("1", 6), 6, {0, 3}, {3, 1})},
            {"parameter",
             call(global("torch._utils", "_rebuild_parameter"),
                  tuple({small_tensor, "\x88", call(global("collections", "OrderedDict"), ")")}))},
            {"half", tensor(storage("2", 3, "HalfStorage"), 1, {2}, {1})},
            {"old", call(global("torch._utils", "_rebuild_tensor"),
                         tuple({storage("0", 2), integer(1), sizes({1}), sizes({1})}))}});
  const std::string more = floats({0, 1, 2, 3, 4, 5}), half = "aabbcc";
  for (const std::string &bytes :
       {torch_archive(value, {{"0", small_data}, {"1", more}, {"2", half}}),
        old_torch_file(value, {{"1", 6, more}, {"2", 3, half}, {"0", 2, small_data}})}) {
    const auto file = open(bytes);
    EXPECT_EQ(file->tensors().size(), 7U);
    EXPECT_TRUE(file->unfit().empty());
    EXPECT_EQ(values_of(*file, "a"), (std::vector<float>{1, 2}));
    EXPECT_EQ(values_of(*file, "b"), (std::vector<float>{1, 2, 3, 4}));
    EXPECT_EQ(file->tensors().at("b").shape, (std::vector<int64_t>{2, 1, 2}));
    EXPECT_EQ(values_of(*file, "tied"), (std::vector<float>{2}));
    EXPECT_EQ(file->tensors().at("empty").bytes, 0U);
    EXPECT_EQ(values_of(*file, "parameter"), (std::vector<float>{1, 2}));
    EXPECT_EQ(values_of(*file, "old"), (std::vector<float>{2}));
    std::string text(4, ' ');
    file->read(file->tensors().at("half"), 0, text.data(), text.size());
    EXPECT_EQ(text, "bbcc");
    EXPECT_EQ(file->tensors().at("half").dtype, Dtype::f16);
  }
}

TEST_F(TorchFiles, ZipsOfMoreThanFourGigabytesAreDescribedIn64Bits) {
  const std::string plain = torch_archive(dict({{"a", small_tensor}}), {{"0", small_data}});
  const size_t directory = plain.find("PK\1\2"), bytes = plain.size() - 22 - directory;
  EXPECT_EQ(values_of(*open(with_zip64(plain, 4, directory, bytes)), "a"),
            (std::vector<float>{1, 2}));
  // Sizes and place of an entry in its extra field, behind a field that is something else.
  const std::string pickle = program(dict({{"a", small_tensor}}));
  ZipItem item{"x/data/0", small_data};
  item.stored_bytes = item.bytes = item.header = 0xffffffff;
  item.extra = std::string("\x77\0\1\0?\1\0\x18\0", 9) + little_endian(uint64_t(8)) +
               little_endian(uint64_t(8)) + little_endian(uint64_t(30 + 10 + pickle.size()));
  EXPECT_EQ(values_of(*open(zip({{"x/data.pkl", pickle}, item})), "a"), (std::vector<float>{1, 2}));
}

TEST_F(TorchFiles, TheStateDictOfATrainingIsTaken) {
  const std::string state = dict({{"w", small_tensor}}) + dict({{"_metadata", dict({})}}) +
                            "b";  // as torch saves modules
  const auto file = open(torch_archive(
      dict({{"epoch", integer(3)},
            {"callbacks", dict({{"x", call(global("pytorch_lightning.callbacks", "X"), ")")}})},
            {"state_dict", state}}),
      {{"0", small_data}}));
  EXPECT_EQ(values_of(*file, "w"), (std::vector<float>{1, 2}));
  EXPECT_EQ(file->tensors().size(), 1U);
}

TEST_F(TorchFiles, WhatIsNoTensorIsNamedAndStaysInert) {
  const std::string object = call(global("training.callbacks", "Progress\x1b[31m"), ")");
  const std::string value =
      dict({{"number", integer(3)},
            {"object", object + dict({{"a", integer(1)}}) + "b" + text("k") + integer(1) + "s"},
            {"strided", tensor(storage("3", 4), 0, {2, 2}, {1, 2})},
            {"complex", tensor(storage("1", 1, "ComplexFloatStorage"), 0, {1}, {1})},
            {"unknown", tensor(storage("2", 5, "FancyStorage"), 0, {5}, {1})},
            {"made", global("numpy", "array")},
            {"same", integer(1)},
            {"same", small_tensor},
            {"w", small_tensor}});
  const auto file = open(torch_archive(
      value,
      {{"0", small_data}, {"1", std::string(8, '\0')}, {"2", "?"}, {"3", floats({1, 2, 3, 4})}}));
  EXPECT_EQ(file->tensors().size(), 2U);
  EXPECT_EQ(file->tensors().count("same"), 1U);
  const auto &unfit = file->unfit();
  EXPECT_EQ(unfit.size(), 6U);
  EXPECT_EQ(unfit.at("number"), "is no tensor");
  EXPECT_EQ(unfit.at("object"),
            "is an object made by \"training.callbacks.Progress?[31m\", which is not run");
  EXPECT_NE(unfit.at("strided").find("strides [1, 2]"), std::string::npos);
  EXPECT_NE(unfit.at("complex").find("ComplexFloatStorage"), std::string::npos);
  EXPECT_NE(unfit.at("unknown").find("FancyStorage"), std::string::npos);
  EXPECT_EQ(unfit.at("made"), "is no tensor");
}

/// Whatever would run a command is noted and not done, in each place and by each instruction.
TEST_F(TorchFiles, NothingIsEverCalled) {
  const fs::path marker = folder_ / "was-here";
  const std::string command = tuple({text("touch " + marker.string())});
  const std::string system = global("posix", "system");
  const std::string stacked = text("posix") + text("system") + "\x93";
  const std::vector<std::string> attacks = {
      system + command + "R",
      stacked + command + "R",
      system + command + "\x81",
      system + command + "}\x92",
      global("builtins", "eval") + tuple({text("open('" + marker.string() + "', 'w')")}) + "R",
      global("collections", "OrderedDict") + ")R" + (system + command + "R") + "b",
      global("collections", "OrderedDict") + tuple({system + command + "R"}) + "R",
      call(global("torch._utils", "_rebuild_parameter"), tuple({system + command + "R"})),
      call(system + command + "R", command)};
  for (const std::string &attack : attacks) {
    const auto file =
        open(torch_archive(dict({{"x", attack}, {"w", small_tensor}}), {{"0", small_data}}));
    EXPECT_EQ(values_of(*file, "w"), (std::vector<float>{1, 2}));
    EXPECT_EQ(file->tensors().size(), 1U);
    EXPECT_EQ(file->unfit().count("x"), 1U);
    open(torch_archive("}" + small_tensor + attack + "s", {{"0", small_data}}));  // as a key
  }
  EXPECT_NE(error_of(torch_archive(attacks[0])).find("but an object made by \"posix.system\""),
            std::string::npos);
  EXPECT_NE(error_of(old_head() + program(attacks[0]) + program("]")).find("posix.system"),
            std::string::npos);
  EXPECT_FALSE(fs::exists(marker));
}

TEST_F(TorchFiles, CirclesAndDepthAreNoRecursion) {
  const std::string circle =
      "}q\1" + text("me") + "h\1s" + "]q\2h\2a0" + text("w") + small_tensor + "s";
  EXPECT_EQ(values_of(*open(torch_archive(circle, {{"0", small_data}})), "w"),
            (std::vector<float>{1, 2}));
  const std::string deep = repeated("]", 400000) + repeated("a", 399999);
  const std::string deeper = "N" + repeated("\x85", 400000);
  for (const std::string &value : {deep, deeper})
    EXPECT_EQ(open(torch_archive(dict({{"x", value}, {"w", small_tensor}}), {{"0", small_data}}))
                  ->unfit()
                  .at("x"),
              "is no tensor");
}

}  // namespace
}  // namespace livepeer
