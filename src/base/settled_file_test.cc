#include "base/settled_file.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

namespace kvasir {
namespace {

class SettledFileTest : public ::testing::Test {
 protected:
  SettledFileTest() : path_(::testing::TempDir() + "settled_file_" + std::to_string(getpid())) {}
  ~SettledFileTest() override { std::remove(path_.c_str()); }

  void write(const std::string& text) { std::ofstream(path_) << text; }
  // "-": nothing new.
  static std::string look(SettledFile& file) {
    const auto news = file.look();
    return !news ? "-" : *news ? news->value() : "error: " + news->error().message;
  }

  const std::string path_;
};

TEST_F(SettledFileTest, AFileOfWhichNothingIsKnownIsNewsAtTheSecondLook) {
  write("one");
  SettledFile file(path_, 100);
  EXPECT_EQ(look(file), "-");
  EXPECT_TRUE(file.unsettled());
  EXPECT_EQ(look(file), "one");
  EXPECT_FALSE(file.unsettled());
  EXPECT_EQ(look(file), "-");
}

TEST_F(SettledFileTest, AnEmptyFileIsNewsToo) {
  write("");
  SettledFile file(path_, 100);
  look(file);
  const auto news = file.look();
  ASSERT_TRUE(news.has_value());
  EXPECT_EQ(news->value(), "");
}

TEST_F(SettledFileTest, WhatIsKnownIsNoNews) {
  write("one");
  SettledFile file(path_, 100);
  file.know("one");
  EXPECT_EQ(look(file), "-");
  EXPECT_FALSE(file.unsettled());
}

TEST_F(SettledFileTest, TroubleIsToldOnceAndContentAfterItIsNews) {
  SettledFile file(path_, 3);
  EXPECT_EQ(look(file).substr(0, 19), "error: cannot read ");
  EXPECT_EQ(look(file), "-");
  write("four");
  EXPECT_NE(look(file).find("is longer than 3 bytes"), std::string::npos);
  write("two");
  EXPECT_EQ(look(file), "-");
  EXPECT_EQ(look(file), "two");
}

}  // namespace
}  // namespace kvasir
