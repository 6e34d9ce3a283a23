#include "apps/envoy_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/whole_file.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

EnvoyConfiguration configuration_of(const std::string& service, const std::string& routes) {
  EnvoyConfiguration made;
  made.endpoints = {{"endpoints/" + service + ".json", "endpoints of " + service}};
  made.clusters = {{service, "{\"name\": \"" + service + "\"}"}};
  made.others = {{"routes/port-80.json", routes}, {"listeners.json", "listeners"}};
  return made;
}

class EnvoyFolderTest : public ::testing::Test {
 protected:
  EnvoyFolderTest()
      : path_(fs::path(::testing::TempDir()) / ("envoy_folder_" + std::to_string(getpid()))) {
    fs::remove_all(path_);
  }
  ~EnvoyFolderTest() override { fs::remove_all(path_); }

  EnvoyFolder open() const { return std::move(EnvoyFolder::open(path_.string()).value()); }
  std::string text(const std::string& name) const {
    return read_whole_file((path_ / name).string(), 1 << 20).value();
  }
  ino_t number_of(const std::string& name) const {
    struct stat status {};
    stat((path_ / name).c_str(), &status);
    return status.st_ino;
  }

  const fs::path path_;
};

TEST_F(EnvoyFolderTest, AFileThatSaysTheSameIsLeftAlone) {
  EnvoyFolder folder = open();
  EXPECT_EQ(folder.write(configuration_of("web", "one")).value(), 4u);
  const ino_t routes = number_of("routes/port-80.json");
  const ino_t listeners = number_of("listeners.json");
  EXPECT_EQ(folder.write(configuration_of("web", "two")).value(), 1u);
  EXPECT_NE(number_of("routes/port-80.json"), routes);
  EXPECT_EQ(number_of("listeners.json"), listeners);
  EXPECT_EQ(text("routes/port-80.json"), "two");
  // A later run finds them as they are.
  EnvoyFolder later = open();
  EXPECT_EQ(later.write(configuration_of("web", "two")).value(), 0u);
  EXPECT_EQ(number_of("listeners.json"), listeners);
}

TEST_F(EnvoyFolderTest, WhatIsNotNamedAnyMoreStaysUntilItIsDropped) {
  EnvoyFolder folder = open();
  ASSERT_TRUE(folder.write(configuration_of("old", "one")));
  ASSERT_TRUE(folder.write(configuration_of("new", "two")));
  EXPECT_THAT(text("clusters.json"), HasSubstr("\"old\""));
  EXPECT_EQ(text("endpoints/old.json"), "endpoints of old");
  ASSERT_TRUE(folder.drop_old());
  EXPECT_THAT(text("clusters.json"), Not(HasSubstr("\"old\"")));
  EXPECT_THAT(text("clusters.json"), HasSubstr("\"new\""));
  EXPECT_FALSE(fs::exists(path_ / "endpoints/old.json"));
  EXPECT_TRUE(fs::exists(path_ / "endpoints/new.json"));
}

TEST_F(EnvoyFolderTest, FilesAreTheirOwnersAlone) {
  EnvoyFolder folder = open();
  ASSERT_TRUE(folder.write(configuration_of("web", "one")));
  struct stat status {};
  ASSERT_EQ(stat((path_ / "listeners.json").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0077, 0u);
}

TEST_F(EnvoyFolderTest, AFolderThatCannotBeMadeIsAnError) {
  const Result<EnvoyFolder> folder = EnvoyFolder::open("/dev/null/envoy");
  ASSERT_FALSE(folder);
  EXPECT_THAT(folder.error().message, HasSubstr("/dev/null/envoy: "));
}

}  // namespace
}  // namespace kvasir
