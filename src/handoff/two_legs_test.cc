#include "handoff/two_legs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "base/random.h"
#include "base/virtual_executor_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;
using ::testing::Contains, ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty,
    ::testing::Not;
using Path = HandoffReport::Path;

constexpr std::string_view kBody = R"({"prompt":"p","max_tokens":9,"stream":true})";
constexpr std::string_view kAnswer =
    R"({"kv_transfer_params":{"do_remote_prefill":true,"remote_block_ids":[[1,2]],)"
    R"("remote_engine_id":"e","remote_request_id":"r","remote_host":"h","remote_port":5600}})";

class TwoLegsTest : public ::testing::Test, public TwoLegs::Carrier {
 public:
  void send_prefill(size_t leg, size_t candidate, std::string body) override {
    done_.push_back("prefill " + std::to_string(leg) + " at " + std::to_string(candidate));
    prefill_body_ = std::move(body);
  }
  std::optional<PrefillCandidate> another_candidate() override {
    if (more_ == 0) return std::nullopt;
    --more_;
    return PrefillCandidate{"10.0.1.1", 8000, 8998};
  }
  void end_prefill(size_t leg) override { done_.push_back("end prefill " + std::to_string(leg)); }
  void find_engine(size_t leg, size_t candidate) override {
    done_.push_back("find " + std::to_string(leg) + " at " + std::to_string(candidate));
  }
  void send_decode_first(std::string body) override {
    done_.push_back("decode first");
    decode_body_ = std::move(body);
  }
  void send_decode(std::string body) override {
    done_.push_back("decode");
    decode_body_ = std::move(body);
  }
  void end_decode() override { done_.push_back("end decode"); }
  void send_release(std::string body) override {
    done_.push_back("release");
    release_body_ = std::move(body);
  }
  void refuse(const LegRefusal& refusal) override {
    done_.push_back("refuse " + std::to_string(refusal.status) + " " + std::string(refusal.code));
  }
  void pass_on(size_t leg, int status, std::string_view body) override {
    done_.push_back("pass on " + std::to_string(leg) + ": " + std::to_string(status) + " " +
                    std::string(body));
  }

 protected:
  void start(size_t candidates) {
    std::vector<PrefillCandidate> workers;
    for (size_t i = 0; i < candidates; ++i) {
      workers.push_back({"10.0.0." + std::to_string(i), 8000, 8998});
    }
    legs_ = std::make_unique<TwoLegs>(options_, *bodies_, std::move(workers), 1000, 0xabc,
                                      executor_, *this);
    legs_->start();
  }
  void read(std::string_view body) { bodies_ = LegBodies::read(RequestApi::kCompletions, body); }
  void prefill_answers(size_t leg, int status, std::string_view body) {
    legs_->on_prefill_head(leg, status);
    legs_->on_prefill_body(leg, body.substr(0, 5));
    if (body.size() > 5) legs_->on_prefill_body(leg, body.substr(5));
    legs_->on_prefill_end(leg);
  }
  void prefill_fails(size_t leg) {
    legs_->on_prefill_failed(leg, LegFailure::kNotConnected, "connection refused");
  }
  void pass(Duration time) { executor_.run_until(executor_.now() + time); }
  std::vector<std::string> done() { return std::exchange(done_, {}); }
  const HandoffReport& report() const { return legs_->report(); }

  HandoffOptions options_;
  VirtualExecutor executor_;
  Result<LegBodies> bodies_ = LegBodies::read(RequestApi::kCompletions, kBody);
  std::unique_ptr<TwoLegs> legs_;
  std::vector<std::string> done_;
  size_t more_ = 0;  // candidates that are found when they are needed
  std::string prefill_body_, decode_body_, release_body_;
};

TEST_F(TwoLegsTest, WhatThePrefillerHandsOverReachesTheDecoderAsItStands) {
  start(2);
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0"));
  EXPECT_THAT(prefill_body_, HasSubstr(R"("stream":false)"));
  pass(milliseconds(70));
  prefill_answers(0, 200, kAnswer);
  EXPECT_THAT(done(), ElementsAre("decode"));
  EXPECT_EQ(decode_body_,
            R"({"prompt":"p","max_tokens":9,"stream":true,)" + std::string(kAnswer.substr(1)));
  legs_->on_decode_begun();
  EXPECT_EQ(report().path, Path::kTwoLegs);
  EXPECT_EQ(report().prefiller, 0u);
  EXPECT_EQ(report().prefill_time, milliseconds(70));
  EXPECT_EQ(report().blocks, 2u);
  legs_->on_client_left();
  EXPECT_THAT(done(), ElementsAre("end decode")) << "what was handed over is fetched by now";
}

TEST_F(TwoLegsTest, APrefillersRedirectIsItsFailureAndNotPassedOn) {
  start(2);
  prefill_answers(0, 307, "elsewhere");
  prefill_answers(1, 302, "elsewhere");
  EXPECT_THAT(done(),
              ElementsAre("prefill 0 at 0", "prefill 1 at 1", "refuse 502 prefill_upstream_error"));
}

TEST_F(TwoLegsTest, WithoutAPrefillerTheDecoderDoesBoth) {
  start(0);
  EXPECT_THAT(done(), ElementsAre("decode"));
  EXPECT_EQ(decode_body_, kBody);
  EXPECT_EQ(report().path, Path::kLocal);
}

// A decoder whose KV came from elsewhere has no probabilities of the prompt (vLLM ends on it), and
// an answer to go on from is kept by one worker.
TEST_F(TwoLegsTest, WhatOnlyTheDecoderCanAnswerGoesThereAlone) {
  for (const char* body :
       {R"({"prompt":"p","prompt_logprobs":2})", R"({"prompt":"p","echo":true,"logprobs":2})",
        R"({"input":"p","previous_response_id":"resp_1"})"}) {
    read(body);
    start(1);
    EXPECT_THAT(done(), ElementsAre("decode")) << body;
    EXPECT_EQ(decode_body_, body);
  }
  for (const char* body : {R"({"prompt":"p","prompt_logprobs":null,"echo":false,"logprobs":2})",
                           R"({"prompt":"p","echo":true})"}) {
    read(body);
    start(1);
    EXPECT_THAT(done(), ElementsAre("prefill 0 at 0")) << body;
  }
}

// What is handed over is of one prompt, and an engine would give its blocks to the others, too.
TEST_F(TwoLegsTest, SeveralPromptsAreTheDecodersAloneWhereOneHandoffIsOfOne) {
  const std::string several[] = {R"({"prompt":["a","b"]})", R"({"prompt":[[1,2],[3]]})",
                                 R"({"prompt":"a","prompt_embeds":"x"})",
                                 R"({"prompt":null,"prompt_embeds":["x","y"]})"};
  const std::string one[] = {R"({"prompt":["a"]})", R"({"prompt":[[1,2]]})", R"({"prompt":[1,2]})",
                             R"({"prompt":"a","n":2})", R"({"prompt":null,"prompt_embeds":["x"]})"};
  for (const KvDialect dialect :
       {KvDialect::kNixl, KvDialect::kNixlV2, KvDialect::kMooncake, KvDialect::kOffloading}) {
    options_.dialect = dialect;
    for (const std::string& body : several) {
      read(body);
      start(1);
      EXPECT_THAT(done(), ElementsAre("decode")) << body;
      EXPECT_EQ(decode_body_, body);
      EXPECT_EQ(report().path, Path::kLocal) << "which is counted";
      legs_->on_client_left();
      done();
    }
    for (const std::string& body : one) {
      read(body);
      start(1);
      EXPECT_THAT(done(), Not(ElementsAre("decode"))) << body;
    }
  }
  for (const KvDialect dialect : {KvDialect::kLmcache, KvDialect::kSharedStorage,
                                  KvDialect::kSglang, KvDialect::kP2p, KvDialect::kFolder}) {
    options_.dialect = dialect;
    read(several[0]);
    start(1);
    EXPECT_THAT(done(), Contains("prefill 0 at 0"))
        << "each prompt's blocks are found by themselves";
  }
}

TEST_F(TwoLegsTest, TheNextPrefillerIsAskedAsLongAsNoneAnswered) {
  start(4);
  prefill_fails(0);
  prefill_answers(1, 503, "busy");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "prefill 1 at 1", "prefill 2 at 2"));
  legs_->on_prefill_head(2, 200);
  legs_->on_prefill_failed(2, LegFailure::kBroken, "connection reset");
  EXPECT_THAT(done(), ElementsAre("refuse 502 prefill_upstream_error")) << "three are enough";
  EXPECT_EQ(report().path, Path::kRefused);
  EXPECT_EQ(report().prefills, 3u);
}

TEST_F(TwoLegsTest, AnotherPrefillerIsLookedForWhenItIsNeeded) {
  more_ = 1;
  start(1);
  prefill_fails(0);
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "prefill 1 at 1"));
  prefill_fails(1);
  EXPECT_THAT(done(), ElementsAre("refuse 502 prefill_upstream_error"));
  more_ = 9;
  start(1);
  prefill_fails(0), prefill_fails(1), prefill_fails(2);
  EXPECT_EQ(more_, 7u) << "three are enough, wherever they come from";
}

TEST_F(TwoLegsTest, BesideADoubtfulPrefillerAnotherIsAsked) {
  more_ = 9;
  start(1);
  legs_->on_prefill_doubtful(0);
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "prefill 1 at 1"));
  EXPECT_TRUE(report().hedged);
  legs_->on_prefill_doubtful(0), legs_->on_prefill_doubtful(1);
  EXPECT_THAT(done(), IsEmpty()) << "two at once are enough";
  prefill_answers(0, 200, kAnswer);
  EXPECT_THAT(done(), ElementsAre("end prefill 1", "decode")) << "it was well after all";
  legs_->on_prefill_doubtful(0);
  EXPECT_THAT(done(), IsEmpty());
  more_ = 0;
  start(1);
  legs_->on_prefill_doubtful(0);
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0")) << "nobody else is there";
}

TEST_F(TwoLegsTest, TheLastPrefillersOwnErrorIsTheClients) {
  start(1);
  prefill_answers(0, 429, "slow down");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "pass on 0: 429 slow down"));
}

TEST_F(TwoLegsTest, ByPolicyTheDecoderDoesBothWhenPrefillersFail) {
  options_.on_prefill_failure = HandoffOptions::OnPrefillFailure::kLocalDecode;
  start(2);
  prefill_fails(0);
  prefill_answers(1, 500, "{}");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "prefill 1 at 1", "decode"));
  EXPECT_EQ(decode_body_, kBody);
  EXPECT_EQ(report().path, Path::kLocal);
}

TEST_F(TwoLegsTest, WhatIsTheClientsFaultIsToldAtOnce) {
  start(3);
  prefill_answers(0, 400, R"({"error":{"message":"no"}})");
  EXPECT_THAT(done(),
              ElementsAre("prefill 0 at 0", R"(pass on 0: 400 {"error":{"message":"no"}})"));
}

TEST_F(TwoLegsTest, APrefillerHasSoMuchTimeForEachToken) {
  options_.prefill_deadline = seconds(1);
  options_.prefill_deadline_per_token = milliseconds(1);
  start(2);
  pass(milliseconds(1999));
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0"));
  pass(milliseconds(1));
  EXPECT_THAT(done(), ElementsAre("end prefill 0", "prefill 1 at 1"));
  pass(seconds(2));
  EXPECT_THAT(done(), ElementsAre("end prefill 1", "refuse 504 prefill_upstream_timeout"));
  prefill_answers(0, 200, kAnswer);
  EXPECT_THAT(done(), IsEmpty()) << "too late";
}

TEST_F(TwoLegsTest, ASecondOneIsAskedWhenTheFirstIsSlowAndTheFirstAnswerCounts) {
  options_.hedge_after = milliseconds(100);
  start(3);
  pass(milliseconds(100));
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "prefill 1 at 1"));
  prefill_fails(0);
  EXPECT_THAT(done(), IsEmpty()) << "the other one is on its way";
  prefill_answers(1, 200, kAnswer);
  EXPECT_THAT(done(), ElementsAre("decode"));
  EXPECT_TRUE(report().hedged);
  EXPECT_EQ(report().prefiller, 1u);
  pass(seconds(100));
  EXPECT_THAT(done(), IsEmpty());
}

TEST_F(TwoLegsTest, TheSlowerOneOfTwoIsEnded) {
  options_.hedge_after = milliseconds(100);
  start(2);
  pass(milliseconds(150));
  prefill_answers(0, 200, kAnswer);
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "prefill 1 at 1", "end prefill 1", "decode"));
}

TEST_F(TwoLegsTest, NothingHandedOverIsAPolicyAndNeverANull) {
  start(2);
  prefill_answers(0, 200, R"({"kv_transfer_params":null})");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "decode"));
  EXPECT_EQ(decode_body_, kBody);
  EXPECT_EQ(report().path, Path::kNoHandoff);

  options_.on_no_handoff = HandoffOptions::OnNoHandoff::kError;
  start(2);
  prefill_answers(0, 200, "{}");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "refuse 502 invalid_prefill_handoff"));
  start(2);
  prefill_answers(0, 200,
                  R"({"kv_transfer_params":{"do_remote_prefill":true,"remote_block_ids":[]}})");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "decode")) << "a prompt shorter than a block";
}

TEST_F(TwoLegsTest, AHandoffThatNoDecoderCanUseReachesNone) {
  for (const char* answer :
       {"data: {}", R"({"kv_transfer_params":{}})",
        R"({"kv_transfer_params":{"do_remote_prefill":true,"remote_block_ids":[1]}})"}) {
    start(3);
    prefill_answers(0, 200, answer);
    EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "refuse 502 invalid_prefill_handoff"))
        << answer;
    EXPECT_NE(report().problem, "");
  }
}

TEST_F(TwoLegsTest, AnAnswerWithoutEndIsRefused) {
  options_.prefill_answer_bytes_max = 1000;
  start(2);
  legs_->on_prefill_head(0, 200);
  legs_->on_prefill_body(0, std::string(1000, ' '));
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0"));
  legs_->on_prefill_body(0, " ");
  EXPECT_THAT(done(), ElementsAre("end prefill 0", "refuse 502 prefill_response_too_large"));
}

// Vector T8.
TEST_F(TwoLegsTest, AClientThatLeavesEndsBothLegs) {
  start(2);
  legs_->on_client_left();
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "end prefill 0"));
  prefill_answers(0, 200, kAnswer);
  EXPECT_THAT(done(), IsEmpty());

  start(2);
  prefill_answers(0, 200, kAnswer);
  legs_->on_client_left();
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "decode", "end decode", "release"));
  EXPECT_THAT(release_body_, HasSubstr(R"("max_tokens":1,)"));
  EXPECT_THAT(release_body_, HasSubstr(R"("remote_request_id":"r")"));
}

TEST_F(TwoLegsTest, ADecoderThatCannotBeReachedIsToldApart) {
  start(1);
  prefill_answers(0, 200, kAnswer);
  legs_->on_decode_failed(LegFailure::kNotConnected, "connection refused");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "decode", "refuse 503 decode_upstream_error"));
  start(1);
  prefill_answers(0, 200, kAnswer);
  legs_->on_decode_failed(LegFailure::kBroken, "connection reset");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "decode", "refuse 502 decode_upstream_error"));
}

TEST_F(TwoLegsTest, ASharedStoreNeedsNoHandoff) {
  options_.dialect = KvDialect::kSharedStorage;
  start(1);
  prefill_answers(0, 200, "data: {}\n\n");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "decode"));
  EXPECT_THAT(decode_body_, HasSubstr(R"("cache_hit_threshold":0)"));
}

TEST_F(TwoLegsTest, ConcurrentLegsAreTiedToEachOther) {
  options_.dialect = KvDialect::kSglang;
  start(2);
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "decode"));
  EXPECT_EQ(prefill_body_, decode_body_);
  EXPECT_THAT(
      decode_body_,
      HasSubstr(R"("bootstrap_host":"10.0.0.0","bootstrap_port":8998,"bootstrap_room":2748)"));
  prefill_fails(0);
  EXPECT_THAT(done(), ElementsAre("end decode", "prefill 1 at 1", "decode"));
  EXPECT_THAT(decode_body_, HasSubstr(R"("bootstrap_host":"10.0.0.1")"));
  prefill_answers(1, 400, "no");
  EXPECT_THAT(done(), ElementsAre("end decode", "pass on 1: 400 no"));

  start(1);
  legs_->on_decode_begun();
  prefill_answers(0, 500, "late");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "decode")) << "the answer has begun";
  EXPECT_EQ(report().path, Path::kTwoLegs);
}

TEST_F(TwoLegsTest, AListOfPromptsHasAListOfRooms) {
  options_.dialect = KvDialect::kSglang;
  read(R"({"prompt":["a","b"]})");
  start(1);
  EXPECT_EQ(decode_body_,
            R"({"prompt":["a","b"],"bootstrap_host":["10.0.0.0","10.0.0.0"],)"
            R"("bootstrap_port":[8998,8998],"bootstrap_room":[2748,2749]})");
  EXPECT_EQ(prefill_body_, decode_body_);
  read(R"({"prompt":[1,2,3]})");
  start(1);
  EXPECT_THAT(decode_body_, HasSubstr(R"("bootstrap_room":2748})")) << "one prompt, of tokens";
}

TEST_F(TwoLegsTest, MooncakeAsksWhichEngineItIsAndTiesBothLegs) {
  options_.dialect = KvDialect::kMooncake;
  start(2);
  EXPECT_THAT(done(), ElementsAre("find 0 at 0"));
  legs_->on_engine(0, {"e-1", 3});
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0", "decode"));
  EXPECT_THAT(prefill_body_,
              HasSubstr(R"("kv_transfer_params":{"do_remote_prefill":false,)"
                        R"("do_remote_decode":true,"transfer_id":"xfer-0000000000000abc-0"})"));
  EXPECT_THAT(
      decode_body_,
      HasSubstr(R"("kv_transfer_params":{"do_remote_prefill":true,"do_remote_decode":false,)"
                R"("transfer_id":"xfer-0000000000000abc-0",)"
                R"("remote_bootstrap_addr":"http://10.0.0.0:8998","remote_engine_id":"e-1"})"));
  prefill_fails(0);
  EXPECT_THAT(done(), ElementsAre("end decode", "find 1 at 1"));
  legs_->on_prefill_failed(1, LegFailure::kBroken, "no /query");
  EXPECT_THAT(done(), ElementsAre("refuse 502 prefill_upstream_error")) << "nothing to end";

  start(1);
  legs_->on_client_left();
  legs_->on_engine(0, {"e-1", 0});
  EXPECT_THAT(done(), ElementsAre("find 0 at 0", "end prefill 0"));
}

// Vector T9: the decoder is asked first, and the prompt is prefilled when it has too little of it.
TEST_F(TwoLegsTest, ASharedStoreIsLookedAtByTheDecoderFirst) {
  options_.dialect = KvDialect::kSharedStorage;
  constexpr std::string_view kAsked = R"({"prompt":"p","cache_hit_threshold":0.8})";
  read(kAsked);
  start(1);
  EXPECT_THAT(done(), ElementsAre("decode first"));
  EXPECT_EQ(decode_body_, kAsked);
  legs_->on_below_threshold();
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0"));
  EXPECT_THAT(prefill_body_, HasSubstr(R"("cache_hit_threshold":0,)"));
  prefill_answers(0, 200, "{}");
  EXPECT_THAT(done(), ElementsAre("decode"));
  EXPECT_THAT(decode_body_, HasSubstr(R"("cache_hit_threshold":0})"));

  start(1);
  legs_->on_decode_begun();
  legs_->on_below_threshold();
  EXPECT_THAT(done(), ElementsAre("decode first")) << "it had enough, and answers";
  EXPECT_EQ(report().path, Path::kLocal);
  start(0);
  EXPECT_THAT(done(), ElementsAre("decode")) << "nobody to prefill";
  start(1);
  legs_->on_decode_failed(LegFailure::kNotConnected, "x");
  EXPECT_THAT(done(), ElementsAre("decode first", "refuse 503 decode_upstream_error"));
}

TEST_F(TwoLegsTest, AWorkerThatMayBeBackSoonIsAskedAgain) {
  options_.prefill_retries_most = 2;
  options_.prefill_retry_backoff = milliseconds(200);
  start(2);
  prefill_answers(0, 503, "busy");
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0"));
  pass(milliseconds(199));
  EXPECT_THAT(done(), IsEmpty());
  pass(milliseconds(1));
  EXPECT_THAT(done(), ElementsAre("prefill 1 at 0"));
  prefill_fails(1);
  pass(milliseconds(200));
  EXPECT_THAT(done(), ElementsAre("prefill 2 at 0"));
  prefill_answers(2, 502, "x");
  EXPECT_THAT(done(), ElementsAre("prefill 3 at 1")) << "the next one, at once";
  prefill_answers(3, 429, "slow down");
  EXPECT_THAT(done(), ElementsAre("pass on 3: 429 slow down")) << "it says that it is too busy";
  pass(seconds(10));
  EXPECT_THAT(done(), IsEmpty());

  start(1);
  prefill_answers(0, 504, "x");
  legs_->on_client_left();
  pass(seconds(1));
  EXPECT_THAT(done(), ElementsAre("prefill 0 at 0"));
}

TEST_F(TwoLegsTest, WhoHasMoreOfThePromptIsTold) {
  const std::string source =
      R"("remote_kv_source":{"kv_request_id":"0000000000000abc","remote_host":"10.1.0.1",)"
      R"("remote_port":7777}})";
  for (const auto& [dialect, before] :
       std::vector<std::pair<KvDialect, std::string>>{
           {KvDialect::kOffloading, R"({"remote_decoder":{"kv_request_id":"0000000000000abc"},)"},
           {KvDialect::kNixlV2, R"("remote_host":null,"remote_port":null,)"}}) {
    options_.dialect = dialect;
    legs_ = std::make_unique<TwoLegs>(options_, *bodies_,
                                      std::vector<PrefillCandidate>{{"10.0.0.1", 8000, 7777}}, 1,
                                      0xabc, executor_, *this);
    legs_->pull_from({"10.1.0.1", 8000, 7777});
    legs_->start();
    EXPECT_THAT(prefill_body_, HasSubstr(before + source));
    legs_ = std::make_unique<TwoLegs>(options_, *bodies_, std::vector<PrefillCandidate>{}, 1, 0xabc,
                                      executor_, *this);
    legs_->pull_from({"10.1.0.1", 8000, 7777});
    legs_->start();
    EXPECT_THAT(decode_body_, HasSubstr(R"("kv_transfer_params":{)" + source));
  }
}

TEST_F(TwoLegsTest, OffloadingNamesEachWorkerToTheOther) {
  options_.dialect = KvDialect::kOffloading;
  start(1);
  EXPECT_THAT(
      prefill_body_,
      HasSubstr(R"("kv_transfer_params":{"remote_decoder":{"kv_request_id":"0000000000000abc"}})"));
  EXPECT_THAT(
      decode_body_,
      HasSubstr(
          R"("kv_transfer_params":{"remote_prefiller":)"
          R"({"kv_request_id":"0000000000000abc","remote_host":"10.0.0.0","remote_port":8998}})"));
}

// Whatever comes in whatever order: the client gets one thing, and nothing is left running.
TEST_F(TwoLegsTest, AnyOrderOfEventsEndsInOneWay) {
  Random random(11);
  for (int round = 0; round < 20'000; ++round) {
    options_ = {};
    constexpr KvDialect kDialects[] = {KvDialect::kNixlV2, KvDialect::kNixl, KvDialect::kSglang,
                                       KvDialect::kSharedStorage, KvDialect::kOffloading,
                                       KvDialect::kMooncake};
    options_.dialect = kDialects[random.below(6)];
    options_.prefill_retries_most = static_cast<uint32_t>(random.below(3));
    options_.prefill_retry_backoff = milliseconds(3);
    read(random.below(2) == 0 ? kBody : R"({"prompt":"p","cache_hit_threshold":1})");
    if (random.below(2) == 0) options_.hedge_after = milliseconds(5);
    if (random.below(2) == 0) {
      options_.on_prefill_failure = HandoffOptions::OnPrefillFailure::kLocalDecode;
    }
    options_.prefill_deadline = milliseconds(20);
    options_.prefill_deadline_per_token = Duration::zero();
    done_.clear();
    start(random.below(4));
    bool begun = false, answered = false, left = false;
    for (int i = 0; i < 12; ++i) {
      const size_t legs = report().prefills, sent = legs;
      const size_t leg = legs == 0 ? 0 : random.below(legs);
      const auto last = [this](std::string_view what) {
        return !done_.empty() && done_.back().starts_with(what);
      };
      switch (random.below(9)) {
        case 0:
          pass(milliseconds(random.below(15)));
          break;
        case 1:
          if (legs > 0 && !last("find")) prefill_answers(leg, 200, kAnswer);
          break;
        case 2:
          if (legs > 0 && !last("find")) prefill_answers(leg, random.below(2) == 0 ? 503 : 404, "x");
          break;
        case 3:
          if (legs > 0) prefill_fails(leg);
          break;
        case 4:
          if (last("decode") && !left) legs_->on_decode_begun(), begun = true;
          break;
        case 7:
          if (last("find")) legs_->on_engine(leg, {"e", 0});
          break;
        case 8:
          if (last("decode first") && !begun) {
            done_.push_back("end decode");
            legs_->on_below_threshold();
          }
          break;
        case 5:
          if (last("decode") && !begun) legs_->on_decode_failed(LegFailure::kBroken, "x");
          break;
        default:
          if (random.below(4) == 0) legs_->on_client_left(), left = true;
      }
      if (answered) {
        ASSERT_EQ(report().prefills, sent) << "a prefill is paid for once";
      }
      answered |= report().prefiller.has_value();
    }
    pass(seconds(10));
    const bool asks = options_.dialect == KvDialect::kMooncake;
    int told = 0, decodes = 0, running = 0;
    for (const std::string& what : done_) {
      told += what.starts_with("refuse") || what.starts_with("pass on");
      decodes += what == "decode" || what == "decode first" ? 1 : what == "end decode" ? -1 : 0;
      running += what.starts_with(asks ? "find" : "prefill") ? 1 : what.starts_with("end prefill") ? -1 : 0;
    }
    ASSERT_LE(told, 1);
    ASSERT_GE(decodes, 0);
    ASSERT_LE(decodes, 1);
    ASSERT_GE(running, 0);
    if (begun) {
      ASSERT_EQ(told, 0) << "an answer that has begun is only cut";
    }
    if (!left) {
      ASSERT_TRUE(told == 1 || decodes == 1)
          << "the client gets something, not " << ::testing::PrintToString(done_);
    }
  }
}

}  // namespace
}  // namespace kvasir
