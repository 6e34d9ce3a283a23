// What a real vLLM handed over (kv_transfer/*.jsonl, made by pd_run.py --record), as the decode leg
// gets it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "wire/kv_transfer/leg_bodies.h"
#include "wire/kv_transfer/prefill_handoff.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kBlockSize = 32;
constexpr std::string_view kClientBody =
    R"({"model":"tiny","prompt":[5,6,7],"max_tokens":9,"stream":true,"seed":9007199254740993})";

TEST(KvHandoff, WhatVllmHandsOverReachesTheDecoderByteForByte) {
  const char* source = std::getenv("KVASIR_SOURCE_DIR");
  ASSERT_NE(source, nullptr);
  std::ifstream file(std::string(source) + "/tests/vllm/kv_transfer/vllm-0.32.0-nixl.jsonl");
  const Result<LegBodies> bodies = LegBodies::read(RequestApi::kCompletions, kClientBody);
  ASSERT_TRUE(bodies);
  size_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const Json recorded = Json::parse(line);
    const std::string answer = recorded["answer"].get<std::string>();
    const PrefillHandoff handoff = read_nixl_v2_handoff(answer);
    ASSERT_EQ(handoff.state, PrefillHandoff::State::kUsable) << handoff.problem << line;
    const uint64_t tokens = recorded["prompt_tokens"].get<uint64_t>();
    EXPECT_EQ(handoff.tokens, tokens);
    EXPECT_EQ(handoff.blocks, (tokens + kBlockSize - 1) / kBlockSize) << line;
    EXPECT_EQ(handoff.host, "127.0.0.1");

    const std::string decode = bodies->decode(KvDialect::kNixlV2, {.params = handoff.params});
    const std::string member = "\"kv_transfer_params\":" + std::string(handoff.params);
    EXPECT_NE(decode.find(member), std::string::npos) << decode;
    EXPECT_NE(answer.find(member), std::string::npos) << "it is not what vLLM wrote";
    const Json parsed = Json::parse(decode);
    EXPECT_EQ(parsed["max_tokens"], 9);
    EXPECT_EQ(parsed["stream"], true);
  }
  EXPECT_EQ(lines, 10u);
}

}  // namespace
}  // namespace kvasir
