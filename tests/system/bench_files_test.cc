// Files of the user that a bench must leave as they are.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "program.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class BenchFiles : public ::testing::Test {
 protected:
  BenchFiles() {
    std::string name = (fs::temp_directory_path() / "bench-files-XXXXXX").string();
    home_ = mkdtemp(name.data());
    std::ofstream(trace_ = home_ / "kv.jsonl")
        << R"({"timestamp": 0, "input_length": 16, "output_length": 2, "hash_ids": [1]})"
        << "\n";
    size_ = fs::file_size(trace_);
  }
  ~BenchFiles() override { fs::remove_all(home_); }

  // Replays the trace to a port where nobody answers.
  std::string run(const std::vector<std::string>& flags) {
    std::vector<std::string> arguments = {"bench"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    arguments.insert(arguments.end(), {"--trace", trace_.string()});
    Program program(arguments);
    EXPECT_EQ(program.wait(), 1);
    return program.output();
  }

  std::vector<std::string> replay(const std::string& flag, const fs::path& file) const {
    return {"replay", "--url", "http://127.0.0.1:1", "--model", "m", flag, file.string()};
  }

  fs::path home_;
  fs::path trace_;
  uintmax_t size_ = 0;
};

TEST_F(BenchFiles, TheTraceIsNotWrittenOver) {
  fs::create_symlink(trace_, home_ / "link");
  fs::create_hard_link(trace_, home_ / "same");
  for (const char* name : {"kv.jsonl", "link", "same"}) {
    EXPECT_THAT(run(replay("--output", home_ / name)), HasSubstr("it is the trace itself"));
    EXPECT_THAT(run(replay("--json", home_ / name)), HasSubstr("it is the trace itself"));
  }
  EXPECT_THAT(run({"ab", "--arms", "random,kv", "--output", home_.string()}),
              HasSubstr("it is the trace itself"));
  EXPECT_EQ(fs::file_size(trace_), size_);
}

TEST_F(BenchFiles, ALinkToNothingStaysWhenTheRunFailsToStart) {
  fs::create_symlink(home_ / "later", home_ / "link");
  run({"replay", "--url", "http://127.0.0.1:1", "--output", (home_ / "link").string()});
  EXPECT_TRUE(fs::is_symlink(home_ / "link"));
  EXPECT_FALSE(fs::exists(home_ / "later"));
}

}  // namespace
}  // namespace kvasir
