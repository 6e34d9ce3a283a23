#include "wire/kv_transfer/prefill_handoff.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using HandoffState = PrefillHandoff::State;

PrefillHandoff of_params(const std::string& params) {
  static std::string answer;  // what the result views
  answer = R"({"id":"cmpl-1","choices":[],"kv_transfer_params":)" + params + R"(,"usage":{}})";
  return read_nixl_v2_handoff(answer);
}

// Recorded from vLLM 0.32.0 (NixlConnector version 12).
constexpr const char* kNewest =
    R"({"do_remote_prefill":true,"do_remote_decode":false,"remote_block_ids":[[1,2,3]],)"
    R"("remote_engine_id":"e1101616","remote_request_id":"cmpl-abc-1-0-a74a7b4a",)"
    R"("remote_host":"127.0.0.1","remote_port":5600,"tp_size":1,"dcp_size":1,"pp_size":1,)"
    R"("remote_num_tokens":2161,"remote_blocks_expiry_time":null,"transfer_mode":"pull",)"
    R"("remote_prefill_cached_tokens":0,"later":9007199254740993})";

TEST(PrefillHandoff, TheNewestIsReadAndGivenOnAsItStands) {
  const PrefillHandoff handoff = of_params(kNewest);
  EXPECT_EQ(handoff.state, HandoffState::kUsable) << handoff.problem;
  EXPECT_EQ(handoff.params, kNewest);
  EXPECT_EQ(handoff.engine_id, "e1101616");
  EXPECT_EQ(handoff.request_id, "cmpl-abc-1-0-a74a7b4a");
  EXPECT_EQ(handoff.host, "127.0.0.1");
  EXPECT_EQ(handoff.port, 5600);
  EXPECT_EQ(handoff.blocks, 3u);
  EXPECT_EQ(handoff.tokens, 2161u);
  EXPECT_FALSE(handoff.push);
}

TEST(PrefillHandoff, EveryGenerationIsUsable) {
  // Mid-2025: a flat list, and no request.
  EXPECT_EQ(
      of_params(R"({"do_remote_prefill":true,"remote_block_ids":[4,5],"remote_engine_id":"e",)"
                R"("remote_host":"h","remote_port":5600,"tp_size":1})")
          .blocks,
      2u);
  const PrefillHandoff second = of_params(
      R"({"do_remote_prefill":true,"remote_block_ids":[4],"remote_engine_id":"e","remote_request_id":"r","remote_host":"h","remote_port":1})");
  EXPECT_EQ(second.state, HandoffState::kUsable) << second.problem;
  const PrefillHandoff groups = of_params(
      R"({"do_remote_prefill":true,"remote_block_ids":[[1,2,4],[],[7]],"remote_engine_id":"e","remote_request_id":"r","remote_host":"h","remote_port":1,"transfer_mode":"push"})");
  EXPECT_EQ(groups.blocks, 4u);
  EXPECT_TRUE(groups.push);
}

// Vectors T5 and T6: what a prefiller answers with 200 and no decoder can use.
TEST(PrefillHandoff, WhatNoDecoderCanUseIsToldApart) {
  EXPECT_EQ(of_params("null").state, HandoffState::kNone);
  EXPECT_EQ(read_nixl_v2_handoff("{\"choices\":[]}").state, HandoffState::kNone);
  for (const char* blocks : {"null", "[]", "[[]]", "[[],[]]"}) {
    EXPECT_EQ(
        of_params(R"({"do_remote_prefill":true,"remote_block_ids":)" + std::string(blocks) + "}")
            .state,
        HandoffState::kEmpty)
        << blocks;
  }
  const struct {
    const char* params;
    const char* problem;
  } cases[] = {
      {"[]", "kv_transfer_params is no JSON object"},
      {"{}", "do_remote_prefill is not true"},
      {R"({"do_remote_prefill":false})", "do_remote_prefill is not true"},
      {R"({"do_remote_prefill":true,"remote_block_ids":["DUMMY_ID"]})",
       "remote_block_ids is no list of block numbers"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[[[1]]]})",
       "remote_block_ids is no list of block numbers"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[-1]})",
       "remote_block_ids is no list of block numbers"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[1]})", "remote_engine_id is missing"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[1],"remote_engine_id":""})",
       "remote_engine_id is missing"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[[1]],"remote_engine_id":"e"})",
       "remote_request_id is missing"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[1],"remote_engine_id":"e","remote_request_id":null})",
       "remote_request_id is missing"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[1],"remote_engine_id":"e"})",
       "remote_host is missing"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[1],"remote_engine_id":"e","remote_host":"h"})",
       "remote_port is no port"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[1],"remote_engine_id":"e","remote_host":"h","remote_port":65536})",
       "remote_port is no port"},
      {R"({"do_remote_prefill":true,"remote_block_ids":[1],"remote_engine_id":"e","remote_host":"h","remote_port":"5600"})",
       "remote_port is no port"},
  };
  for (const auto& [params, problem] : cases) {
    const PrefillHandoff handoff = of_params(params);
    EXPECT_EQ(handoff.state, HandoffState::kInvalid) << params;
    EXPECT_EQ(handoff.problem, problem) << params;
  }
  for (const char* answer : {"", "ok", "[1]", "{\"kv_transfer_params\":", "data: {}\n\n"}) {
    EXPECT_EQ(read_nixl_v2_handoff(answer).problem, "the prefiller's answer is no JSON object");
  }
}

TEST(PrefillHandoff, MembersOfTheAnswerItself) {
  const NixlMembers read = read_nixl_handoff(
      R"({"id":"x","remote_block_ids":[1,2],"remote_engine_id":"e","remote_host":"h","remote_port":5600})");
  EXPECT_EQ(read.handoff.state, HandoffState::kUsable) << read.handoff.problem;
  EXPECT_EQ(read.block_ids, "[1,2]");
  EXPECT_EQ(read.engine_id, "\"e\"");
  EXPECT_EQ(read.host, "\"h\"");
  EXPECT_EQ(read.port, "5600");
  EXPECT_EQ(read_nixl_handoff(R"({"id":"x"})").handoff.state, HandoffState::kNone);
  EXPECT_EQ(read_nixl_handoff("x").handoff.state, HandoffState::kInvalid);
  EXPECT_EQ(read_nixl_handoff(R"({"remote_block_ids":[1],"remote_engine_id":7})").handoff.state,
            HandoffState::kInvalid);
}

TEST(NixlLegParams, SayWhatAWorkerIsToDo) {
  EXPECT_TRUE(read_nixl_leg_params(R"({"do_remote_decode":true,"remote_block_ids":null})").keeps);
  for (const char* neither : {"", "null", "[]", "{", "{}", R"({"do_remote_decode":"true"})"}) {
    EXPECT_FALSE(read_nixl_leg_params(neither).keeps) << neither;
    EXPECT_FALSE(read_nixl_leg_params(neither).fetches) << neither;
  }
  const NixlLegParams newest = read_nixl_leg_params(kNewest);
  EXPECT_TRUE(newest.fetches);
  EXPECT_FALSE(newest.keeps);
  EXPECT_EQ(newest.handoff.state, HandoffState::kUsable);
  EXPECT_EQ(newest.handoff.host, "127.0.0.1");
  EXPECT_EQ(newest.block_ids, (std::vector<uint32_t>{1, 2, 3}));
}

TEST(NixlLegParams, WhatIsOfferedIsReadBack) {
  NixlOfferText offer;
  offer.engine_id = "e\"1";
  offer.request_id = "cmpl-1-0-a74a7b4a";
  offer.host = "localhost";
  offer.port = 5600;
  offer.tokens = 33;
  offer.cached_tokens = 16;
  const std::vector<uint32_t> blocks{7, 0, 4'294'967'295};
  const std::string params = write_nixl_offer(offer, blocks);
  const NixlLegParams leg = read_nixl_leg_params(params);
  ASSERT_EQ(leg.handoff.state, HandoffState::kUsable) << leg.handoff.problem;
  EXPECT_EQ(leg.block_ids, blocks);
  EXPECT_EQ(leg.handoff.engine_id, offer.engine_id);
  EXPECT_EQ(leg.handoff.request_id, offer.request_id);
  EXPECT_EQ(leg.handoff.port, 5600);
  EXPECT_EQ(leg.handoff.tokens, 33u);
  EXPECT_NE(params.find(R"("remote_prefill_cached_tokens":16})"), std::string::npos);
}

// Of blocks that a worker cannot fetch, whatever a gateway makes of them.
TEST(NixlLegParams, SomeBlocksAreOfNoUse) {
  const std::string rest =
      R"(,"do_remote_prefill":true,"remote_engine_id":"e","remote_request_id":"r","remote_host":"h","remote_port":1})";
  for (const char* blocks : {"[[1],[2]]", "[1,[2]]", "[[1],2]", "[4294967296]", "[-1]", "[1.5]"}) {
    const NixlLegParams leg = read_nixl_leg_params(R"({"remote_block_ids":)" + (blocks + rest));
    EXPECT_EQ(leg.handoff.state, HandoffState::kInvalid) << blocks;
    EXPECT_TRUE(leg.block_ids.empty()) << blocks;
  }
}

}  // namespace
}  // namespace kvasir
