// Parameters out of safetensors files: conversion, complaints, layouts, peak memory.
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <fstream>

#include "io/safetensors.h"
#include "io/snapshot.h"
#include "runtime/error.h"
#include "runtime/log.h"
#include "support/temporary_folder.h"
#include "weights/random_parameters.h"
#include "weights/weight_source.h"

namespace livepeer {
namespace {

using test::TemporaryFolder;

std::string write(const TemporaryFolder &folder, const NamedTensors &tensors,
                  const std::string &name = "model.safetensors") {
  const std::string path = folder / name;
  write_tensors(path, tensors);
  return path;
}

std::string message_of(WeightSource &source) {
  try {
    source.finish();
  } catch (const Error &error) {
    EXPECT_EQ(error.kind(), ErrorKind::open_read);
    EXPECT_FALSE(error.detail().empty());
    return error.what();
  }
  return {};
}

TEST(Tensors, EveryTypeSurvivesWritingAndReading) {
  const TemporaryFolder folder;
  NamedTensors tensors;
  for (const auto dtype :
       {torch::kBool, torch::kByte, torch::kChar, torch::kShort, torch::kInt, torch::kLong,
        torch::kHalf, torch::kBFloat16, torch::kFloat, torch::kDouble})
    tensors.emplace_back(c10::toString(dtype), torch::arange(6).reshape({2, 3}).to(dtype));
  tensors.emplace_back("scalar", torch::tensor(2.5));
  tensors.emplace_back("empty", torch::zeros({0, 4}));
  const auto read = read_tensors(write(folder, tensors));
  ASSERT_EQ(read.size(), tensors.size());
  for (const auto &[name, tensor] : tensors) {
    EXPECT_EQ(read.at(name).scalar_type(), tensor.scalar_type()) << name;
    EXPECT_TRUE(torch::equal(read.at(name), tensor)) << name;
  }
}

TEST(Tensors, DataNeedNotBeAligned) {
  const TemporaryFolder folder;
  // A header of odd length puts the numbers on odd addresses.
  std::string header = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";
  while (header.size() % 8 != 3) header += ' ';
  std::string bytes(8, '\0');
  bytes[0] = char(header.size());
  const float values[2] = {1.5f, -3.0f};
  bytes += header;
  bytes.append(reinterpret_cast<const char *>(values), 8);
  test::write_file(folder / "odd.safetensors", bytes);
  EXPECT_TRUE(
      torch::equal(read_tensors(folder / "odd.safetensors").at("a"), torch::tensor({1.5f, -3.0f})));
}

TEST(Weights, ConvertsToTheWantedTypeAndLayout) {
  const TemporaryFolder folder;
  const auto weight = torch::randn({8, 4, 3, 3});
  const auto gate = torch::randn({4});
  WeightOptions options;
  options.dtype = torch::kBFloat16;
  options.channels_last = true;
  uint64_t bytes_read = 0;
  options.on_read = [&](uint64_t bytes) { bytes_read += bytes; };
  WeightSource source({write(folder, {{"conv.weight", weight}, {"gate", gate}})}, options);
  const ParameterScope scope(source);
  const auto read = (scope / "conv").get("weight", {8, 4, 3, 3});
  EXPECT_TRUE(read.is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_TRUE(torch::equal(read, weight.to(torch::kBFloat16)));
  EXPECT_TRUE(torch::equal(scope.get("gate", {4}), gate));
  EXPECT_NO_THROW(source.finish());
  EXPECT_EQ(bytes_read, (8 * 4 * 9 + 4) * sizeof(float));
}

TEST(Weights, HalfAndFloatFilesAgreeInEveryType) {
  const TemporaryFolder folder;
  const auto half = torch::randn({33, 7}).to(torch::kHalf);
  const auto a = write(folder, {{"w", half}}, "a.safetensors");
  const auto b = write(folder, {{"w", half.to(torch::kFloat)}}, "b.safetensors");
  for (const auto dtype : {torch::kHalf, torch::kFloat, torch::kBFloat16}) {
    WeightOptions options;
    options.dtype = dtype;
    WeightSource from_half({a}, options), from_float({b}, options);
    EXPECT_TRUE(torch::equal(from_half.get({"w"}, {33, 7}), from_float.get({"w"}, {33, 7})));
  }
}

TEST(Weights, LongTensorsAreReadInPieces) {
  const TemporaryFolder folder;
  const auto big = torch::randn({3001, 1777});  // 21 MB: three pieces, the last one short
  uint64_t calls = 0, bytes_read = 0;
  WeightOptions options;
  options.on_read = [&](uint64_t bytes) { ++calls, bytes_read += bytes; };
  WeightSource source({write(folder, {{"big", big}})}, options);
  EXPECT_TRUE(torch::equal(source.get({"big"}, {3001, 1777}), big));
  EXPECT_GE(calls, 3u);
  EXPECT_EQ(bytes_read, big.nbytes());
}

TEST(Weights, ReadingCanBeCancelledBetweenPieces) {
  const TemporaryFolder folder;
  WeightOptions options;
  options.on_read = [](uint64_t) { throw Error(ErrorKind::cancelled, "stop", "stop"); };
  WeightSource source({write(folder, {{"big", torch::zeros({5000, 1000})}})}, options);
  EXPECT_THROW(source.get({"big"}, {5000, 1000}), Error);
}

TEST(Weights, OldNamesAndOldShapesAreTaken) {
  const TemporaryFolder folder;
  const auto old = torch::randn({4, 4, 1, 1});
  WeightSource source({write(folder, {{"attn.query.weight", old}, {"attn.to_k.weight", old}})});
  const ParameterScope scope = ParameterScope(source) / "attn";
  EXPECT_TRUE(torch::equal(scope.get("to_q.weight", "query.weight", {4, 4}), old.view({4, 4})));
  EXPECT_TRUE(torch::equal(scope.get("to_k.weight", "key.weight", {4, 4}), old.view({4, 4})));
  EXPECT_NO_THROW(source.finish());
}

TEST(Weights, AllComplaintsComeInOneError) {
  const TemporaryFolder folder;
  WeightSource source({write(folder, {{"shape", torch::zeros({2, 3})},
                                      {"type", torch::zeros({2}, torch::kLong)},
                                      {"nan", torch::full({2}, NAN)},
                                      {"infinite", torch::full({2}, -INFINITY).to(torch::kHalf)},
                                      {"fine", torch::zeros({2})}})});
  EXPECT_EQ(source.get({"missing", "old_missing"}, {5}).sizes(), (std::vector<int64_t>{5}));
  EXPECT_EQ(source.get({"shape"}, {3, 2}).sizes(), (std::vector<int64_t>{3, 2}));
  source.get({"type"}, {2});
  source.get({"nan"}, {2});
  source.get({"infinite"}, {2});
  source.get({"fine"}, {2});
  const std::string message = message_of(source);
  for (const char *part :
       {"model.safetensors", "missing: is missing", "shape: has shape [2, 3], expected [3, 2]",
        "type: has type I64", "nan: holds values that are not numbers", "infinite: holds"})
    EXPECT_NE(message.find(part), std::string::npos) << part << " in: " << message;
  EXPECT_EQ(message.find("fine"), std::string::npos);
}

TEST(Weights, LongListsOfComplaintsAreWholeInTheDetail) {
  const TemporaryFolder folder;
  WeightSource source({write(folder, {})});
  for (int i = 0; i < 12; ++i) source.get({"layer." + std::to_string(i)}, {1});
  try {
    source.finish();
    FAIL();
  } catch (const Error &error) {
    EXPECT_NE(std::string(error.what()).find("7 more"), std::string::npos) << error.what();
    for (int i = 0; i < 12; ++i)
      EXPECT_NE(error.detail().find("layer." + std::to_string(i) + ":"), std::string::npos);
  }
}

TEST(Weights, ValuesTooLargeForHalfAreRefused) {
  const TemporaryFolder folder;
  WeightOptions options;
  options.dtype = torch::kHalf;
  WeightSource source({write(folder, {{"w", torch::full({2}, 1e6)}})}, options);
  source.get({"w"}, {2});
  EXPECT_NE(message_of(source).find("too large for float16"), std::string::npos);
}

TEST(Weights, ImpossibleShapesFailBeforeMemoryIsAsked) {
  const TemporaryFolder folder;
  WeightSource source({write(folder, {{"w", torch::zeros({1})}})});
  EXPECT_THROW(source.get({"w"}, {int64_t(1) << 40, int64_t(1) << 40}), Error);
  EXPECT_THROW(source.get({"w"}, {int64_t(1) << 33}), Error);
  EXPECT_THROW(source.get({"w"}, {-1}), Error);
}

TEST(Weights, ShardsAreOneSourceAndMayNotRepeatNames) {
  const TemporaryFolder folder;
  const auto a = write(folder, {{"a", torch::ones({1})}}, "1.safetensors");
  const auto b = write(folder, {{"b", torch::ones({1})}}, "2.safetensors");
  WeightSource source({a, b});
  source.get({"a"}, {1});
  source.get({"b"}, {1});
  EXPECT_NO_THROW(source.finish());
  const auto again = write(folder, {{"a", torch::ones({1})}}, "3.safetensors");
  EXPECT_THROW(WeightSource({a, again}), Error);
}

TEST(Weights, AShardedComponentIsReadThroughItsIndex) {
  const TemporaryFolder folder;
  write(folder, {{"a", torch::full({2}, 1.0)}}, "model-00001-of-00002.safetensors");
  write(folder, {{"b", torch::full({2}, 2.0)}}, "model-00002-of-00002.safetensors");
  test::write_file(folder / "config.json", "{}");
  test::write_file(folder / "model.safetensors.index.json",
                   R"({"metadata": {"total_size": 16},
                       "weight_map": {"a": "model-00001-of-00002.safetensors",
                                      "b": "model-00002-of-00002.safetensors"}})");
  WeightSource source(Component(folder.path()).weight_files(/*prefer_half=*/false));
  EXPECT_TRUE(torch::equal(source.get({"a"}, {2}), torch::full({2}, 1.0)));
  EXPECT_TRUE(torch::equal(source.get({"b"}, {2}), torch::full({2}, 2.0)));
  EXPECT_NO_THROW(source.finish());
}

TEST(Weights, StrayTensorsAreLoggedNotRefused) {
  const TemporaryFolder folder;
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel level, const std::string &line) {
    if (level == LogLevel::debug) lines.push_back(line);
  });
  WeightSource source(
      {write(folder, {{"w", torch::ones({1})}, {"position_ids", torch::arange(4)}})});
  source.get({"w"}, {1});
  source.finish();
  set_log_sink({});
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_NE(lines[0].find("position_ids"), std::string::npos);
}

/// Bytes of this process that are in memory.
int64_t resident_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind("VmRSS:", 0) == 0) return std::stoll(line.substr(6)) * 1024;
  return 0;
}

TEST(Weights, LoadingNeverHoldsTwoCopies) {
  const TemporaryFolder folder;
  constexpr int64_t count = 48, side = 1024;  // 48 tensors of 4 MB in the file, 2 MB loaded
  const std::string path = folder / "big.safetensors";
  {
    std::vector<SafetensorsWriter::Tensor> header;
    for (int64_t i = 0; i < count; ++i)
      header.push_back({"w" + std::to_string(i), Dtype::f32, {side, side}});
    SafetensorsWriter writer(path, header);
    const std::vector<float> values(size_t(side * side), 0.5f);
    for (int64_t i = 0; i < count; ++i) writer.append(values.data(), values.size() * 4);
    writer.finish();
  }
  WeightOptions options;
  options.dtype = torch::kBFloat16;
  int64_t peak = 0;  // seen while a piece is still held
  options.on_read = [&](uint64_t) { peak = std::max(peak, resident_bytes()); };
  std::vector<torch::Tensor> loaded;
  const int64_t before = resident_bytes();
  {
    WeightSource source({path}, options);
    for (int64_t i = 0; i < count; ++i)
      loaded.push_back(source.get({"w" + std::to_string(i)}, {side, side}));
    source.finish();
  }
  const double growth = double(peak - before);
  const double wanted = double(count * side * side * 2);
  EXPECT_LE(growth, 1.15 * wanted) << growth / wanted << " times the loaded size";
}

TEST(RandomParameters, AreReproducibleAndRecorded) {
  RandomParameters a(7), b(7), c(8);
  const auto wa = a.get({"conv.weight"}, {16, 64, 3, 3});
  EXPECT_TRUE(torch::equal(wa, b.get({"conv.weight"}, {16, 64, 3, 3})));
  EXPECT_FALSE(torch::equal(wa, c.get({"conv.weight"}, {16, 64, 3, 3})));
  EXPECT_NEAR(wa.std().item<double>() * std::sqrt(64 * 9), 1.0, 0.05);
  EXPECT_TRUE(torch::equal(a.get({"norm.weight"}, {4}), torch::ones({4})));
  EXPECT_TRUE(torch::equal(a.get({"norm.bias"}, {4}), torch::zeros({4})));
  ASSERT_EQ(a.parameters().size(), 3u);
  EXPECT_EQ(a.parameters()[0].first, "conv.weight");
  EXPECT_TRUE(a.parameters()[0].second.is_same(wa));
}

}  // namespace
}  // namespace livepeer
