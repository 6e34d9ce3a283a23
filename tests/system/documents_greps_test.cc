// What the tutorial greps for in the logs of workers and sidecars is there, as they log by default:
// once at the start, and not for each request.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "leased_port.h"
#include "mixed_requests.h"
#include "program.h"

namespace kvasir {
namespace {

size_t lines_with(const std::string& log, const std::string& word) {
  size_t count = 0;
  for (size_t at = log.find(word); at != std::string::npos;) {
    ++count;
    at = log.find(word, log.find('\n', at));
  }
  return count;
}

struct Row {
  std::vector<std::string> program;
  const char* word;
};

const Row kRows[] = {
    {{"worker"}, "Loading model"},
    {{"worker"}, "KV_EVENT"},
    {{"worker", "--kv-transfer-config", R"({"kv_connector":"NixlConnector","kv_role":"kv_both"})"},
     "NIXL"},
    {{"sidecar", "--secure-proxy=false"}, "prefill_decision"},
    {{"sidecar", "--secure-proxy=false"}, "connector_error"},
};

TEST(DocumentsGreps, FindTheirLineOnceAtTheStart) {
  setenv("VLLM_NIXL_SIDE_CHANNEL_HOST", "127.0.0.1", 1);
  setenv("VLLM_NIXL_SIDE_CHANNEL_PORT", std::to_string(leased_port()).c_str(), 1);
  for (const Row& row : kRows) {
    const uint16_t port = leased_port();
    std::vector<std::string> arguments = row.program;
    arguments.insert(arguments.begin() + 1,
                     {"--host", "127.0.0.1", "--port", std::to_string(port)});
    Program program(arguments);
    ASSERT_TRUE(program.comes_to_say("serving on")) << program.output();
    ASSERT_TRUE(program.comes_to_say(row.word)) << row.word << "\n" << program.output();
    EXPECT_EQ(lines_with(program.output(), row.word), 1u) << row.word << "\n" << program.output();
    if (row.program[0] != "worker") continue;
    for (int i = 0; i < 3; ++i) {
      post_to(port, "/v1/completions",
              R"({"model":"Qwen/Qwen3-32B","prompt":"Hello","max_tokens":1})");
    }
    EXPECT_EQ(lines_with(program.output(), row.word), 1u) << row.word << "\n" << program.output();
  }
}

}  // namespace
}  // namespace kvasir
