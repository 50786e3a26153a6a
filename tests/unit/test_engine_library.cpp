#include <dlfcn.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "runtime/engine_library.h"
#include "runtime/error.h"

using namespace livepeer;

namespace {

/// What opening this library ends with.
std::string complaint_of(const std::string &path) {
  const std::optional<Error> error = EngineLibrary(path).prepare();
  if (!error) return "";
  EXPECT_EQ(error->kind(), ErrorKind::init);
  return error->what();
}

TEST(EngineLibrary, IsOpenedAtTheFirstUseAndOnce) {
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, const std::string &line) { lines.push_back(line); });
  EngineLibrary engine(ENGINE_FITTING);
  EXPECT_TRUE(lines.empty());
  EXPECT_FALSE(engine.prepare());
  EXPECT_FALSE(engine.prepare());
  EXPECT_FALSE(engine.check({}).identity.empty());
  Progress progress;
  EXPECT_EQ(engine.load({}, {}, progress)->device(), "cpu");
  set_log_sink({});
  EXPECT_EQ(lines, std::vector<std::string>{"made"});
}

TEST(EngineLibrary, ErrorsOfTheEngineCrossTheBoundary) {
  EngineLibrary engine(ENGINE_FITTING);
  Progress progress;
  progress.cancel();
  try {
    engine.load({}, {}, progress);
    FAIL() << "cancelled, and loaded all the same";
  } catch (const Error &error) {
    EXPECT_EQ(error.kind(), ErrorKind::cancelled);
  }
}

TEST(EngineLibrary, WhatCannotBeOpenedIsNamed) {
  for (const char *path : {"/nonexistent/engine.so", "/dev/null", ENGINE_OTHER_VERSION}) {
    const std::string complaint = complaint_of(path);
    EXPECT_NE(complaint.find(path), std::string::npos) << complaint;
    EXPECT_NE(complaint.find("set LIVEPEER_UPSCALE_ENGINE"), std::string::npos) << complaint;
  }
  EXPECT_NE(complaint_of(ENGINE_OTHER_VERSION).find("version"), std::string::npos);
}

// In processes of their own: what they open stays.
TEST(EngineLibraryDeathTest, AnotherLibtorchInTheProcessIsRefused) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto complain_beside_libtorch = [](const char *engine) {
    if (!dlopen(STUB_LIBTORCH, RTLD_NOW)) _exit(2);
    const std::string complaint = complaint_of(engine);
    fprintf(stderr, "%s\n", complaint.c_str());
    _exit(complaint.empty() ? 0 : 1);
  };
  EXPECT_EXIT(complain_beside_libtorch(ENGINE_FITTING), testing::ExitedWithCode(1), STUB_LIBTORCH);
  EXPECT_EXIT(complain_beside_libtorch(ENGINE_ON_STUB_LIBTORCH), testing::ExitedWithCode(0), "");
}

}  // namespace
