#include "kvmanager/cache_manager.h"

#include <gtest/gtest.h>

#include "kvindex/chain_index.h"
#include "kvmanager/answers.h"
#include "kvmanager/cache_manager_fixture.h"

namespace kvasir {
namespace {

constexpr std::string_view kTutorialQuestion = R"({
  "prompt": "Tell me about machine learning",
  "prompt_blocks": ["sha256:abc123...", "sha256:def456...", "sha256:ghi789..."],
  "candidate_pods": ["vllm-decode-pod-1", "vllm-decode-pod-2", "vllm-decode-pod-3"]
})";

std::string created(std::string_view pod, std::string_view hash, std::string_view more = "") {
  return R"({"event_type":"BLOCK_CREATED","pod_id":")" + std::string(pod) + R"(","block_hash":")" +
         std::string(hash) + R"(","num_tokens":64)" + std::string(more) + "}";
}
std::string evicted(std::string_view pod, std::string_view hash, std::string_view more = "") {
  return R"({"event_type":"BLOCK_EVICTED","pod_id":")" + std::string(pod) + R"(","block_hash":")" +
         std::string(hash) + "\"" + std::string(more) + "}";
}

TEST(CacheManager, TheTutorialsPodsGetTheTutorialsScores) {
  ManagedFleet fleet;
  for (const char* hash : {"sha256:abc123...", "sha256:def456...", "sha256:ghi789..."}) {
    fleet.json(created("vllm-decode-pod-1", hash));
  }
  fleet.json(created("vllm-decode-pod-2", "sha256:abc123..."));
  fleet.json(created("vllm-decode-pod-2", "sha256:def456..."));
  fleet.json(created("vllm-decode-pod-3", "sha256:ghi789..."));
  EXPECT_EQ(score_json(fleet.score(kTutorialQuestion)),
            "{\"scores\":{"
            "\"vllm-decode-pod-1\":{\"cache_hit_rate\":1.0,\"blocks_present\":3,\"blocks_total\":3,"
            "\"score\":100.0,\"cache_size_mb\":null,\"set_hit_rate\":1.0,\"gpu_hit_rate\":null},"
            "\"vllm-decode-pod-2\":{\"cache_hit_rate\":0.6667,\"blocks_present\":2,"
            "\"blocks_total\":3,\"score\":66.6667,\"cache_size_mb\":null,\"set_hit_rate\":0.6667,"
            "\"gpu_hit_rate\":null},"
            "\"vllm-decode-pod-3\":{\"cache_hit_rate\":0.0,\"blocks_present\":0,\"blocks_total\":3,"
            "\"score\":0.0,\"cache_size_mb\":null,\"set_hit_rate\":0.3333,\"gpu_hit_rate\":null}},"
            "\"recommendation\":\"vllm-decode-pod-1\"}\n");
  // Whoever only carries the events is no pod.
  EXPECT_EQ(fleet.manager->state().pods.size(), 3u);
  EXPECT_EQ(fleet.probe.pods.size(), 3u);
}

// What the tutorial's events make of a pod's one block (its lines 1519 to 1536).
TEST(CacheManager, ABlockIsThereFromItsFirstLayerToItsFirstEviction) {
  const std::string layer_0 = R"(,"layer_id":0,"cache_size_bytes":100)";
  const std::string layer_1 = R"(,"layer_id":1,"cache_size_bytes":100)";
  struct Case {
    std::string name;
    std::vector<std::string> events;
    uint64_t blocks;
    std::optional<uint64_t> bytes;
  };
  const std::string updated =
      R"({"event_type":"BLOCK_UPDATED","pod_id":"p","block_hash":"h","cache_size_bytes":70})";
  const Case cases[] = {
      {"created", {created("p", "h")}, 1, std::nullopt},
      {"created twice", {created("p", "h"), created("p", "h")}, 1, std::nullopt},
      {"of two layers", {created("p", "h", layer_0), created("p", "h", layer_1)}, 1, 200},
      {"the same layer again", {created("p", "h", layer_0), created("p", "h", layer_0)}, 1, 100},
      {"evicted", {created("p", "h", layer_0), evicted("p", "h")}, 0, 0},
      {"of two layers, one evicted",
       {created("p", "h", layer_0), created("p", "h", layer_1),
        evicted("p", "h", ",\"layer_id\":0")},
       0,
       0},
      {"both layers evicted",
       {created("p", "h", layer_0), created("p", "h", layer_1),
        evicted("p", "h", ",\"layer_id\":0"), evicted("p", "h", ",\"layer_id\":1")},
       0,
       0},
      {"evicted before", {evicted("p", "h"), created("p", "h")}, 1, std::nullopt},
      {"created again", {created("p", "h"), evicted("p", "h"), created("p", "h")}, 1, std::nullopt},
      {"updated", {created("p", "h", layer_0), updated}, 1, 70},
      {"updated, and not there", {updated}, 0, std::nullopt},
      {"another pod's eviction", {created("p", "h"), evicted("q", "h")}, 1, std::nullopt},
      {"no size",
       {created("p", "h", R"(,"cache_size_bytes":18446744073709551615)")},
       1,
       std::nullopt},
  };
  for (const Case& each : cases) {
    ManagedFleet fleet;
    for (const std::string& event : each.events) fleet.json(event);
    const std::optional<PodState> pod = fleet.manager->pod_state("p");
    ASSERT_TRUE(pod) << each.name;
    EXPECT_EQ(pod->blocks, each.blocks) << each.name;
    EXPECT_EQ(pod->bytes, each.bytes) << each.name;
  }
}

TEST(CacheManager, AnEventWithoutAPodIsOfTheTopics) {
  ManagedFleet fleet;
  fleet.json(R"([{"event_type":"BLOCK_CREATED","block_hash":"h"}])", "kv@10.0.0.7:8000@my/model");
  EXPECT_TRUE(fleet.manager->pod_state("10.0.0.7:8000"));
}

TEST(CacheManager, TokensAreScoredByTheirPrefix) {
  ManagedFleet fleet;
  const KvSourceId a = fleet.publisher("kv@a@m");
  const KvSourceId b = fleet.publisher("kv@b@m");
  fleet.store(a, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  fleet.store(b, {1, 2, 3, 4}, 10);
  fleet.store(b, {1, 2, 3, 4}, 20, "Alice");
  const ScoreReport report = fleet.score(R"({"token_ids":[1,2,3,4,5,6,7,8,9,10,11,12,13]})");
  ASSERT_EQ(report.pods.size(), 2u);
  EXPECT_EQ(report.pods[0].blocks_present, 2u);
  EXPECT_EQ(report.pods[0].blocks_total, 3u);
  EXPECT_EQ(report.pods[1].blocks_present, 1u);
  EXPECT_EQ(report.best, 0u);
  // The adapter by its own field, or as the model.
  for (const char* question :
       {R"({"prompt":[1,2,3,4],"lora":"Alice","candidate_pods":["b","a"]})",
        R"({"prompt":[1,2,3,4],"model":"Alice","candidate_pods":["b","a"]})"}) {
    const ScoreReport of_alice = fleet.score(question);
    EXPECT_EQ(of_alice.pods[0].blocks_present, 1u) << question;
    EXPECT_EQ(of_alice.pods[1].blocks_present, 0u) << question;
  }
  EXPECT_EQ(fleet.score(R"({"token_ids":[1,2,3,4],"lora":"Bob"})").pods[1].blocks_present, 0u);
  EXPECT_EQ(fleet.score(R"({"token_ids":[1,2,3,4],"cache_salt":"s"})").best, std::nullopt);
}

TEST(CacheManager, BlocksOfRealEnginesAreFoundByTheirNames) {
  ManagedFleet fleet;
  const KvSourceId a = fleet.publisher("kv@a@m");
  fleet.store(a, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 10);
  fleet.remove(a, {11});
  const ScoreReport report = fleet.score(R"({"prompt_blocks":[10,11,12]})");
  EXPECT_EQ(report.pods[0].blocks_present, 1u);
  EXPECT_NEAR(*report.pods[0].set_rate, 2.0 / 3, 1e-9);
}

TEST(CacheManager, WhatIsNotKnownIsNullWithTheReason) {
  ManagedFleet fleet;
  const KvSourceId a = fleet.publisher("kv@a@m");
  fleet.store(a, {1, 2, 3, 4}, 10);
  fleet.json(created("named", "h"));
  struct Case {
    const char* question;
    const char* reason;
  };
  const Case cases[] = {
      {R"({"token_ids":[1,2,3,4],"candidate_pods":["nobody"]})", "unknown pod"},
      {R"({"prompt":"text","candidate_pods":["a"]})",
       "no tokenizer for the prompt's text: send token_ids, or start the manager with --tokenizer "
       "FILE"},
      {R"({"messages":[],"candidate_pods":["a"]})",
       "a conversation cannot be tokenized here: send token_ids"},
      {R"({"prompt":["a","b"],"candidate_pods":["a"]})",
       "the prompt is neither a text nor one list of token ids: send token_ids"},
      {R"({"token_ids":[1,2,3],"candidate_pods":["a"]})", "the prompt is shorter than a block"},
      {R"({"token_ids":[1,2,3,4],"candidate_pods":["named"]})",
       "it announces blocks without their tokens"},
  };
  for (const Case& each : cases) {
    const ScoreReport report = fleet.score(each.question);
    EXPECT_EQ(report.pods[0].reason, each.reason) << each.question;
    EXPECT_FALSE(report.pods[0].hit_rate) << each.question;
  }
  fleet.manager->set_tokenizer([](std::string_view, std::vector<uint32_t>&) { return false; });
  EXPECT_EQ(fleet.score(R"({"prompt":"text","candidate_pods":["a"]})").pods[0].reason,
            "the prompt's text cannot be tokenized: send token_ids");
}

// By tokens and by names alike.
TEST(CacheManager, WhyNothingExactIsKnownIsSaid) {
  struct Case {
    KvFreshness freshness;
    std::optional<bool> connected;
    bool stores;
    const char* reason;
  };
  const Case cases[] = {
      {KvFreshness::kNothingYet, false, false, "its engine is not reached"},
      {KvFreshness::kNothingYet, true, false, "no event of it came yet"},
      {KvFreshness::kUnusable, true, true, "none of its engine's events can be used"},
      {KvFreshness::kStale, false, true, "the connection to its engine is lost"},
      {KvFreshness::kStale, true, true, "events were lost, and not made up for"},
      {KvFreshness::kStale, std::nullopt, true, "events were lost, and not made up for"},
  };
  for (const Case& each : cases) {
    ManagedFleet fleet;
    fleet.store(fleet.publisher("kv@b@m"), {1, 2, 3, 4}, 10);
    const KvSourceId a = *fleet.manager->add_source(*fleet.manager->list_pod("a"), 0, "a");
    if (each.stores) fleet.store(a, {1, 2, 3, 4}, 10);
    fleet.manager->set_freshness(a, each.freshness);
    if (each.connected) fleet.manager->set_connected(a, *each.connected);
    for (const char* question : {R"({"token_ids":[1,2,3,4],"candidate_pods":["a"]})",
                                 R"({"prompt_blocks":[10],"candidate_pods":["a"]})"}) {
      EXPECT_EQ(fleet.score(question).pods[0].reason,
                "nothing exact is known of it: " + std::string(each.reason))
          << question;
    }
  }
  ManagedFleet silent;  // it is known to hold nothing
  silent.manager->set_freshness(*silent.manager->add_source(*silent.manager->list_pod("a"), 0, "a"),
                                KvFreshness::kExact);
  EXPECT_EQ(silent.score(R"({"token_ids":[1,2,3,4]})").pods[0].reason,
            "nothing exact is known of it: no engine has said how large its blocks are");
}

TEST(CacheManager, EqualTokensOfAnotherModelAreNotTheSameBlocks) {
  ManagedFleet fleet;
  fleet.store(fleet.publisher("kv@a@big"), {1, 2, 3, 4}, 10);
  fleet.store(fleet.publisher("kv@b@small"), {1, 2, 3, 4}, 10);
  fleet.store(fleet.publisher("c"), {1, 2, 3, 4}, 10);  // says nothing of models
  fleet.store(fleet.publisher("kv@d@big"), {1, 2, 3, 4}, 10, "Alice");
  struct Case {
    const char* model;
    std::vector<std::optional<uint64_t>> present;  // of a, b, c and d
  };
  const std::optional<uint64_t> null;
  const Case cases[] = {
      {"", {1, 1, 1, 0}},
      {"big", {1, null, 1, 0}},
      {"small", {null, 1, 1, null}},
      {"unknown", {null, null, 1, null}},
      {"Alice", {0, 0, 0, 1}},
  };
  for (const Case& each : cases) {
    const ScoreReport report =
        fleet.score(R"({"token_ids":[1,2,3,4],"model":")" + std::string(each.model) + "\"}");
    const ScoreReport by_names =
        fleet.score(R"({"prompt_blocks":[10],"model":")" + std::string(each.model) + "\"}");
    MatchQuestion question;
    question.block_tokens = 4;
    question.model = each.model;
    question.contents = {block_content(std::vector<uint32_t>{1, 2, 3, 4})};
    const MatchAnswer match = fleet.manager->match(question);
    for (size_t i = 0; i < each.present.size(); ++i) {
      const std::string where = std::string(each.model) + " at " + report.pods[i].pod;
      EXPECT_EQ(report.pods[i].blocks_present, each.present[i]) << where;
      EXPECT_EQ(report.pods[i].reason,
                each.present[i] ? std::string_view() : "its engine serves another model")
          << where;
      EXPECT_EQ(by_names.pods[i].blocks_present.has_value(), each.present[i].has_value()) << where;
      EXPECT_EQ(match.pods[i].known, each.present[i].has_value()) << where;
    }
  }
  // An adapter that no engine has named yet is still none of the model's.
  EXPECT_EQ(fleet.score(R"({"token_ids":[1,2,3,4],"model":"Bob","lora":"Bob"})").pods[0].hit_rate,
            0.0);
}

TEST(CacheManager, AConnectionThatIsNotThereIsSaid) {
  ManagedFleet fleet;
  const KvSourceId a = fleet.publisher("kv@a@m");
  fleet.store(a, {1, 2, 3, 4}, 10);
  EXPECT_EQ(fleet.manager->pod_state("a")->connected, std::nullopt);
  fleet.manager->set_connected(a, true);
  EXPECT_EQ(fleet.manager->pod_state("a")->connected, true);
  fleet.manager->set_connected(a, false);
  EXPECT_EQ(fleet.manager->pod_state("a")->connected, false);
  EXPECT_NE(pod_json(*fleet.manager->pod_state("a"), {}).find("\"connected\":false"),
            std::string::npos);
  fleet.manager->remove_source(a);
  EXPECT_EQ(fleet.manager->pod_state("a")->connected, std::nullopt);
}

TEST(CacheManager, ATokenizerMakesTokensOfText) {
  ManagedFleet fleet;
  fleet.store(fleet.publisher("kv@a@m"), {1, 2, 3, 4}, 10);
  fleet.manager->set_tokenizer([](std::string_view text, std::vector<uint32_t>& tokens) {
    for (const char letter : text) tokens.push_back(static_cast<uint32_t>(letter - '0'));
    return true;
  });
  EXPECT_EQ(fleet.score(R"({"prompt":"12345"})").pods[0].blocks_present, 1u);
}

TEST(CacheManager, TheBinaryQuestionIsAnsweredAsTheJsonOneIs) {
  ManagedFleet fleet;
  fleet.store(fleet.publisher("kv@a@m"), {1, 2, 3, 4, 5, 6, 7, 8}, 10, "Alice");
  MatchQuestion question;
  question.block_tokens = 4;
  question.model = "Alice";
  const std::vector<uint32_t> tokens = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  for (size_t i = 0; i < 3; ++i) {
    question.contents.push_back(block_content(std::span(tokens).subspan(i * 4, 4)));
  }
  const MatchAnswer all = fleet.manager->match(question);
  ASSERT_EQ(all.pods.size(), 1u);
  EXPECT_EQ(all.pods[0], (MatchAnswer::Pod{"a", true, 8, 8}));
  question.pods = {"nobody", "a"};
  const MatchAnswer named = fleet.manager->match(question);
  EXPECT_EQ(named.pods[0], (MatchAnswer::Pod{"nobody", false, 0, 0}));
  EXPECT_EQ(named.pods[1].tokens, 8u);
}

TEST(CacheManager, TheStateIsMeasuredOrNull) {
  ManagedFleet fleet;
  EXPECT_EQ(state_json(fleet.manager->state(), {}, 0).substr(0, 150),
            std::string("{\"total_blocks\":0,\"unique_blocks\":0,\"total_pods\":0,"
                        "\"average_cache_utilization\":null,\"global_hit_rate\":null,"
                        "\"cache_size_total_gb\":null,\"last_updated\":null,")
                .substr(0, 150));
  const KvSourceId a = fleet.publisher("kv@a@m");
  const KvSourceId b = fleet.publisher("kv@b@m");
  fleet.store(a, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  fleet.store(b, {1, 2, 3, 4}, 10);
  fleet.clock.advance(std::chrono::seconds(5));
  fleet.score(R"({"token_ids":[1,2,3,4,5,6,7,8]})");
  const FleetState state = fleet.manager->state();
  EXPECT_EQ(state.blocks, 3u);
  EXPECT_EQ(state.unique_blocks, 2u);
  EXPECT_EQ(state.hit_rate, 1.0);
  EXPECT_EQ(state.pods[1].hit_rate, 0.5);
  EXPECT_EQ(state.last_event_s, 5.0);
  EXPECT_EQ(state.bytes, std::nullopt);
  EXPECT_EQ(state.events.created, 3u);
}

TEST(CacheManager, WhatEnginesDoNotReportCanBeSaid) {
  CacheManagerOptions options;
  options.pod_blocks = 8;
  options.block_bytes = 1000;
  ManagedFleet fleet(options);
  fleet.store(fleet.publisher("kv@a@m"), {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  const std::optional<PodState> pod = fleet.manager->pod_state("a");
  EXPECT_EQ(pod->utilization, 0.25);
  EXPECT_EQ(pod->bytes, 2000u);
}

TEST(CacheManager, OnlyPodsOfWhichBlocksAreKnownFillTheirRoom) {
  CacheManagerOptions options;
  options.pod_blocks = 2;
  ManagedFleet fleet(options);
  ASSERT_TRUE(fleet.manager->list_pod("never heard"));
  fleet.store(fleet.publisher("kv@a@m"), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}, 10);
  fleet.json(created("named", "h"));
  EXPECT_EQ(fleet.manager->pod_state("never heard")->utilization, std::nullopt);
  EXPECT_EQ(fleet.manager->pod_state("a")->utilization, 1.5) << "--pod-blocks is too small";
  EXPECT_EQ(fleet.manager->pod_state("named")->utilization, 0.5);
  EXPECT_EQ(fleet.manager->state().utilization, 1.0);
}

TEST(CacheManager, APodIsAsSureAsItsRanksTogether) {
  using enum KvFreshness;
  const std::pair<std::vector<KvFreshness>, std::optional<KvFreshness>> cases[] = {
      {{}, std::nullopt},
      {{kExact}, kExact},
      {{kExact, kExact}, kExact},
      {{kExact, kNothingYet}, kIncomplete},
      {{kNothingYet, kExact}, kIncomplete},
      {{kExact, kUnusable}, kIncomplete},
      {{kExact, kIncomplete}, kIncomplete},
      {{kNothingYet, kUnusable}, kUnusable},
      {{kNothingYet, kNothingYet}, kNothingYet},
      {{kExact, kStale}, kStale},
      {{kStale, kNothingYet}, kStale},
  };
  for (const auto& [ranks, together] : cases) {
    ManagedFleet fleet;
    const EndpointId pod = *fleet.manager->list_pod("a");
    for (uint32_t rank = 0; rank < ranks.size(); ++rank) {
      const KvSourceId source = *fleet.manager->add_source(pod, rank, "a");
      fleet.manager->set_freshness(source, ranks[rank]);
    }
    const std::optional<PodState> state = fleet.manager->pod_state("a");
    EXPECT_EQ(state->freshness, together) << ranks.size();
  }
}

TEST(CacheManager, UniqueBlocksAreNeverMoreThanAll) {
  CacheManagerOptions options;
  ManagedFleet fleet(options, std::make_unique<ChainIndex>(options.tracker.index));
  const KvSourceId a = fleet.publisher("kv@a@m");
  fleet.store(a, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  fleet.manager->clear(a);  // the index tidies up later
  EXPECT_EQ(fleet.manager->state().unique_blocks, 0u);
  fleet.store(a, {9, 10, 11, 12}, 20);
  EXPECT_EQ(fleet.manager->state().blocks, 1u);
  EXPECT_EQ(fleet.manager->state().unique_blocks, 1u);
}

TEST(CacheManager, EvictionsAreCountedOverAMinute) {
  ManagedFleet fleet;
  const KvSourceId a = fleet.publisher("kv@a@m");
  fleet.store(a, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  fleet.manager->tick();
  EXPECT_FALSE(fleet.manager->pod_state("a")->eviction_rate);
  fleet.remove(a, {10, 11});
  fleet.clock.advance(std::chrono::seconds(4));
  fleet.manager->tick();
  EXPECT_EQ(fleet.manager->pod_state("a")->eviction_rate, 0.5);
  for (int i = 0; i < 20; ++i) {
    fleet.clock.advance(std::chrono::seconds(4));
    fleet.manager->tick();
  }
  EXPECT_EQ(fleet.manager->pod_state("a")->eviction_rate, 0.0);
}

TEST(CacheManager, TopBlocksAreThoseAskedForMostThatThePodHas) {
  ManagedFleet fleet;
  fleet.json(created("p", "sha256:a"));
  fleet.json(created("p", "sha256:b"));
  fleet.score(R"({"prompt_blocks":["sha256:a","sha256:b","sha256:c"]})");
  fleet.score(R"({"prompt_blocks":["sha256:b"]})");
  const auto top = fleet.manager->top_blocks(fleet.manager->pod_state("p")->known.id);
  ASSERT_EQ(top.size(), 2u);
  EXPECT_EQ(top[0].text, "sha256:b");
  EXPECT_EQ(top[0].count, 2u);
  EXPECT_EQ(top[1].text, "sha256:a");
}

TEST(CacheManager, DigestsAreEqualWhereTheSameIsKnown) {
  ManagedFleet first, second;
  for (ManagedFleet* fleet : {&first, &second}) {
    const KvSourceId b = fleet == &first ? fleet->publisher("kv@b@m") : KvSourceId{};
    const KvSourceId a = fleet->publisher("kv@a@m");
    fleet->store(a, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
    fleet->json(created("p", "h"));
    if (fleet == &first) fleet->manager->remove_source(b);
  }
  KvDigests one = first.manager->digests();
  one.erase("b");
  EXPECT_EQ(one, second.manager->digests());
  EXPECT_EQ(one.at("a").blocks, 2u);
  // One lost event.
  second.remove(KvSourceId{1}, {11});
  EXPECT_NE(one.at("a").digest, second.manager->digests().at("a").digest);
}

TEST(CacheManager, BadMessagesAreCountedAndSaid) {
  ManagedFleet fleet;
  const KvSourceId a = fleet.publisher("kv@a@m");
  fleet.json("{\"event_type\":");
  EXPECT_FALSE(fleet.manager->apply(a, "\xc1", fleet.clock.now()));
  EXPECT_EQ(fleet.manager->state().events.bad_messages, 2u);
  // One message of which two events are none.
  fleet.json(R"([{"event_type":"NONE"},7,)" + created("p", "h") + "]");
  EXPECT_EQ(fleet.manager->state().events.bad_messages, 3u);
  EXPECT_EQ(fleet.probe.bad.size(), 4u);
  EXPECT_EQ(fleet.manager->pod_state("p")->blocks, 1u);
  fleet.probe.bad.resize(2);
  ASSERT_EQ(fleet.probe.bad.size(), 2u);
  EXPECT_EQ(fleet.probe.bad[1].substr(0, 3), "a: ");
}

TEST(CacheManager, EventsAreToldOneByOneToWhoWantsThem) {
  ManagedFleet fleet;
  fleet.probe.wants = true;
  const KvSourceId a = fleet.publisher("kv@a@m");
  fleet.store(a, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  fleet.remove(a, {11});
  fleet.json(created("p", "h"));
  EXPECT_EQ(fleet.probe.events, (std::vector<std::string>{"BLOCK_CREATED a", "BLOCK_CREATED a",
                                                          "BLOCK_EVICTED a", "BLOCK_CREATED p"}));
}

TEST(CacheManager, WhoCameFirstKeepsItsPlaceUntilItsConnectionEnds) {
  CacheManagerOptions options;
  options.tracker.endpoints_max = 12;  // 3 pods
  ManagedFleet fleet(options);
  std::vector<EndpointId> departed;
  fleet.manager->set_departed([&](EndpointId pod) { departed.push_back(pod); });
  const KvSourceId a = fleet.publisher("kv@a@m");
  const KvSourceId second_rank =
      *fleet.manager->add_source(fleet.manager->find("kv@a@m")->first, 1, "a");
  fleet.store(a, {1, 2, 3, 4}, 10);
  for (const KvSourceId source : {a, second_rank}) fleet.manager->set_connected(source, true);
  fleet.publisher("kv@old@m");  // whose connection nobody sees
  fleet.json(created("b", "h"));
  fleet.clock.advance(options.gone_after - std::chrono::seconds(10));
  fleet.json(created("b", "h"));
  for (int i = 0; i < 3000; ++i) {
    EXPECT_FALSE(fleet.manager->find("kv@name-" + std::to_string(i) + "@m"));
  }
  fleet.json(created("name", "h"));
  EXPECT_EQ(fleet.probe.unplaced, std::vector<std::string>{"name-0"}) << "told once";
  EXPECT_EQ(fleet.manager->state().events.unplaced_json, 1u);
  EXPECT_EQ(fleet.manager->pod_state("a")->blocks, 1u);
  // An idle engine is silent as well: only of a connection that nobody sees silence is a sign.
  fleet.manager->set_connected(second_rank, false);
  fleet.clock.advance(std::chrono::seconds(10));
  ASSERT_TRUE(fleet.manager->find("kv@c@m"));
  EXPECT_FALSE(fleet.manager->find("kv@d@m"));
  fleet.manager->set_connected(a, false);
  fleet.clock.advance(std::chrono::seconds(1));
  EXPECT_TRUE(fleet.manager->find("kv@d@m"));
  EXPECT_EQ(fleet.probe.forgotten, (std::vector<std::string>{"old", "a"}));
  EXPECT_EQ(departed.size(), 2u);
  EXPECT_EQ(fleet.manager->pod_state("b")->blocks, 1u);
}

TEST(CacheManager, WhoseConnectionEndedLongAgoIsForgotten) {
  CacheManagerOptions options;
  ManagedFleet fleet(options);
  std::vector<EndpointId> departed;
  fleet.manager->set_departed([&](EndpointId pod) { departed.push_back(pod); });
  ASSERT_TRUE(fleet.manager->list_pod("listed"));
  for (const char* topic : {"kv@ends@m", "kv@idle@m", "kv@listed@m", "kv@unseen@m"}) {
    const KvSourceId source = fleet.publisher(topic);
    fleet.store(source, {1, 2, 3, 4}, 10);
    if (topic != std::string_view("kv@unseen@m")) {
      fleet.manager->set_connected(source, topic == std::string_view("kv@idle@m"));
    }
  }
  fleet.clock.advance(options.gone_after - std::chrono::seconds(1));
  fleet.manager->tick();
  EXPECT_EQ(fleet.manager->state().pods.size(), 4u);
  fleet.clock.advance(std::chrono::seconds(1));
  fleet.manager->tick();
  EXPECT_EQ(fleet.probe.forgotten, (std::vector<std::string>{"ends"}));
  EXPECT_EQ(departed.size(), 1u);
  EXPECT_FALSE(fleet.manager->pod_state("ends"));
  EXPECT_EQ(fleet.manager->state().pods.size(), 3u);
}

TEST(CacheManager, NobodyIsMadeOfAMessageThatNamesNoPod) {
  ManagedFleet fleet;
  EXPECT_FALSE(fleet.manager->find(""));
  EXPECT_FALSE(fleet.manager->find("kv@@m"));
  const std::string event = R"({"event_type": "BLOCK_CREATED", "block_hash": "sha256:ab"})";
  fleet.json(event, "");
  EXPECT_TRUE(fleet.manager->state().pods.empty());
  EXPECT_EQ(fleet.manager->state().events.bad_messages, 1u);
  fleet.json(event, "pod-a");
  EXPECT_EQ(fleet.manager->state().pods.size(), 1u);
}

}  // namespace
}  // namespace kvasir
