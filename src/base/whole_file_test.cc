#include "base/whole_file.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace kvasir {
namespace {

namespace fs = std::filesystem;

class WholeFile : public testing::Test {
 protected:
  WholeFile() {
    std::string name = testing::TempDir() + "whole_file_XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~WholeFile() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path(name), std::ios::binary) << text;
    return path(name);
  }
  std::string error_of(const std::string& file) const {
    const Result<std::string> read = read_whole_file(file, 1000);
    return read ? "it was read" : read.error().message;
  }

  fs::path folder_;
};

TEST_F(WholeFile, ReadsAFileAndALinkToIt) {
  const std::string text("two\nlines\0and a zero", 20);
  const std::string file = write("file", text);
  EXPECT_EQ(read_whole_file(file, 1000).value(), text);
  fs::create_symlink(file, path("link"));
  fs::create_symlink(path("link"), path("link to the link"));
  EXPECT_EQ(read_whole_file(path("link to the link"), 1000).value(), text);
  EXPECT_EQ(read_whole_file(write("empty", ""), 1000).value(), "");
  EXPECT_TRUE(check_regular_file(path("link")).ok());
}

TEST_F(WholeFile, ReadsAsMuchAsTheLimit) {
  EXPECT_EQ(read_whole_file(write("full", std::string(1000, 'x')), 1000).value().size(), 1000u);
  EXPECT_EQ(error_of(write("long", std::string(1001, 'x'))),
            path("long") + " is longer than 1000 bytes");
}

// None of these may wait, nor be read to an end that does not come.
TEST_F(WholeFile, RefusesWhatIsNoRegularFile) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, path("socket").c_str(), sizeof address.sun_path - 1);
  ASSERT_EQ(bind(socket, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  fs::create_symlink("/dev/zero", path("link to a device"));
  fs::create_symlink(path("pipe"), path("link to a pipe"));
  const struct {
    std::string file;
    const char* kind;
  } cases[] = {{path("pipe"), "a pipe"},     {path("link to a pipe"), "a pipe"},
               {path("socket"), "a socket"}, {folder_.string(), "a directory"},
               {"/dev/zero", "a device"},    {path("link to a device"), "a device"}};
  for (const auto& [file, kind] : cases) {
    EXPECT_EQ(error_of(file),
              "cannot read " + file + ": it is " + kind + ", and only regular files are read");
    EXPECT_FALSE(check_regular_file(file)) << file;
  }
  close(socket);
}

TEST_F(WholeFile, SaysWhyAFileCannotBeRead) {
  EXPECT_EQ(error_of(path("missing")),
            "cannot read " + path("missing") + ": No such file or directory");
  fs::create_symlink(path("round"), path("round"));
  EXPECT_NE(error_of(path("round")).find("Too many levels"), std::string::npos);
  EXPECT_NE(error_of("").find("No such file"), std::string::npos);
  if (geteuid() != 0) {
    fs::permissions(write("secret", "x"), fs::perms::none);
    EXPECT_NE(error_of(path("secret")).find("Permission denied"), std::string::npos);
  }
}

TEST_F(WholeFile, IsReplacedWholeAndKeepsItsPermissions) {
  const std::string file = path("file");
  ASSERT_TRUE(check_replaceable(file).ok());
  EXPECT_FALSE(fs::exists(file));
  ASSERT_TRUE(replace_file(file, "first").ok());
  EXPECT_EQ(fs::status(file).permissions(), fs::perms::owner_read | fs::perms::owner_write);
  const fs::perms shared = fs::perms::owner_read | fs::perms::owner_write | fs::perms::group_read;
  fs::permissions(file, shared);
  const std::string text("two\nlines\0and a zero", 20);
  ASSERT_TRUE(check_replaceable(file).ok());
  ASSERT_TRUE(replace_file(file, text).ok());
  EXPECT_EQ(read_whole_file(file, 1000).value(), text);
  EXPECT_EQ(fs::status(file).permissions(), shared);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 1)
      << "something was left beside it";
}

TEST_F(WholeFile, WhatCannotBeReplacedIsLeftAsItIs) {
  ASSERT_EQ(mkfifo(path("pipe").c_str(), 0600), 0);
  fs::create_symlink("/dev/null", path("link to a device"));
  const struct {
    std::string file;
    const char* why;
  } cases[] = {{path("pipe"), ": it is a pipe, and only regular files are replaced"},
               {path("link to a device"), ": it is a device, and only regular files are replaced"},
               {folder_.string(), ": it is a directory, and only regular files are replaced"},
               {path("no folder") + "/file", ": No such file or directory"},
               {write("no folder either", "x") + "/file", ": Not a directory"}};
  for (const auto& [file, why] : cases) {
    for (const Result<void>& refused : {check_replaceable(file), replace_file(file, "x")}) {
      ASSERT_FALSE(refused) << file;
      EXPECT_EQ(refused.error().message, "cannot write " + file + why);
    }
  }
  EXPECT_TRUE(fs::is_fifo(path("pipe")));
  EXPECT_TRUE(fs::is_symlink(path("link to a device")));
}

}  // namespace
}  // namespace kvasir
