// The files that `kvasir kube check` takes, and its exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <fstream>

#include "apps/commands.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kGoodMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
constexpr const char* kBadMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: A}\n";

class KubeCheckCommand : public ::testing::Test {
 protected:
  KubeCheckCommand() : folder_(fs::path(::testing::TempDir()) / ("kube_check_" + name_of_test())) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~KubeCheckCommand() override { fs::remove_all(folder_); }

  static std::string name_of_test() {
    return ::testing::UnitTest::GetInstance()->current_test_info()->name();
  }

  std::string write(const std::string& name, const std::string& text) {
    const fs::path path = folder_ / name;
    fs::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }

  int run(std::vector<std::string> arguments) {
    CLI::App app;
    int exit_code = -1;
    add_kube_command(app, exit_code);
    std::reverse(arguments.begin(), arguments.end());
    arguments.insert(arguments.end(), {"check", "kube"});
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    app.parse(arguments);
    said_ = ::testing::internal::GetCapturedStdout();
    failure_ = ::testing::internal::GetCapturedStderr();
    return exit_code;
  }

  const fs::path folder_;
  std::string said_;
  std::string failure_;
};

TEST_F(KubeCheckCommand, TheExitCodeSaysWhetherThereIsAProblem) {
  const std::string good = write("good.yaml", kGoodMap);
  const std::string bad = write("bad.yaml", kBadMap);
  EXPECT_EQ(run({good}), 0);
  EXPECT_THAT(said_, HasSubstr(good + ":1 ConfigMap default/a: ok\n"));
  EXPECT_EQ(run({good, bad, "--namespace", "models"}), 2);
  EXPECT_THAT(said_, HasSubstr(good + ":1 ConfigMap models/a: ok\n"));
  EXPECT_THAT(said_, HasSubstr(bad + ":1 ConfigMap models/A: problem\n"));
  EXPECT_EQ(failure_, "");
}

TEST_F(KubeCheckCommand, AFolderIsItsManifestsInOrder) {
  write("b.yml", kGoodMap);
  write("a.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\n");
  write("c.json", R"({"apiVersion":"v1","kind":"Node","metadata":{"name":"n"}})");
  write("notes.txt", "not: [yaml");
  write("below/d.yaml", kBadMap);
  EXPECT_EQ(run({folder_.string()}), 0);
  EXPECT_EQ(said_, folder_.string() + "/a.yaml:1 Pod default/p: ok\n" + folder_.string() +
                       "/b.yml:1 ConfigMap default/a: ok\n" + folder_.string() +
                       "/c.json:1 Node n: ok\n"
                       "3 objects: 3 ok, 0 with problems, 0 not read by kvasir\n");
}

TEST_F(KubeCheckCommand, WhatCannotBeReadIsOneClearLine) {
  EXPECT_EQ(run({(folder_ / "none.yaml").string()}), 2);
  EXPECT_EQ(said_, "");
  EXPECT_THAT(failure_, HasSubstr("kvasir kube check: "));
  EXPECT_THAT(failure_, HasSubstr("none.yaml"));
  EXPECT_EQ(run({folder_.string()}), 2);
  EXPECT_THAT(failure_, HasSubstr("no file ends in .yaml, .yml or .json"));
  write("large.yaml", std::string(8 * 1024 * 1024 + 1, '#'));
  EXPECT_EQ(run({folder_.string()}), 2);
  EXPECT_THAT(failure_, HasSubstr("large.yaml"));
}

TEST_F(KubeCheckCommand, BesideAFileThatCannotBeReadTheOthersAreChecked) {
  const std::string good = write("good.yaml", kGoodMap);
  const std::string none = (folder_ / "none.yaml").string();
  const std::string empty = (folder_ / "empty").string();
  fs::create_directories(empty);
  EXPECT_EQ(run({none, good, empty}), 2);
  EXPECT_EQ(said_, good + ":1 ConfigMap default/a: ok\n" +
                       "1 object: 1 ok, 0 with problems, 0 not read by kvasir\n");
  EXPECT_THAT(failure_, HasSubstr("none.yaml"));
  EXPECT_THAT(failure_, HasSubstr("no file ends in"));
}

TEST_F(KubeCheckCommand, NoObjectAtAllIsAProblem) {
  const std::string empty = write("empty.yaml", "");
  EXPECT_EQ(run({empty}), 2);
  EXPECT_EQ(said_, empty + ": no objects\n" +
                       "problem: nothing to check: if a command writes the objects, see whether it "
                       "failed\n"
                       "0 objects: 0 ok, 0 with problems, 0 not read by kvasir\n");
  const std::string good = write("good.yaml", kGoodMap);
  EXPECT_EQ(run({empty, good}), 0);
  EXPECT_THAT(said_, HasSubstr(empty + ": no objects\n"));
}

}  // namespace
}  // namespace kvasir
