#include "kvmanager/snapshot.h"

#include <gtest/gtest.h>

#include "kvmanager/answers.h"
#include "kvmanager/cache_manager_fixture.h"

namespace kvasir {
namespace {

KvSnapshot some_snapshot() {
  KvSnapshot snapshot;
  snapshot.adapters = {"Alice", ""};
  snapshot.sources = {{"a", 0, KvStreamPosition{7, 8, true}}, {"b", 3, std::nullopt}};
  snapshot.holders = {{0, 0, 16}, {1, 2, 32}};
  snapshot.blocks = "what the index says";
  return snapshot;
}

TEST(KvSnapshot, IsReadAsItWasWritten) {
  const KvSnapshot written = some_snapshot();
  const Result<KvSnapshot> read = read_snapshot(write_snapshot(written));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->adapters, written.adapters);
  EXPECT_EQ(read->sources, written.sources);
  EXPECT_EQ(read->holders, written.holders);
  EXPECT_EQ(read->blocks, written.blocks);
}

TEST(KvSnapshot, DamageIsNoticed) {
  const std::string whole = write_snapshot(some_snapshot());
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(read_snapshot(std::string_view(whole).substr(0, size))) << size;
  }
  for (size_t place = 0; place < whole.size(); ++place) {
    std::string damaged = whole;
    damaged[place] ^= 1;
    EXPECT_FALSE(read_snapshot(damaged)) << place;
  }
  KvSnapshot of_nobody = some_snapshot();
  of_nobody.holders[0].source = 2;
  EXPECT_EQ(read_snapshot(write_snapshot(of_nobody)).error().message,
            "a holder of a source that is not there");
}

TEST(KvSnapshot, ARestartedManagerKnowsTheSameOnceItsStreamsGoOn) {
  ManagedFleet before;
  const KvSourceId a = before.publisher("kv@a@m");
  before.store(a, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  before.store(a, {1, 2, 3, 4}, 20, "Alice");
  before.manager->set_position(a, KvStreamPosition{41, 42, true});
  before.publisher("kv@without position@m");

  ManagedFleet after;
  const Result<KvSnapshot> file = read_snapshot(write_snapshot(before.manager->snapshot()));
  ASSERT_TRUE(file);
  EXPECT_EQ(after.manager->load(*file).value(), 3u);
  const char* const question = R"({"token_ids":[1,2,3,4,5,6,7,8],"candidate_pods":["a"]})";
  EXPECT_EQ(after.score(question).pods[0].reason,
            "nothing exact is known of it: it is known from before, and of its engine nothing was "
            "heard since");

  // The feed adds the source, and asks where its events go on.
  const KvSourceId again = *after.manager->add_source(after.manager->find("kv@a@m")->first, 0, "a");
  EXPECT_EQ(after.manager->position(again), (KvStreamPosition{41, 42, true}));
  after.manager->set_freshness(again, KvFreshness::kExact);
  EXPECT_EQ(after.score(question).pods[0].blocks_present, 2u);
  EXPECT_EQ(after.score(R"({"token_ids":[1,2,3,4],"model":"Alice"})").pods[0].blocks_present, 1u);
  after.remove(again, {11});
  EXPECT_EQ(after.score(question).pods[0].blocks_present, 1u);
  before.remove(a, {11});
  EXPECT_EQ(after.manager->digests().at("a").digest, before.manager->digests().at("a").digest);
}

TEST(KvSnapshot, BlocksThatCannotBeReadAreAnError) {
  ManagedFleet fleet;
  EXPECT_FALSE(fleet.manager->load(some_snapshot()));
  EXPECT_EQ(fleet.manager->state().blocks, 0u);
}

TEST(KvSnapshot, WhatNoStreamGoesOnWithIsForgotten) {
  ManagedFleet before;
  const KvSourceId a = before.publisher("kv@a@m");
  before.store(a, {1, 2, 3, 4}, 10);
  before.manager->set_position(a, KvStreamPosition{41, 42, true});
  ManagedFleet after;
  EXPECT_EQ(after.manager->load(before.manager->snapshot()).value(), 1u);
  EXPECT_EQ(after.manager->state().blocks, 1u);
  after.manager->forget_unclaimed();
  EXPECT_EQ(after.manager->state().blocks, 0u);
  EXPECT_TRUE(after.manager->state().pods.empty());
  EXPECT_EQ(after.probe.forgotten, std::vector<std::string>{"a"});
}

TEST(KvSnapshot, APodOfTheFileIsStaleAndUnheardUntilAnEventComes) {
  ManagedFleet before;
  const KvSourceId a = before.publisher("kv@a@m");
  before.store(a, {1, 2, 3, 4}, 10);
  before.manager->set_position(a, KvStreamPosition{41, 42, true});
  ManagedFleet after;
  ASSERT_TRUE(after.manager->load(before.manager->snapshot()));
  after.clock.advance(std::chrono::minutes(1));
  const FleetState loaded = after.manager->state();
  ASSERT_EQ(loaded.pods.size(), 1u);
  EXPECT_EQ(loaded.pods[0].freshness, KvFreshness::kStale);
  EXPECT_EQ(loaded.pods[0].silent_s, std::nullopt);
  EXPECT_EQ(loaded.last_event_s, std::nullopt);
  const std::string json = state_json(loaded, {}, 0);
  EXPECT_NE(json.find("\"last_updated\":null,\"pods_healthy\":0,\"pods_stale\":1,"),
            std::string::npos)
      << json;
  EXPECT_TRUE(after.probe.pods.empty()) << "no event came";

  const KvSourceId again = *after.manager->add_source(after.manager->find("kv@a@m")->first, 0, "a");
  after.store(again, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  EXPECT_EQ(after.probe.pods, std::vector<std::string>{"a"});
  EXPECT_EQ(after.manager->pod_state("a")->silent_s, 0.0);
  after.manager->forget_unclaimed();
  EXPECT_TRUE(after.manager->pod_state("a"));
}

}  // namespace
}  // namespace kvasir
