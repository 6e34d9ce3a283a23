#include "telemetry/log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <regex>

#include "base/assert.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

// A pipe in the place of standard error.
class LogTest : public testing::Test {
 protected:
  LogTest() {
    EXPECT_EQ(pipe2(ends_, O_CLOEXEC), 0);
    set_log_component("test");
  }
  ~LogTest() override {
    thread_.reset();
    close(ends_[0]);
    close_writer();
  }

  void start(size_t pending_bytes_max = 1 << 20, Duration flush = std::chrono::seconds(1)) {
    LogThreadOptions options;
    options.descriptor = ends_[1];
    options.pending_bytes_max = pending_bytes_max;
    options.flush_timeout = flush;
    thread_.emplace(options);
  }
  // Ends the thread and returns what it wrote.
  std::string written() {
    thread_.reset();
    close_writer();
    return read_rest();
  }
  std::string read_rest() {
    std::string text;
    char buffer[4096];
    for (ssize_t got; (got = read(ends_[0], buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(got));
    }
    return text;
  }
  void close_writer() {
    if (ends_[1] >= 0) close(std::exchange(ends_[1], -1));
  }

  int ends_[2] = {-1, -1};
  std::optional<LogThread> thread_;
};

TEST_F(LogTest, LinesAreWrittenInOrderAndWholeBeforeTheThreadEnds) {
  start();
  std::string expected;
  for (int i = 0; i < 1000; ++i) log_info("line " + std::to_string(i));
  const std::string text = written();
  size_t at = 0;
  for (int i = 0; i < 1000; ++i) {
    at = text.find(" info test: line " + std::to_string(i) + "\n", at);
    ASSERT_NE(at, std::string::npos) << i;
  }
  EXPECT_THAT(text.substr(0, text.find('\n')),
              MatchesRegex("20..-..-..T..:..:..\\....Z info test: line 0"));
}

// The fault: standard error is a pipe that nobody reads, and every loop hangs in write().
TEST_F(LogTest, NobodyWaitsForWhoeverReadsStandardError) {
  start(64 * 1024, Duration::zero());
  const std::string words(200, 'x');
  for (int i = 0; i < 20'000; ++i) log_warning(words);  // 4 MB; a pipe takes 64 KiB
  EXPECT_GT(log_counts().dropped, 15'000u);
  thread_.reset();
}

TEST_F(LogTest, HowManyLinesWereDroppedIsToldWhenThereIsRoomAgain) {
  start(64 * 1024);
  const std::string words(200, 'x');
  for (int i = 0; i < 20'000; ++i) log_warning(words);
  const uint64_t dropped = log_counts().dropped;
  ASSERT_GT(dropped, 0u);
  // Read until all of them are told, once or in several lines.
  const std::regex told("test: (\\d+) log lines were dropped: standard error was not read");
  std::string text;
  for (uint64_t sum = 0; sum < dropped;) {
    char buffer[4096];
    const ssize_t got = read(ends_[0], buffer, sizeof buffer);
    ASSERT_GT(got, 0);
    text.append(buffer, static_cast<size_t>(got));
    sum = 0;
    for (std::sregex_iterator it(text.begin(), text.end(), told), end; it != end; ++it) {
      sum += std::stoull((*it)[1]);
    }
  }
}

TEST_F(LogTest, WhatRepeatsIsHeldBackAndSummedUp) {
  start();
  const uint64_t before = log_counts().held_back;
  for (int i = 0; i < 1000; ++i) log_repeated(LogLevel::kInfo, "bad things", "a bad thing");
  log_info("a change of state");
  const std::string text = written();
  size_t lines = 0;
  for (size_t at = 0; (at = text.find("a bad thing\n", at)) != std::string::npos; ++at) ++lines;
  // A slow machine may see a second window begin.
  EXPECT_GE(lines, 10u);
  EXPECT_LT(lines, 200u);
  EXPECT_THAT(text, HasSubstr(" more: bad things\n"));
  EXPECT_THAT(text, HasSubstr("a change of state"));
  EXPECT_EQ(log_counts().held_back - before, 1000 - lines);
}

TEST_F(LogTest, ALongMessageIsCut) {
  start();
  log_info(std::string(kLogMessageBytesMax + 5, 'x'));
  EXPECT_THAT(written(), HasSubstr("x ... (5 more bytes)\n"));
}

TEST_F(LogTest, LinesBelowTheLevelAreNotWritten) {
  start();
  log_debug("small things");
  EXPECT_THAT(written(), Not(HasSubstr("small things")));
}

// The thread that waits for SIGTERM must be the one that gets it.
TEST_F(LogTest, TheThreadHandlesNoSignal) {
  sigset_t before;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  start();
  sigset_t after;
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGPIPE, SIGCHLD}) {
    EXPECT_EQ(sigismember(&before, signal), sigismember(&after, signal));
  }
}

TEST(LogDeathTest, WhatWasLoggedBeforeAFailedAssertionIsWritten) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        LogThread thread;
        log_info("the last thing that was fine");
        KVASIR_ASSERT(1 + 1 == 3, "sums are right");
      },
      "the last thing that was fine(.|\n)*sums are right");
}

// A process that nobody listens to must end all the same.
TEST(LogDeathTest, AnAssertionEndsAProcessWhoseStandardErrorIsNotRead) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        int ends[2];
        static_cast<void>(pipe(ends));
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        const std::string filling(1 << 16, 'x');
        while (write(ends[1], filling.data(), filling.size()) > 0) {
        }
        while (write(ends[1], "x", 1) > 0) {
        }
        fcntl(ends[1], F_SETFL, 0);
        dup2(ends[1], STDERR_FILENO);
        LogThread thread;
        for (int i = 0; i < 100'000; ++i) log_info("lines and lines");
        KVASIR_ASSERT(1 + 1 == 3, "sums are right");
      },
      "");
}

}  // namespace
}  // namespace kvasir
