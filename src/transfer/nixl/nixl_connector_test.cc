#include "transfer/nixl/nixl_connector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "transfer/int8_block.h"
#include "transfer/nixl/nixl_fixture.h"
#include "wire/kv_transfer/prefill_handoff.h"

namespace kvasir {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

class NixlConnectorTest : public testing::Test {
 protected:
  static KvTransferConfig config() { return NixlTestWorker::on_free_ports(); }
  std::string shared_name(const char* of) {
    return "/kvasir-nixl-test-" + std::to_string(getpid()) + "-" + of;
  }
  // The whole way of a request: its blocks end up in blocks 0, 1, ... of `decoder`.
  void hand_over(NixlTestWorker& prefiller, NixlTestWorker& decoder, uint64_t request,
                 size_t blocks) {
    const NixlTestPrompt prompt(blocks, request);
    const std::string params = prefiller.prefill(request, prompt);
    const auto count = static_cast<uint32_t>(blocks);
    ASSERT_EQ(decoder.plan(request, prompt, params).remote_blocks, count);
    const KvFetched fetched = decoder.fetch(request, 0, count);
    EXPECT_EQ(fetched.problem, "");
    EXPECT_EQ(fetched.blocks, count);
    EXPECT_TRUE(decoder.holds(prompt, 0, count));
    loop.run_until([&] { return prefiller.released.count(request) > 0; });
  }

  PatientLoop loop;
};

// Who looks once more when all is there stops the loop twice.
TEST_F(NixlConnectorTest, AStopThatIsLeftOverDoesNotEndTheNextWait) {
  loop.loop().stop();
  bool is_so = false;
  loop.loop().after(std::chrono::milliseconds(1), [&] { is_so = true; });
  loop.run_until([&] { return is_so; });
  EXPECT_TRUE(is_so);
}

TEST_F(NixlConnectorTest, TheAnswerIsVllmsMemberForMember) {
  NixlTestWorker prefiller(loop);
  EXPECT_THAT(
      prefiller.prefill(1, NixlTestPrompt(3, 1)),
      MatchesRegex(
          R"(\{"do_remote_prefill":true,"do_remote_decode":false,"remote_block_ids":\[\[1,4,7\]\],)"
          R"("remote_engine_id":"[0-9a-f-]{36}","remote_request_id":"cmpl-1-0-[0-9a-f]{8}",)"
          R"("remote_host":"localhost","remote_port":[0-9]+,"tp_size":1,"dcp_size":1,"pp_size":1,)"
          R"("remote_num_tokens":13,"remote_blocks_expiry_time":null,"transfer_mode":"pull",)"
          R"("remote_prefill_cached_tokens":0\})"));
  EXPECT_EQ(prefiller.connector().stats().offers, 3u);
}

TEST_F(NixlConnectorTest, APromptShorterThanABlockIsNotKept) {
  NixlTestWorker prefiller(loop);
  EXPECT_FALSE(prefiller.plan(1, NixlTestPrompt(0, 1), R"({"do_remote_decode":true})").keeps);
  EXPECT_FALSE(prefiller.plan(2, NixlTestPrompt(3, 1), "").keeps);
  EXPECT_FALSE(prefiller.plan(3, NixlTestPrompt(3, 1), "null").keeps);
}

TEST_F(NixlConnectorTest, BlocksArriveAndTheOfferIsOver) {
  NixlTestWorker prefiller(loop), decoder(loop);
  hand_over(prefiller, decoder, 1, 5);
  hand_over(prefiller, decoder, 2, 80);
  EXPECT_EQ(prefiller.connector().stats().offers, 0u);
  const KvTransferStats stats = decoder.connector().stats();
  EXPECT_EQ(stats.transfers, 2u);
  EXPECT_EQ(stats.bytes, 85 * prefiller.memory().layout().block_bytes());
  EXPECT_EQ(stats.failed_transfers, 0u);
  const auto records = decoder.connector().take_records();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[1].bytes, 80 * prefiller.memory().layout().block_bytes());
  EXPECT_GE(records[1].time, records[1].post);
  EXPECT_TRUE(decoder.connector().take_records().empty());
}

TEST_F(NixlConnectorTest, OnlyWhatIsNotHereTravels) {
  NixlTestWorker prefiller(loop), decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  const std::string params = prefiller.prefill(1, prompt);
  EXPECT_EQ(decoder.plan(1, prompt, params).remote_blocks, 5u);
  EXPECT_EQ(decoder.fetch(1, 2, 2, 30).blocks, 2u);
  EXPECT_TRUE(decoder.holds(prompt, 2, 2, 30));
  EXPECT_EQ(decoder.connector().stats().bytes, 2 * prefiller.memory().layout().block_bytes());
  loop.run_until([&] { return prefiller.released.count(1) > 0; });
}

TEST_F(NixlConnectorTest, WhenAllIsHereThePrefillerIsTold) {
  NixlTestWorker prefiller(loop), decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  decoder.plan(1, prompt, prefiller.prefill(1, prompt));
  const KvFetched fetched = decoder.fetch(1, 0, 0);
  EXPECT_EQ(fetched.blocks, 0u);
  EXPECT_EQ(fetched.problem, "");
  loop.run_until([&] { return prefiller.released.count(1) > 0; });
  EXPECT_EQ(prefiller.connector().stats().expired_requests, 0u);
}

// Every generation of vLLM's parameters; what lacks something is computed here, as vLLM does.
TEST_F(NixlConnectorTest, EveryGenerationIsPlanned) {
  NixlTestWorker decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  const std::string rest =
      R"("do_remote_prefill":true,"remote_engine_id":"e","remote_host":"127.0.0.1","remote_port":9)";
  const std::string named = rest + R"(,"remote_request_id":"r")";
  struct Case {
    std::string params;
    uint32_t blocks;
  };
  const Case cases[] = {
      {"{" + named + R"(,"remote_block_ids":[1,2,3]})", 3},
      {"{" + named + R"(,"remote_block_ids":[[1,2,3]]})", 3},
      {"{" + named + R"(,"remote_block_ids":[[],[1,2]]})", 2},
      {"{" + named + R"(,"remote_block_ids":[1,2,3,4,5,6,7]})", 5},
      {"{" + rest + R"(,"remote_block_ids":[1,2,3]})", 0},
      {"{" + named + R"(,"remote_block_ids":[]})", 0},
      {"{" + named + R"(,"remote_block_ids":[[1],[2]]})", 0},
      {"{" + named + R"(,"remote_block_ids":[4294967296]})", 0},
      {"{" + named + R"(,"remote_block_ids":[1],"transfer_mode":"push"})", 0},
      {"{" + named + "}", 0},
      {R"({"do_remote_prefill":true})", 0},
      {R"({"do_remote_prefill":true,)", 0},
  };
  uint64_t request = 1;
  for (const Case& each : cases) {
    EXPECT_EQ(decoder.plan(request++, prompt, each.params).remote_blocks, each.blocks)
        << each.params;
  }
  EXPECT_EQ(decoder.connector().stats().unusable_handoffs, 7u);
}

TEST_F(NixlConnectorTest, OnePrefillerServesManyAtOnce) {
  NixlTestWorker prefiller(loop), first(loop), second(loop);
  std::vector<std::pair<NixlTestWorker*, uint64_t>> all;
  for (uint64_t request = 1; request <= 12; ++request) {
    NixlTestWorker& decoder = request % 2 == 0 ? first : second;
    const NixlTestPrompt prompt(20, request);
    decoder.plan(request, prompt, prefiller.prefill(request, prompt, uint32_t(request)));
    all.emplace_back(&decoder, request);
  }
  // All blocks of a prompt lie where those of the one before do, or between them: the last 3 stand.
  for (auto [decoder, request] : all) {
    if (request > 9) decoder->start_fetch(request, 0, 20, uint32_t(20 * (request - 10)));
  }
  loop.run_until([&] { return first.fetched.size() + second.fetched.size() == 3; });
  for (auto [decoder, request] : all) {
    if (request <= 9) continue;
    EXPECT_EQ(decoder->fetched[request].problem, "");
    EXPECT_TRUE(decoder->holds(NixlTestPrompt(20, request), 0, 20, uint32_t(20 * (request - 10))));
  }
}

TEST_F(NixlConnectorTest, AHandoffIsFetchedOnce) {
  NixlTestWorker prefiller(loop), decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  const std::string params = prefiller.prefill(1, prompt);
  decoder.plan(1, prompt, params);
  EXPECT_EQ(decoder.fetch(1, 0, 5).blocks, 5u);
  loop.run_until([&] { return prefiller.released.count(1) > 0; });
  decoder.plan(2, prompt, params);
  const KvFetched again = decoder.fetch(2, 0, 5, 100);
  EXPECT_EQ(again.blocks, 0u);
  EXPECT_THAT(again.problem, HasSubstr("its lease has ended, it was read, or it was never there"));
  EXPECT_EQ(prefiller.connector().stats().refused_peers, 1u);
  EXPECT_EQ(decoder.connector().stats().failed_transfers, 1u);
}

// Who has another one's handoff does not get at its prompt.
TEST_F(NixlConnectorTest, AnotherPromptsBlocksAreNotFetched) {
  NixlTestWorker prefiller(loop), decoder(loop);
  const std::string params = prefiller.prefill(1, NixlTestPrompt(5, 1));
  decoder.plan(1, NixlTestPrompt(5, 2), params);
  const KvFetched fetched = decoder.fetch(1, 0, 5);
  EXPECT_EQ(fetched.blocks, 0u);
  EXPECT_THAT(fetched.problem, HasSubstr("is of another prompt"));
}

TEST_F(NixlConnectorTest, AnOfferThatNobodyFetchesExpires) {
  KvTransferConfig brief = config();
  brief.lease = std::chrono::milliseconds(1);
  NixlTestWorker prefiller(loop, brief), decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  testing::internal::CaptureStderr();
  const std::string params = prefiller.prefill(1, prompt);
  loop.run_until([&] { return prefiller.released.count(1) > 0; });
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              HasSubstr("nobody has fetched the 5 KV blocks of cmpl-1-0-"));
  EXPECT_EQ(prefiller.connector().stats().expired_requests, 1u);
  EXPECT_EQ(prefiller.connector().stats().offers, 0u);
  decoder.plan(1, prompt, params);
  EXPECT_EQ(decoder.fetch(1, 0, 5).blocks, 0u);
  EXPECT_THAT(decoder.fetched[1].problem, HasSubstr("its lease has ended"));
}

TEST_F(NixlConnectorTest, WhoIsCancelledBeforeTheFetchLetsGo) {
  NixlTestWorker prefiller(loop), decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  decoder.plan(1, prompt, prefiller.prefill(1, prompt));
  decoder.connector().forget(KvRequestId{1});
  loop.run_until([&] { return prefiller.released.count(1) > 0; });
  EXPECT_EQ(decoder.fetched.count(1), 0u);
  EXPECT_EQ(prefiller.connector().stats().expired_requests, 0u);
}

TEST_F(NixlConnectorTest, WhoIsCancelledWhileItFetchesHearsOfItOnce) {
  NixlTestWorker prefiller(loop), decoder(loop);
  for (uint64_t request = 1; request <= 20; ++request) {
    const NixlTestPrompt prompt(80, request);
    decoder.plan(request, prompt, prefiller.prefill(request, prompt));
    decoder.start_fetch(request, 0, 80, 0);
    if (request % 2 == 0) loop.run_until([&] { return decoder.connector().stats().bytes > 0; });
    decoder.connector().forget(KvRequestId{request});
    loop.run_until([&] {
      return decoder.fetched.count(request) > 0 && prefiller.released.count(request) > 0;
    });
  }
  hand_over(prefiller, decoder, 21, 80);
}

TEST_F(NixlConnectorTest, AnOfferOutlivesItsClient) {
  NixlTestWorker prefiller(loop), decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  const std::string params = prefiller.prefill(1, prompt);
  prefiller.connector().forget(KvRequestId{1});
  decoder.plan(1, prompt, params);
  EXPECT_EQ(decoder.fetch(1, 0, 5).blocks, 5u);
  loop.run_until([&] { return prefiller.released.count(1) > 0; });
}

TEST_F(NixlConnectorTest, WhatEndsBeforeItIsOfferedIsForgotten) {
  NixlTestWorker prefiller(loop);
  prefiller.plan(1, NixlTestPrompt(5, 1), R"({"do_remote_decode":true})");
  prefiller.connector().forget(KvRequestId{1});
  prefiller.connector().forget(KvRequestId{2});
  EXPECT_EQ(prefiller.connector().stats().offers, 0u);
}

TEST_F(NixlConnectorTest, ARestartedPrefillerDoesNotServeOldHandoffs) {
  auto prefiller = std::make_unique<NixlTestWorker>(loop);
  NixlTestWorker decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  const std::string old = prefiller->prefill(1, prompt);
  KvTransferConfig same_port = config();
  same_port.side_channel_port = read_nixl_leg_params(old).handoff.port;
  prefiller = nullptr;
  prefiller = std::make_unique<NixlTestWorker>(loop, same_port);
  decoder.plan(1, prompt, old);
  EXPECT_EQ(decoder.fetch(1, 0, 5).blocks, 0u);
  EXPECT_THAT(decoder.fetched[1].problem, HasSubstr("which made this handoff, has ended"));
  hand_over(*prefiller, decoder, 2, 5);
}

TEST_F(NixlConnectorTest, ADeadPrefillerIsSaidToBe) {
  NixlLimits limits;
  limits.retry_after = std::chrono::milliseconds(1);
  NixlTestWorker prefiller(loop), decoder(loop, config(), limits);
  const NixlTestPrompt prompt(5, 1);
  const std::string params = prefiller.prefill(1, prompt);
  prefiller.die();
  decoder.plan(1, prompt, params);
  const KvFetched fetched = decoder.fetch(1, 0, 5);
  EXPECT_EQ(fetched.blocks, 0u);
  EXPECT_THAT(fetched.problem, HasSubstr("nobody answers at"));
  EXPECT_EQ(decoder.connector().stats().failed_transfers, 1u);
}

TEST_F(NixlConnectorTest, APrefillerWithAnotherModelOrLayoutIsRefused) {
  KvLayout large = NixlTestWorker::small_layout();
  large.bytes_per_token *= 2;
  NixlTestWorker other_model(loop, config(), {}, {}, NixlTestWorker::small_layout(), "n");
  NixlTestWorker other_layout(loop, config(), {}, {}, large);
  NixlTestWorker decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  uint64_t request = 1;
  for (NixlTestWorker* prefiller : {&other_model, &other_layout}) {
    decoder.plan(request, prompt, prefiller->prefill(1, prompt));
    EXPECT_EQ(decoder.fetch(request, 0, 5).blocks, 0u);
    EXPECT_THAT(decoder.fetched[request].problem, HasSubstr("is not compatible: it serves"));
    ++request;
  }
  EXPECT_EQ(decoder.connector().stats().refused_peers, 2u);
}

// Its blocks would be kept until their lease ends, for nobody.
TEST_F(NixlConnectorTest, APrefillerThatIsRefusedIsToldToLetGo) {
  NixlTestWorker prefiller(loop, config(), {}, {}, NixlTestWorker::small_layout(), "n");
  NixlTestWorker decoder(loop);
  const NixlTestPrompt prompt(5, 1);
  for (uint64_t request = 1; request <= 3; ++request) {
    decoder.plan(request, prompt, prefiller.prefill(request, prompt));
    if (request == 3) {  // its client leaves before there is room for the blocks
      decoder.connector().forget(KvRequestId{request});
    } else {
      EXPECT_EQ(decoder.fetch(request, 0, 5).blocks, 0u);
    }
    loop.run_until([&] { return prefiller.released.count(request) > 0; });
  }
  EXPECT_EQ(prefiller.connector().stats().offers, 0u);
  EXPECT_EQ(prefiller.connector().stats().expired_requests, 0u);
  EXPECT_EQ(prefiller.connector().stats().late_notifications, 0u);
  EXPECT_EQ(decoder.connector().stats().failed_notifications, 0u);
  EXPECT_EQ(decoder.connector().stats().failed_transfers, 2u);
}

TEST_F(NixlConnectorTest, BlocksAreCopiedFromSharedMemory) {
  KvTransferConfig shared = config();
  shared.transport = KvTransferConfig::Transport::kShm;
  NixlTestWorker prefiller(loop, config(), {}, shared_name("p")), decoder(loop, shared);
  hand_over(prefiller, decoder, 1, 5);
  hand_over(prefiller, decoder, 2, 80);
  EXPECT_EQ(decoder.connector().stats().transfers, 2u);
}

TEST_F(NixlConnectorTest, ACopyOfWhatIsNotOfferedIsNotTaken) {
  KvTransferConfig shared = config();
  shared.transport = KvTransferConfig::Transport::kShm;
  NixlTestWorker prefiller(loop, config(), {}, shared_name("q")), decoder(loop, shared);
  const NixlTestPrompt prompt(5, 1);
  const std::string params = prefiller.prefill(1, prompt);
  decoder.plan(1, prompt, params);
  EXPECT_EQ(decoder.fetch(1, 0, 5).blocks, 5u);
  loop.run_until([&] { return prefiller.released.count(1) > 0; });
  // The bytes are still there. Nobody holds them any more.
  decoder.plan(2, prompt, params);
  EXPECT_EQ(decoder.fetch(2, 0, 5, 100).blocks, 0u);
  decoder.plan(3, NixlTestPrompt(5, 3), prefiller.prefill(2, prompt));
  EXPECT_EQ(decoder.fetch(3, 0, 5, 100).blocks, 0u);
}

TEST_F(NixlConnectorTest, WithoutSharedMemoryBlocksComeOverTcp) {
  KvTransferConfig shared = config();
  shared.transport = KvTransferConfig::Transport::kShm;
  NixlTestWorker prefiller(loop), decoder(loop, shared);
  hand_over(prefiller, decoder, 1, 5);
}

TEST_F(NixlConnectorTest, ByLayersTheFirstOneIsTold) {
  for (const bool from_shared_memory : {false, true}) {
    KvTransferConfig layered = config();
    layered.pipelining = true;
    if (from_shared_memory) layered.transport = KvTransferConfig::Transport::kShm;
    NixlTestWorker prefiller(loop, config(), {}, shared_name("l")), decoder(loop, layered);
    hand_over(prefiller, decoder, 1, 80);
    EXPECT_EQ(decoder.fetching[1], 1);
  }
}

TEST_F(NixlConnectorTest, InInt8HalfTheBytesTravelAndTheBoundHolds) {
  KvTransferConfig packed = config();
  packed.compress = true;
  for (const bool by_layers : {false, true}) {
    packed.pipelining = by_layers;
    NixlTestWorker prefiller(loop), decoder(loop, packed);
    const NixlTestPrompt prompt(40, 1);
    decoder.plan(1, prompt, prefiller.prefill(1, prompt));
    ASSERT_EQ(decoder.fetch(1, 0, 40).blocks, 40u) << decoder.fetched[1].problem;
    const KvLayout& layout = decoder.memory().layout();
    EXPECT_EQ(decoder.connector().stats().bytes,
              40 * layout.layers * int8_slice_bytes(layout.slice_bytes()));
    std::vector<std::byte> right(layout.block_bytes());
    bool differs = false;
    for (uint32_t block = 0; block < 40; ++block) {
      fill_kv_block(prompt.blocks[block], right);
      const std::span<std::byte> there = decoder.memory().block(block);
      for (size_t i = 0; i < right.size(); i += 2) {
        uint16_t sent = 0, got = 0;
        std::memcpy(&sent, &right[i], 2);
        std::memcpy(&got, &there[i], 2);
        differs = differs || sent != got;
        ASSERT_LE(std::abs(half_to_float(sent) - half_to_float(got)), int8_error_bound(2));
      }
    }
    EXPECT_TRUE(differs) << "nothing was compressed";
  }
}

// Bytes count `scale` times on a link, which both ends have: so this waits a while, and is right.
TEST_F(NixlConnectorTest, AShapedLinkChangesNothingButTheTime) {
  KvTransferConfig shaped = config();
  shaped.link = {.gb_per_s = 20, .latency = std::chrono::milliseconds(1)};
  NixlTestWorker prefiller(loop, shaped), decoder(loop, shaped);
  hand_over(prefiller, decoder, 1, 80);
  const auto records = decoder.connector().take_records();
  ASSERT_EQ(records.size(), 1u);
  // 80 blocks of 1,024 bytes, 1,024 times: 84 MB.
  EXPECT_GE(records[0].time, std::chrono::milliseconds(5));
}

TEST_F(NixlConnectorTest, AWorkerCanFetchFromItself) {
  NixlTestWorker worker(loop);
  const NixlTestPrompt prompt(5, 1);
  worker.plan(2, prompt, worker.prefill(1, prompt, 100));
  EXPECT_EQ(worker.fetch(2, 0, 5).blocks, 5u);
  EXPECT_TRUE(worker.holds(prompt, 0, 5));
}

TEST_F(NixlConnectorTest, APortThatIsTakenRefusesToStart) {
  NixlTestWorker prefiller(loop);
  KvTransferConfig taken = config();
  taken.side_channel_port =
      read_nixl_leg_params(prefiller.prefill(1, NixlTestPrompt(1, 1))).handoff.port;
  const auto made = make_nixl_connector(taken, "m", prefiller.memory(), loop.loop(), prefiller);
  ASSERT_FALSE(made.ok());
  EXPECT_THAT(made.error().message, HasSubstr("VLLM_NIXL_SIDE_CHANNEL_PORT"));
  EXPECT_THAT(made.error().message, HasSubstr("in use"));
}

}  // namespace
}  // namespace kvasir
