#include "telemetry/line_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace kvasir {
namespace {

std::string read_all(int descriptor) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(descriptor, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  return text;
}

TEST(LineWriter, WritesEveryLineInOrderBeforeItGoes) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  std::string expected;
  {
    LineWriter writer(ends[1], true, "a pipe");
    for (int i = 0; i < 1000; ++i) {
      const std::string line = "line " + std::to_string(i) + "\n";
      writer.write(line);
      expected += line;
    }
    EXPECT_EQ(writer.lines(), 1000u);
  }
  EXPECT_EQ(read_all(ends[0]), expected);
  close(ends[0]);
}

TEST(LineWriter, AppendsToAFile) {
  const std::string path = testing::TempDir() + "line_writer_test.log";
  std::remove(path.c_str());
  for (const char* line : {"one\n", "two\n"}) {
    Result<std::unique_ptr<LineWriter>> writer = LineWriter::open(path);
    ASSERT_TRUE(writer);
    (*writer)->write(line);
  }
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  EXPECT_EQ(text.str(), "one\ntwo\n");
  EXPECT_FALSE(LineWriter::open("/nonexistent/folder/file"));
}

class RotatedFile : public testing::Test {
 protected:
  RotatedFile() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
  }
  ~RotatedFile() override { std::filesystem::remove_all(folder_); }

  void open(Duration path_check_interval = Duration::zero()) {
    LineWriterLimits limits;
    limits.path_check_interval = path_check_interval;
    writer_ = std::move(LineWriter::open(path_, limits).value());
  }
  void write(const std::string& line) {
    writer_->write(line);
    EXPECT_TRUE(writer_->flush(std::chrono::seconds(10)));
  }
  static std::string text(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  const std::string folder_ = testing::TempDir() + "line_writer_test." + std::to_string(getpid());
  const std::string path_ = folder_ + "/log";
  const std::string old_ = folder_ + "/log.1";
  std::unique_ptr<LineWriter> writer_;
};

TEST_F(RotatedFile, IsFollowedByItsPath) {
  open();
  write("one\n");
  std::filesystem::rename(path_, old_);
  std::ofstream(path_) << "new\n";
  write("two\n");
  EXPECT_EQ(text(old_), "one\n");
  EXPECT_EQ(text(path_), "new\ntwo\n");
}

TEST_F(RotatedFile, IsMadeWhenThereIsNone) {
  open();
  write("one\n");
  std::filesystem::rename(path_, old_);
  write("two\n");
  std::filesystem::remove(path_);
  write("three\n");
  EXPECT_EQ(text(old_), "one\n");
  EXPECT_EQ(text(path_), "three\n");
}

TEST_F(RotatedFile, ThatWasCopiedAndTruncatedIsWrittenOnFromItsStart) {
  open();
  write("one\n");
  std::filesystem::copy(path_, old_);
  std::filesystem::resize_file(path_, 0);
  write("two\n");
  EXPECT_EQ(text(old_), "one\n");
  EXPECT_EQ(text(path_), "two\n");
}

TEST_F(RotatedFile, IsKeptWhenItsPathCannotBeOpened) {
  open();
  write("one\n");
  std::filesystem::rename(path_, old_);
  std::filesystem::create_directory(path_);
  testing::internal::CaptureStderr();
  write("two\n");
  write("three\n");
  const std::string said = testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find(path_ + " was renamed or deleted and cannot be opened anew (Is a directory)"),
            std::string::npos)
      << said;
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_EQ(text(old_), "one\ntwo\nthree\n");
  std::filesystem::remove(path_);
  write("four\n");
  EXPECT_EQ(text(path_), "four\n");
}

TEST_F(RotatedFile, IsNotLookedForAtEveryLine) {
  open(std::chrono::hours(1));
  std::filesystem::rename(path_, old_);
  write("one\n");
  EXPECT_EQ(text(old_), "one\n");
  EXPECT_FALSE(std::filesystem::exists(path_));
  writer_->reopen();
  write("two\n");
  EXPECT_EQ(text(path_), "two\n");
}

// A reader that is not there is not waited for.
TEST(LineWriter, APipeIsWrittenToWhenSomebodyReadsIt) {
  const std::string path = testing::TempDir() + "line_writer_test.pipe";
  std::remove(path.c_str());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const Result<std::unique_ptr<LineWriter>> alone = LineWriter::open(path);
  ASSERT_FALSE(alone);
  EXPECT_EQ(alone.error().message, path + ": nobody reads this pipe");
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK);
  {
    const Result<std::unique_ptr<LineWriter>> writer = LineWriter::open(path);
    ASSERT_TRUE(writer) << writer.error().message;
    (*writer)->write("a line\n");
    EXPECT_TRUE((*writer)->flush(std::chrono::seconds(10)));
    EXPECT_EQ((*writer)->lines(), 1u);
    char text[16] = {};
    EXPECT_EQ(read(reader, text, sizeof text), 7);
    EXPECT_STREQ(text, "a line\n");
  }
  close(reader);
  std::remove(path.c_str());
}

TEST(LineWriter, DropsAndCountsWhenNobodyReadsAndStillEnds) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  LineWriterLimits limits;
  limits.pending_bytes_max = 1000;
  limits.gather = std::chrono::hours(1);
  limits.flush_timeout = Duration::zero();
  const std::string line(90, '.');
  std::string filling(1 << 20, '\n');
  fcntl(ends[1], F_SETFL, O_NONBLOCK);
  while (::write(ends[1], filling.data(), filling.size()) > 0) {
  }
  LineWriter writer(ends[1], true, "a full pipe", limits);
  for (int i = 0; i < 100; ++i) writer.write(line);
  EXPECT_EQ(writer.lines() + writer.dropped(), 100u);
  EXPECT_GE(writer.lines(), 11u);
  EXPECT_LE(writer.lines(), 22u);  // as much again may be in the thread's hand
  close(ends[0]);
}

TEST(LineWriter, DoesNotWaitForCompanyWhenMuchIsPending) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  LineWriterLimits limits;
  limits.pending_bytes_max = 800;
  limits.gather = std::chrono::hours(1);
  LineWriter writer(ends[1], true, "a pipe", limits);
  const std::string line = std::string(99, '.') + "\n";
  writer.write(line);
  std::string got(line.size(), '\0');
  ASSERT_EQ(read(ends[0], got.data(), got.size()), static_cast<ssize_t>(got.size()));
  EXPECT_EQ(got, line);
  close(ends[0]);
}

TEST(LineWriter, SurvivesAReaderThatLeft) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  LineWriterLimits limits;
  limits.gather = std::chrono::milliseconds(1);
  LineWriter writer(ends[1], true, "a broken pipe", limits);
  writer.write("nobody reads this\n");
  while (writer.dropped() == 0) std::this_thread::yield();
  EXPECT_EQ(writer.lines(), 0u);
}

}  // namespace
}  // namespace kvasir
