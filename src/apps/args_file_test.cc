#include "apps/args_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "apps/vllm_command_line.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ArgumentWords = std::vector<std::string>;

TEST(SplitArguments, TakesCommandLinesApartAsTheyAreWritten) {
  const std::vector<std::pair<std::string, ArgumentWords>> cases = {
      {"", {}},
      {"  \n\t\r\n", {}},
      {"# nothing\n", {}},
      {"--port 8001", {"--port", "8001"}},
      {"--port 8001  # behind a flag\n\n# OR: --port 9\n--model m",
       {"--port", "8001", "--model", "m"}},
      {"--seed=5#7 a#b", {"--seed=5#7", "a#b"}},
      {"'a b' \"c # d\" ''", {"a b", "c # d", ""}},
      {"--x='a b' --y=\"\" --z=a='b'", {"--x=a b", "--y=", "--z=a='b'"}},
      {R"(--kv-transfer-config={"kv_connector":"N","kv_role":"kv_both"} end)",
       {R"(--kv-transfer-config={"kv_connector":"N","kv_role":"kv_both"})", "end"}},
      {R"(-c '{"a": "b"}')", {"-c", R"({"a": "b"})"}},
      {"'a'b c'd'", {"ab", "c'd'"}},
      {"'two\nlines' x", {"two\nlines", "x"}},
      {"a\r\nb\r\n", {"a", "b"}},
  };
  for (const auto& [text, words] : cases) {
    const Result<ArgumentWords> read = split_arguments(text);
    ASSERT_TRUE(read) << text << ": " << read.error().message;
    EXPECT_EQ(*read, words) << text;
  }
}

TEST(SplitArguments, ErrorsSayTheLine) {
  EXPECT_EQ(split_arguments("a\n'two\nlines' \"open\n").error().message,
            "3: the quote \" is not closed");
  EXPECT_EQ(split_arguments(std::string_view("a\nb\0", 4)).error().message, "2: a NUL byte");
  EXPECT_EQ(split_arguments(std::string_view("'\0'", 3)).error().message, "1: a NUL byte");
}

class ArgsFile : public ::testing::Test {
 protected:
  std::string write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  void TearDown() override { std::filesystem::remove(path_); }

  const std::string path_ = ::testing::TempDir() + "args_file_test_" +
                            std::to_string(::testing::UnitTest::GetInstance()->random_seed()) +
                            std::to_string(reinterpret_cast<uintptr_t>(this));
};

// A tutorial's ConfigMap, as it stands.
constexpr const char* kBatching = R"(--model meta-llama/Llama-2-70b-hf
--port 8001

# Batching parameters
--max-num-seqs 256                    # Max concurrent sequences
--max-num-batched-tokens 8192         # Max tokens per batch
--max-model-len 4096                  # Max sequence length

# Scheduling
--scheduler-policy fcfs               # First-Come-First-Serve
# OR: --scheduler-policy priority     # Priority-based

# Chunked prefill (process long prompts in chunks)
--enable-chunked-prefill
--max-num-prefill-tokens 4096

# Memory management
--gpu-memory-utilization 0.9
--swap-space 16                       # GB of CPU RAM

# Performance tuning
--disable-log-stats                   # Reduce logging overhead
--enforce-eager                       # Don't use CUDA graphs (for batching)
)";

TEST_F(ArgsFile, TheTutorialsConfigMapIsACommandLine) {
  const Result<VllmCommandLine> line = read_vllm_command_line({"--args-file", write(kBatching)});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_THAT(line->arguments, ElementsAre("--model", "meta-llama/Llama-2-70b-hf", "--port", "8001",
                                           "--max-num-seqs", "256", "--max-num-batched-tokens",
                                           "8192", "--max-model-len", "4096", "--scheduling-policy",
                                           "fcfs", "--gpu-memory-utilization", "0.9", "--swap-space",
                                           "16"));
  EXPECT_THAT(line->without_effect, ElementsAre("--max-num-prefill-tokens",                                                 "--disable-log-stats", "--enforce-eager"));
}

TEST_F(ArgsFile, StandsForItsWordsAndLaterOnesWin) {
  const std::string file = write("m --port 1\n");
  EXPECT_EQ(*with_args_files({"a", "--args-file=" + file, "b"}),
            (ArgumentWords{"a", "m", "--port", "1", "b"}));
  const Result<VllmCommandLine> line =
      read_vllm_command_line({"vllm", "serve", "--args-file", file, "--port", "2"});
  ASSERT_TRUE(line) << line.error().message;
  EXPECT_THAT(line->arguments, ElementsAre("--port", "2", "--model", "m"));
}

TEST_F(ArgsFile, RefusalsNameTheFileAndWhatIsWrong) {
  EXPECT_EQ(with_args_files({"--args-file"}).error().message, "--args-file: a value is missing");
  EXPECT_THAT(with_args_files({"--args-file", path_ + "absent"}).error().message,
              HasSubstr(path_ + "absent"));
  EXPECT_THAT(with_args_files({"--args-file", "/dev/zero"}).error().message,
              HasSubstr("only regular files"));
  EXPECT_THAT(with_args_files({"--args-file", write("--port\n'1")}).error().message,
              HasSubstr("--args-file: " + path_ + ":2: the quote ' is not closed"));
  EXPECT_THAT(with_args_files({"--args-file", write("--args-file other")}).error().message,
              HasSubstr("cannot name another one"));
  EXPECT_THAT(with_args_files({"--args-file", write(std::string(kArgsFileBytesMost + 1, ' '))})
                  .error()
                  .message,
              HasSubstr(path_));
}

}  // namespace
}  // namespace kvasir
