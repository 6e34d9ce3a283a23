#include "feeds/file_watch.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <vector>

namespace kvasir {
namespace {

constexpr size_t kBytesMax = 100;

class FileWatchTest : public ::testing::Test {
 protected:
  FileWatchTest() : path_(::testing::TempDir() + "file_watch_test_" + std::to_string(getpid())) {
    write("one");
    watch_ = std::make_unique<FileWatch>(
        *loop_, path_, "one", kBytesMax, std::chrono::hours(1), [this](Result<std::string> text) {
          heard_.push_back(text ? *text : "error: " + text.error().message);
        });
  }
  ~FileWatchTest() override { std::remove(path_.c_str()); }

  void write(const std::string& text) { std::ofstream(path_) << text; }

  const std::string path_;
  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  std::vector<std::string> heard_;
  std::unique_ptr<FileWatch> watch_;
};

TEST_F(FileWatchTest, ChangedContentIsToldOnce) {
  watch_->look();
  write("two");
  watch_->look();
  watch_->look();
  EXPECT_EQ(heard_, std::vector<std::string>{"two"});
}

// A writer may be seen between its first and its last byte.
TEST_F(FileWatchTest, AFileThatIsBeingWrittenIsNotToldHalf) {
  for (const char* step : {"", "t", "tw"}) {
    write(step);
    watch_->look();
  }
  EXPECT_TRUE(heard_.empty());
  write("two");
  watch_->look();
  watch_->look();
  EXPECT_EQ(heard_, std::vector<std::string>{"two"});
}

TEST_F(FileWatchTest, AnEmptiedFileThatIsFilledAgainIsNoChange) {
  write("");
  watch_->look();
  write("one");
  watch_->look();
  watch_->look();
  EXPECT_TRUE(heard_.empty());
}

// Nothing that never ends, and nothing that makes the reader wait.
TEST_F(FileWatchTest, APipeOrADeviceInItsPlaceIsAnErrorAndItsReturnIsNoticed) {
  std::remove(path_.c_str());
  ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
  watch_->look();
  std::remove(path_.c_str());
  ASSERT_EQ(symlink("/dev/zero", path_.c_str()), 0);
  watch_->look();
  std::remove(path_.c_str());
  ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
  watch_->look();
  rmdir(path_.c_str());
  ASSERT_EQ(heard_.size(), 3u);
  EXPECT_NE(heard_[0].find("it is a pipe"), std::string::npos) << heard_[0];
  EXPECT_NE(heard_[1].find("it is a device"), std::string::npos) << heard_[1];
  EXPECT_NE(heard_[2].find("it is a directory"), std::string::npos) << heard_[2];
  write("two");
  watch_->look();
  watch_->look();
  EXPECT_EQ(heard_.back(), "two");
}

// As tar does from an archive whose times are fixed, and touch -r: the same inode, size and time of
// modification.
TEST_F(FileWatchTest, ARewriteThatSetsTheOldTimeAgainIsNoticed) {
  const timespec old[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
  ASSERT_EQ(utimensat(AT_FDCWD, path_.c_str(), old, 0), 0);
  watch_->look();
  write("two");
  ASSERT_EQ(utimensat(AT_FDCWD, path_.c_str(), old, 0), 0);
  watch_->look();
  watch_->look();
  EXPECT_EQ(heard_, std::vector<std::string>{"two"});
}

TEST_F(FileWatchTest, ARewriteWithTheSameContentIsNoChange) {
  write("one");
  watch_->look();
  EXPECT_TRUE(heard_.empty());
}

TEST_F(FileWatchTest, AMissingFileIsToldOnceAndItsReturnIsNoticed) {
  std::remove(path_.c_str());
  watch_->look();
  watch_->look();
  ASSERT_EQ(heard_.size(), 1u);
  EXPECT_NE(heard_[0].find("cannot read " + path_), std::string::npos);
  write("three");
  watch_->look();
  watch_->look();
  EXPECT_EQ(heard_.back(), "three");
}

TEST_F(FileWatchTest, AFileThatIsTooLongIsAnError) {
  write(std::string(kBytesMax + 1, 'x'));
  watch_->look();
  EXPECT_NE(heard_.at(0).find("is longer than 100 bytes"), std::string::npos);
}

TEST_F(FileWatchTest, TheTimerLooksByItself) {
  FileWatch quick(*loop_, path_, "old", kBytesMax, std::chrono::milliseconds(1),
                  [this](const Result<std::string>& text) {
                    heard_.push_back(*text);
                    loop_->stop();
                  });
  loop_->run();
  EXPECT_EQ(heard_, std::vector<std::string>{"one"});
}

}  // namespace
}  // namespace kvasir
