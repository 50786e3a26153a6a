// Lists of files in properties.
#include "io/file_list.h"

#include <gtest/gtest.h>

#include "runtime/error.h"

namespace livepeer {
namespace {

std::string read(const std::string &text, bool with_weights = true) {
  std::string all;
  for (const ListedFile &file : parse_file_list(text, "lora", with_weights)) {
    char weight[32];
    std::snprintf(weight, sizeof weight, "%g", file.weight);
    all += "[" + file.path + "|" + weight + "]";
  }
  return all;
}

std::string error_of(const std::string &text) {
  try {
    parse_file_list(text, "lora", true);
  } catch (const Error &error) {
    EXPECT_EQ(error.kind(), ErrorKind::settings);
    return error.what();
  }
  return "(no error)";
}

TEST(FileList, TakesPathsWithWeights) {
  EXPECT_EQ(read(""), "");
  EXPECT_EQ(read("  \t\n"), "");
  EXPECT_EQ(read("a.safetensors"), "[a.safetensors|1]");
  EXPECT_EQ(read("/x/a@0.5 b@-2  c@+1e-1"), "[/x/a|0.5][b|-2][c|0.1]");
  EXPECT_EQ(read("a@b@0.5"), "[a@b|0.5]");
  EXPECT_EQ(read("/home/me@work/a"), "[/home/me@work/a|1]");
  EXPECT_EQ(read("a@0"), "[a|0]");
}

TEST(FileList, QuotesBelongToThePath) {
  EXPECT_EQ(read("\"my style.safetensors\"@0.8"), "[my style.safetensors|0.8]");
  EXPECT_EQ(read("'a \\ b' c"), "[a \\ b|1][c|1]");
  EXPECT_EQ(read("my\\ style@2"), "[my style|2]");
  EXPECT_EQ(read("\"it's \\\"it\\\"\""), "[it's \"it\"|1]");
  EXPECT_EQ(read("'a@2'"), "[a@2|1]");
  EXPECT_EQ(read("a\\@2@3"), "[a@2|3]");
  EXPECT_EQ(read("/f' 'g/x"), "[/f g/x|1]");
}

TEST(FileList, WithoutWeightsAnAtBelongsToThePath) {
  EXPECT_EQ(read("a@0.5 b", false), "[a@0.5|1][b|1]");
}

TEST(FileList, SaysWhatIsWrong) {
  for (const char *weight : {"a@", "a@x", "a@1x", "a@inf", "a@nan", "a@1e999", "a@0,8", "a@ 1"})
    EXPECT_NE(error_of(weight).find("no number"), std::string::npos) << weight;
  EXPECT_NE(error_of("a 'b").find("closes"), std::string::npos);
  EXPECT_NE(error_of("a\\").find("backslash"), std::string::npos);
  EXPECT_NE(error_of("@1").find("without a name"), std::string::npos);
  EXPECT_NE(error_of("''").find("without a name"), std::string::npos);
  EXPECT_NE(error_of(std::string("a\0b", 3)).find("NUL"), std::string::npos);
}

}  // namespace
}  // namespace livepeer
