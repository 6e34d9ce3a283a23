#include "kvevents/cache_tracker.h"

#include <gtest/gtest.h>

#include "kvevents/cache_tracker_fixture.h"
#include "kvindex/chain_index.h"
#include "wire/kv_events/kv_event_fixture.h"

namespace kvasir {
namespace {

// --- What a prompt's blocks are ------------------------------------------------------------------

TEST(CacheTracker, AnEndpointHoldsThePrefixThatItsEngineStored) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  fleet.add(1);
  const std::vector<uint32_t> tokens = some_tokens(1, 3);
  fleet.store(a, {.hashes = {11, 12}, .tokens = some_tokens(1, 2)});
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
  EXPECT_EQ(fleet.tokens(1, tokens), 0u);
  EXPECT_TRUE(fleet.cached(1, tokens).known);
  fleet.store(a, {.hashes = {13}, .parent = 12, .tokens = {tokens.begin() + 8, tokens.end()}});
  EXPECT_EQ(fleet.tokens(0, tokens), 12u);
  EXPECT_EQ(fleet.tokens(0, some_tokens(2, 3)), 0u);
}

TEST(CacheTracker, ABlockBehindAHoleCountsAgainWhenTheHoleIsFilled) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 4);
  fleet.store(a, {.hashes = {1, 2, 3, 4}, .tokens = tokens});
  fleet.remove(a, {2});
  EXPECT_EQ(fleet.tokens(0, tokens), 4u);
  fleet.store(a, {.hashes = {2}, .parent = 1, .tokens = {tokens.begin() + 4, tokens.begin() + 8}});
  EXPECT_EQ(fleet.tokens(0, tokens), 16u);
}

TEST(CacheTracker, NamespacesShareNoBlocks) {
  // What was stored, and which prompts find it.
  struct Case {
    std::string lora, salt;
    std::string model, asked_salt;
    bool found;
  };
  const Case cases[] = {
      {"", "", "base", "", true},         {"", "", "Alice", "", true},
      {"Alice", "", "Alice", "", true},   {"Alice", "", "base", "", false},
      {"Alice", "", "Bob", "", false},    {"", "tenant", "base", "tenant", true},
      {"", "tenant", "base", "", false},  {"", "tenant", "base", "other", false},
      {"Alice", "s", "Alice", "s", true}, {"Alice", "s", "Alice", "", false},
  };
  for (const Case& each : cases) {
    TrackedFleet fleet;
    const KvSourceId a = fleet.add(0);
    fleet.store(a,
                {.hashes = {1}, .tokens = some_tokens(1, 1), .lora = each.lora, .salt = each.salt});
    EXPECT_EQ(fleet.tokens(0, some_tokens(1, 1), each.model, each.asked_salt), each.found ? 4u : 0u)
        << each.lora << "/" << each.salt << " asked " << each.model << "/" << each.asked_salt;
  }
}

TEST(CacheTracker, AnAdapterIsKnownOnceAnEngineNamesIt) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  EXPECT_EQ(fleet.tracker.root("Alice", ""), fleet.tracker.root("base", ""));
  const uint64_t before = fleet.tracker.version();
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1), .lora = "Alice"});
  EXPECT_NE(fleet.tracker.root("Alice", ""), fleet.tracker.root("base", ""));
  EXPECT_GT(fleet.tracker.version(), before);
}

TEST(CacheTracker, ImagesInABlockAreAPartOfIt) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  fleet.store(a, {.hashes = {1, 2}, .tokens = some_tokens(1, 2), .extras = {0, 77}});
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 2)), 4u);  // the text alone is another second block
}

TEST(CacheTracker, SeveralBlockSizesLiveInOneFleet) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const KvSourceId b = fleet.add(1);
  const std::vector<uint32_t> tokens = some_tokens(1, 4, 4);
  fleet.store(a, {.hashes = {1, 2, 3}, .tokens = {tokens.begin(), tokens.begin() + 12}});
  fleet.store(b, {.hashes = {9}, .tokens = {tokens.begin(), tokens.begin() + 8}, .block_size = 8});
  EXPECT_EQ(fleet.tracker.block_sizes(), (std::vector<uint32_t>{4, 8}));
  EXPECT_EQ(fleet.tokens(0, tokens), 12u);
  EXPECT_EQ(fleet.tokens(1, tokens), 8u);
  const uint64_t before = fleet.tracker.version();
  fleet.tracker.remove_source(b);
  EXPECT_EQ(fleet.tracker.block_sizes(), (std::vector<uint32_t>{4}));
  EXPECT_GT(fleet.tracker.version(), before);
}

TEST(CacheTracker, WithoutAChainOfItsBlockSizeNothingIsKnownOfAnEndpoint) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 2, 8);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1, 8), .block_size = 8});
  TokenChain of_four(tokens, fleet.tracker.root("", ""), 4);
  const ChainOfSize chains[] = {{4, &of_four}};
  const EndpointId id{0};
  std::vector<CachedPrefix> cached(1);
  fleet.tracker.match(chains, {&id, 1}, cached);
  EXPECT_FALSE(cached[0].known);
  fleet.tracker.match({}, {&id, 1}, cached);
  EXPECT_FALSE(cached[0].known);
}

TEST(CacheTracker, MoreBlockSizesThanItTakesAreSkipped) {
  CacheTrackerOptions options;
  options.block_sizes_max = 1;
  TrackedFleet fleet(options);
  const KvSourceId a = fleet.add(0);
  const KvSourceId b = fleet.add(1);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.store(b, {.hashes = {2}, .tokens = some_tokens(1, 1, 8), .block_size = 8});
  EXPECT_EQ(fleet.statistics_of(b).skipped, 1u);
  EXPECT_EQ(fleet.statistics_of(b).blocks, 0u);
}

TEST(CacheTracker, ASourceThatChangesItsBlockSizeWhileItHasBlocksIsNotBelieved) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.store(a, {.hashes = {2}, .tokens = some_tokens(1, 1, 8), .block_size = 8});
  EXPECT_EQ(fleet.statistics_of(a).skipped, 1u);
  fleet.tracker.clear(a);
  fleet.store(a, {.hashes = {2}, .tokens = some_tokens(1, 1, 8), .block_size = 8});
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 1, 8)), 8u);
}

// --- Groups, ranks, tiers ------------------------------------------------------------------------

TEST(CacheTracker, APrefixCountsAsFarAsEveryFullGroupHasIt) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 3);
  fleet.store(a, {.hashes = {1, 2, 3}, .tokens = tokens});
  EXPECT_EQ(fleet.tokens(0, tokens), 12u);
  fleet.store(a, {.hashes = {1, 2}, .tokens = some_tokens(1, 2), .group = 1});
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
  // Those of a sliding window come and go, and say nothing.
  fleet.store(
      a, {.hashes = {1}, .tokens = some_tokens(1, 1), .group = 2, .spec = KvSpecKind::kPartial});
  fleet.remove(a, {1}, KvMedium::kGpu, 2);
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
  EXPECT_EQ(fleet.statistics_of(a).partial, 1u);
  fleet.remove(a, {1}, KvMedium::kGpu, 1);
  EXPECT_EQ(fleet.tokens(0, tokens), 0u);
}

TEST(CacheTracker, TheBestRankOfAnEndpointCounts) {
  TrackedFleet fleet;
  const KvSourceId first = fleet.add(0, 0);
  const KvSourceId second = fleet.add(0, 1);
  const std::vector<uint32_t> tokens = some_tokens(1, 3);
  fleet.store(first, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.store(second, {.hashes = {1, 2}, .tokens = some_tokens(1, 2)});
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
  fleet.tracker.clear(second);
  EXPECT_EQ(fleet.tokens(0, tokens), 4u);
}

TEST(CacheTracker, TiersAreToldApart) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 3);
  fleet.store(a, {.hashes = {1, 2, 3}, .tokens = tokens});
  fleet.store(a, {.hashes = {2, 3, 99}, .medium = KvMedium::kCpu});  // without tokens
  EXPECT_EQ(fleet.statistics_of(a).unknown_blocks, 1u);
  fleet.remove(a, {2, 3});
  EXPECT_EQ(fleet.cached(0, tokens).tokens, 12u);
  EXPECT_EQ(fleet.cached(0, tokens).gpu_tokens, 4u);
  EXPECT_EQ(fleet.cached(0, tokens).block_tokens, 4u);
  EXPECT_EQ(fleet.cached(0, tokens).usable_tokens(12), 8u) << "the last token is always computed";
  EXPECT_EQ(fleet.cached(0, tokens).usable_tokens(13), 12u);
  fleet.remove(a, {3}, KvMedium::kCpu);
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
}

// Connectors that offload name as parent only what they have offloaded themselves, or nothing.
TEST(CacheTracker, WhatAnotherTierSaysOfABlocksPlaceMovesNoBlockOfTheGpu) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 4);
  fleet.store(a, {.hashes = {1, 2, 3}, .tokens = some_tokens(1, 3)});
  const std::vector<uint32_t> end(tokens.begin() + 8, tokens.end());
  fleet.store(a, {.hashes = {3, 4}, .tokens = end, .medium = KvMedium::kCpu});
  EXPECT_EQ(fleet.cached(0, tokens).tokens, 16u);
  EXPECT_EQ(fleet.cached(0, tokens).gpu_tokens, 12u);
  EXPECT_EQ(fleet.tokens(0, end), 0u) << "no sequence begins with it";
  fleet.remove(a, {3});
  EXPECT_EQ(fleet.cached(0, tokens).tokens, 16u);
  EXPECT_EQ(fleet.cached(0, tokens).gpu_tokens, 8u);
  fleet.remove(a, {3}, KvMedium::kCpu);
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
}

TEST(CacheTracker, TheGpusBlockSizeCountsWhoeverSpeaksFirst) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 4);
  const ScriptedStore large = {
      .hashes = {99}, .tokens = tokens, .block_size = 16, .medium = KvMedium::kCpu};
  fleet.store(a, large);
  EXPECT_EQ(fleet.tokens(0, tokens), 16u) << "as long as nothing else is said";
  fleet.store(a, {.hashes = {1, 2}, .tokens = some_tokens(1, 2)});
  EXPECT_EQ(fleet.cached(0, tokens).gpu_tokens, 8u);
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
  fleet.store(a, large);
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
  EXPECT_EQ(fleet.statistics_of(a).skipped, 1u);
  EXPECT_EQ(fleet.statistics_of(a).blocks, 2u);
  // Blocks of the same size first, too.
  const KvSourceId b = fleet.add(1);
  fleet.store(b, {.hashes = {1, 2}, .tokens = some_tokens(1, 2), .medium = KvMedium::kCpu});
  fleet.store(b, {.hashes = {3}, .parent = 2, .tokens = some_tokens(2, 1)});
  fleet.store(b, {.hashes = {98}, .tokens = some_tokens(3, 1, 16), .block_size = 16});
  EXPECT_EQ(fleet.statistics_of(b).skipped, 1u);
  EXPECT_EQ(fleet.tokens(1, tokens), 8u);
}

// --- Copies --------------------------------------------------------------------------------------

TEST(CacheTracker, ACopyIsGoneWithItsOwnRemovalOnly) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 2);
  const ScriptedStore last = {
      .hashes = {2}, .parent = 1, .tokens = {tokens.begin() + 4, tokens.end()}};
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.store(a, last);
  fleet.store(a, last);  // a prompt's last block is computed again though it is there
  fleet.remove(a, {2});
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
  fleet.remove(a, {2});
  EXPECT_EQ(fleet.tokens(0, tokens), 4u);
}

TEST(CacheTracker, WhatIsAnnouncedAgainIsNoFurtherCopy) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 4);
  const std::vector<uint32_t> first_two = some_tokens(1, 2);
  fleet.store(a, {.hashes = {1, 2, 3}, .tokens = some_tokens(1, 3)});
  fleet.store(a, {.hashes = {1, 2}, .tokens = first_two});  // found out by this
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  EXPECT_EQ(fleet.statistics_of(a).announced_again, 3u);
  fleet.remove(a, {2, 3});
  EXPECT_EQ(fleet.tokens(0, tokens), 4u);
  // What of it had been lost is stored.
  fleet.store(a, {.hashes = {1, 2, 3, 4}, .tokens = tokens});
  EXPECT_EQ(fleet.tokens(0, tokens), 16u);
  EXPECT_EQ(fleet.statistics_of(a).announced_again, 4u);
  fleet.remove(a, {1});
  EXPECT_EQ(fleet.tokens(0, tokens), 0u);
}

TEST(CacheTracker, AnnouncingAgainIsOfOneSource) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const KvSourceId b = fleet.add(1);
  const ScriptedStore whole = {.hashes = {1, 2}, .tokens = some_tokens(1, 2)};
  const ScriptedStore one = {.hashes = {1}, .tokens = some_tokens(1, 1)};
  fleet.store(a, whole);
  fleet.store(a, whole);
  fleet.store(b, whole);  // the same blocks, for the first time there
  fleet.store(b, one);    // a copy
  fleet.remove(b, {1});
  EXPECT_EQ(fleet.tokens(1, some_tokens(1, 2)), 8u);
  EXPECT_EQ(fleet.statistics_of(b).announced_again, 0u);
}

TEST(CacheTracker, WithoutLookingForItEveryAnnouncementIsACopy) {
  CacheTrackerOptions options;
  options.find_announced_again = false;
  TrackedFleet fleet(options);
  const KvSourceId a = fleet.add(0);
  const ScriptedStore whole = {.hashes = {1, 2}, .tokens = some_tokens(1, 2)};
  fleet.store(a, whole);
  fleet.store(a, whole);
  fleet.remove(a, {1, 2});
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 2)), 8u);
}

// --- Order, loss, restarts -----------------------------------------------------------------------

TEST(CacheTracker, ChildrenWaitForTheirParents) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 4);
  const auto part = [&](size_t from, size_t to) {
    return std::vector<uint32_t>(tokens.begin() + static_cast<long>(from * 4),
                                 tokens.begin() + static_cast<long>(to * 4));
  };
  fleet.store(a, {.hashes = {4}, .parent = 3, .tokens = part(3, 4)});
  fleet.store(a, {.hashes = {2, 3}, .parent = 1, .tokens = part(1, 3)});
  EXPECT_EQ(fleet.tracker.statistics().orphans, 2u);
  EXPECT_EQ(fleet.statistics_of(a).blocks, 0u);
  fleet.store(a, {.hashes = {1}, .tokens = part(0, 1)});
  EXPECT_EQ(fleet.tracker.statistics().orphans, 0u);
  EXPECT_EQ(fleet.statistics_of(a).blocks, 4u);
  EXPECT_EQ(fleet.tokens(0, tokens), 16u);
}

TEST(CacheTracker, AParentThatAnotherEngineNamedIsKnown) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const KvSourceId b = fleet.add(1);
  const std::vector<uint32_t> tokens = some_tokens(1, 2);
  fleet.store(b, {.hashes = {2}, .parent = 1, .tokens = {tokens.begin() + 4, tokens.end()}});
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  EXPECT_EQ(fleet.statistics_of(b).blocks, 1u);
  EXPECT_EQ(fleet.tokens(1, tokens), 0u);  // it has not said that it has the first
  fleet.store(b, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  EXPECT_EQ(fleet.tokens(1, tokens), 8u);
}

TEST(CacheTracker, ABlockThatWasRemovedWhileItWaitedIsNotThere) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 3);
  fleet.store(a, {.hashes = {2, 3}, .parent = 1, .tokens = {tokens.begin() + 4, tokens.end()}});
  fleet.remove(a, {2});
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  EXPECT_EQ(fleet.tokens(0, tokens), 4u);
  fleet.store(a, {.hashes = {2}, .parent = 1, .tokens = {tokens.begin() + 4, tokens.begin() + 8}});
  EXPECT_EQ(fleet.tokens(0, tokens), 12u);
}

TEST(CacheTracker, OrphansAreGivenUpAfterAWhile) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  fleet.store(a, {.hashes = {2}, .parent = 1, .tokens = some_tokens(1, 1)});
  fleet.tracker.tidy(fleet.now + std::chrono::seconds(119));
  EXPECT_EQ(fleet.tracker.statistics().orphans, 1u);
  fleet.tracker.tidy(fleet.now + std::chrono::minutes(2));
  EXPECT_EQ(fleet.tracker.statistics().orphans, 0u);
  EXPECT_EQ(fleet.statistics_of(a).unknown_parent, 1u);
}

TEST(CacheTracker, AClearTakesEverythingOfThatSource) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const KvSourceId b = fleet.add(1);
  const std::vector<uint32_t> tokens = some_tokens(1, 2);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.store(b, {.hashes = {1, 2}, .tokens = tokens});
  fleet.store(a, {.hashes = {8}, .parent = 7, .tokens = some_tokens(2, 1)});
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1), .group = 1});
  fleet.tracker.events_of(a, fleet.now).on_all_cleared();
  EXPECT_EQ(fleet.tokens(0, tokens), 0u);
  EXPECT_EQ(fleet.tokens(1, tokens), 8u);
  EXPECT_EQ(fleet.tracker.statistics().orphans, 0u);
  EXPECT_EQ(fleet.statistics_of(a).unknown_parent, 0u);  // that was no loss
  EXPECT_EQ(fleet.statistics_of(a).cleared, 1u);
  fleet.remove(a, {1});  // a late removal
  EXPECT_EQ(fleet.tokens(1, tokens), 8u);
}

TEST(CacheTracker, EventsOfASourceThatIsGoneFindNobody) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.tracker.remove_source(a);
  const KvSourceId next = fleet.add(0);
  EXPECT_NE(next, a);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.remove(a, {1});
  fleet.tracker.events_of(a, fleet.now).on_all_cleared();
  fleet.tracker.set_freshness(a, KvFreshness::kStale);
  fleet.tracker.clear(a);
  EXPECT_TRUE(fleet.tracker.apply(a, "\xc1", fleet.now));
  fleet.store(next, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 1)), 4u);
}

TEST(CacheTracker, FreshnessOfEverySourceDecidesWhetherAnEndpointIsKnown) {
  struct Case {
    std::vector<KvFreshness> sources;
    bool known;
  };
  using enum KvFreshness;
  const Case cases[] = {
      {{}, false},
      {{kNothingYet}, false},
      {{kExact}, true},
      {{kIncomplete}, true},
      {{kStale}, false},
      {{kExact, kNothingYet}, true},
      {{kExact, kStale}, false},
      {{kNothingYet, kNothingYet}, false},
  };
  for (const Case& each : cases) {
    TrackedFleet fleet;
    fleet.add(7);
    for (size_t rank = 0; rank < each.sources.size(); ++rank) {
      fleet.add(0, static_cast<uint32_t>(rank), each.sources[rank]);
    }
    fleet.store(fleet.add(8), {.hashes = {1}, .tokens = some_tokens(5, 1)});
    EXPECT_EQ(fleet.cached(0, some_tokens(1, 1)).known, each.known) << each.sources.size();
  }
}

TEST(CacheTracker, StaleKnowledgeIsKeptAndUsedAgain) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.tracker.set_freshness(a, KvFreshness::kStale);
  EXPECT_FALSE(fleet.cached(0, some_tokens(1, 1)).known);
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 1)), 0u);
  fleet.tracker.set_freshness(a, KvFreshness::kExact);
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 1)), 4u);
}

// --- Limits --------------------------------------------------------------------------------------

TEST(CacheTracker, ASourceBeyondItsLimitIsStaleUntilItIsCleared) {
  CacheTrackerOptions options;
  options.source_blocks_max = 3;
  TrackedFleet fleet(options);
  const KvSourceId a = fleet.add(0);
  fleet.store(a, {.hashes = {1, 2}, .tokens = some_tokens(1, 2)});
  fleet.store(a, {.hashes = {3, 4}, .tokens = some_tokens(2, 2)});
  EXPECT_EQ(fleet.statistics_of(a).refused, 2u);
  fleet.tracker.set_freshness(a, KvFreshness::kExact);
  EXPECT_EQ(fleet.statistics_of(a).freshness, KvFreshness::kStale);
  fleet.tracker.clear(a);
  EXPECT_EQ(fleet.statistics_of(a).freshness, KvFreshness::kExact);
}

TEST(CacheTracker, AGigabyteOfOrphansIsBoundedAndCounted) {
  CacheTrackerOptions options;
  options.orphan_bytes_max = size_t{4} << 20;
  TrackedFleet fleet(options);
  const KvSourceId hostile = fleet.add(0);
  const KvSourceId honest = fleet.add(1);
  fleet.store(honest, {.hashes = {2}, .parent = 1, .tokens = some_tokens(1, 1)});
  // 64 blocks of 64 tokens: 17 kB on the wire.
  ScriptedStore event = {.hashes = {}, .tokens = some_tokens(9, 64, 64), .block_size = 64};
  event.hashes.resize(64);
  constexpr uint64_t kEvents = 60'000;
  uint64_t most = 0;
  for (uint64_t i = 0; i < kEvents; ++i) {
    for (uint64_t& hash : event.hashes)
      hash = 1'000'000 + i * 64 + static_cast<uint64_t>(&hash - event.hashes.data());
    event.parent = i % 2 == 0 ? 77 : 500'000 + i;
    fleet.store(hostile, event);
    if (i % 1000 == 0) most = std::max(most, fleet.tracker.statistics().orphan_bytes);
  }
  EXPECT_LE(most, options.orphan_bytes_max);
  const CacheTrackerStatistics statistics = fleet.tracker.statistics();
  EXPECT_EQ(fleet.statistics_of(hostile).unknown_parent + statistics.orphans, kEvents + 1);
  EXPECT_EQ(fleet.statistics_of(honest).unknown_parent, 0u);  // its own was not pushed out
}

TEST(CacheTracker, AfterAClearAnEngineMayHaveOtherGroups) {
  CacheTrackerOptions options;
  options.groups_max = 2;
  TrackedFleet fleet(options);
  const KvSourceId a = fleet.add(0);
  const std::vector<uint32_t> tokens = some_tokens(1, 2);
  const auto stores = [&](std::vector<uint32_t> groups) {
    for (const uint32_t group : groups) {
      fleet.store(a, {.hashes = {1, 2}, .tokens = tokens, .group = group});
    }
    return fleet.tokens(0, tokens);
  };
  EXPECT_EQ(stores({7, 8}), 8u);
  fleet.tracker.clear(a);
  EXPECT_EQ(fleet.tokens(0, tokens), 0u);
  EXPECT_TRUE(fleet.cached(0, tokens).known);
  EXPECT_EQ(stores({0}), 8u) << "the groups of before need not have it";
  EXPECT_EQ(stores({1}), 8u);
  EXPECT_EQ(fleet.statistics_of(a).skipped, 0u) << "and take no place";
  fleet.tracker.clear(a);
  EXPECT_EQ(stores({1}), 8u);
}

TEST(CacheTracker, RanksGroupsAndAdaptersAreLimited) {
  CacheTrackerOptions options;
  options.ranks_max = 1;
  options.groups_max = 1;
  options.adapters_max = 1;
  options.endpoints_max = 4;
  TrackedFleet fleet(options);
  const KvSourceId a = fleet.add(0);
  EXPECT_FALSE(fleet.tracker.add_source(EndpointId{0}, 1, "second rank"));
  EXPECT_FALSE(fleet.tracker.add_source(EndpointId{4}, 0, "beyond"));
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1), .group = 1});
  EXPECT_EQ(fleet.statistics_of(a).skipped, 1u);
  fleet.store(a, {.hashes = {2}, .tokens = some_tokens(2, 1), .lora = "Alice"});
  fleet.store(a, {.hashes = {3}, .tokens = some_tokens(3, 1), .lora = "Bob"});
  EXPECT_EQ(fleet.statistics_of(a).skipped, 2u);
  EXPECT_EQ(fleet.statistics_of(a).blocks, 2u);
}

TEST(CacheTracker, EventsThatDoNotAddUpAreSkipped) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  const ScriptedStore cases[] = {
      {.hashes = {1, 2}, .tokens = some_tokens(1, 1)},                // a block without tokens
      {.hashes = {1}, .tokens = some_tokens(1, 1), .block_size = 0},  // blocks of nothing
      {.hashes = {1}, .tokens = {}},  // without tokens, and nothing is known of it
  };
  for (const ScriptedStore& each : cases) fleet.store(a, each);
  EXPECT_EQ(fleet.statistics_of(a).skipped, 3u);
  EXPECT_EQ(fleet.statistics_of(a).blocks, 0u);
}

TEST(CacheTracker, LifetimeAndBlocksMaxAreHonouredWhenSet) {
  CacheTrackerOptions options;
  options.lifetime = std::chrono::hours(1);
  options.blocks_max = 16;
  TrackedFleet fleet(options);
  const KvSourceId a = fleet.add(0);
  fleet.now += std::chrono::minutes(1);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.now += std::chrono::minutes(61);
  fleet.store(a, {.hashes = {2}, .tokens = some_tokens(2, 1)});
  fleet.tracker.tidy(fleet.now);
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 1)), 0u);
  EXPECT_EQ(fleet.tokens(0, some_tokens(2, 1)), 4u);
  for (uint64_t i = 0; i < 40; ++i) {
    fleet.store(a, {.hashes = {100 + i}, .tokens = some_tokens(10 + static_cast<uint32_t>(i), 1)});
    EXPECT_LE(fleet.tracker.statistics().distinct_blocks, 18u);
  }
  fleet.tracker.tidy(fleet.now + options.cleanup_interval);
  EXPECT_LE(fleet.tracker.statistics().distinct_blocks, 16u);
  EXPECT_EQ(fleet.statistics_of(a).blocks, fleet.tracker.statistics().memberships);
}

TEST(CacheTracker, WhoHasBlocksThatAreNotKnownIsIncompleteUntilItIsCleared) {
  const auto hour = std::chrono::hours(1);
  CacheTrackerOptions options;
  options.adapters_max = 1;
  options.groups_max = 1;
  CacheTrackerOptions aging = options;
  aging.lifetime = hour;
  CacheTrackerOptions few = options;
  few.blocks_max = 1;
  const ScriptedStore one = {.hashes = {1}, .tokens = some_tokens(1, 1)};
  const ScriptedStore orphan = {.hashes = {9}, .parent = 8, .tokens = some_tokens(9, 1)};
  const ScriptedStore other_group = {.hashes = {1}, .tokens = some_tokens(1, 1), .group = 1};
  const ScriptedStore alice = {.hashes = {2}, .tokens = some_tokens(1, 1), .lora = "Alice"};
  const ScriptedStore bob = {.hashes = {3}, .tokens = some_tokens(1, 1), .lora = "Bob"};
  const ScriptedStore in_cpu = {.hashes = {1, 7}, .medium = KvMedium::kCpu};
  const ScriptedStore window = {
      .hashes = {7}, .tokens = some_tokens(7, 1), .spec = KvSpecKind::kPartial};
  struct Case {
    const char* what;
    const CacheTrackerOptions* options;
    std::vector<ScriptedStore> stores;
    Duration passes;
    KvFreshness expected;
  };
  const Case cases[] = {
      {"all is known", &options, {one, alice}, 2 * hour, KvFreshness::kExact},
      {"none are too old", &aging, {one}, hour / 2, KvFreshness::kExact},
      {"blocks that are too old", &aging, {one}, 2 * hour, KvFreshness::kIncomplete},
      {"more than --index-max-blocks", &few, {one, alice, bob}, {}, KvFreshness::kIncomplete},
      {"a parent that may come", &options, {one, orphan}, {}, KvFreshness::kExact},
      {"a parent that did not come", &options, {one, orphan}, 2 * hour, KvFreshness::kIncomplete},
      {"more groups than there may be", &options, {one, other_group}, {}, KvFreshness::kIncomplete},
      {"more adapters", &options, {alice, bob}, {}, KvFreshness::kIncomplete},
      {"no tokens, and unknown", &options, {one, in_cpu}, {}, KvFreshness::kIncomplete},
      {"blocks that tell nothing of prefixes", &options, {one, window}, {}, KvFreshness::kExact},
  };
  for (const Case& each : cases) {
    TrackedFleet fleet(*each.options);
    const KvSourceId a = fleet.add(0);
    const KvSourceId other = fleet.add(1);
    fleet.tracker.set_position(a, KvStreamPosition{0, 0, true});
    for (const ScriptedStore& store : each.stores) fleet.store(a, store);
    fleet.now += each.passes;
    fleet.tracker.tidy(fleet.now);
    EXPECT_EQ(fleet.statistics_of(a).freshness, each.expected) << each.what;
    EXPECT_EQ(fleet.tracker.position(a)->complete, each.expected == KvFreshness::kExact)
        << each.what;
    EXPECT_TRUE(fleet.cached(0, some_tokens(1, 1)).known) << each.what;
    EXPECT_EQ(fleet.statistics_of(other).freshness, KvFreshness::kExact) << each.what;
    fleet.tracker.set_freshness(a, KvFreshness::kStale);
    EXPECT_EQ(fleet.statistics_of(a).freshness, KvFreshness::kStale) << each.what;
    fleet.tracker.set_freshness(a, KvFreshness::kExact);
    EXPECT_EQ(fleet.statistics_of(a).freshness, each.expected) << each.what;
    fleet.tracker.clear(a);
    EXPECT_EQ(fleet.statistics_of(a).freshness, KvFreshness::kExact) << each.what;
  }
}

TEST(CacheTracker, WhoHasBlocksThatAreNotStoredForLackOfMemoryIsIncomplete) {
  CacheTrackerOptions options;
  options.index.memory_bytes_max = 1;
  TrackedFleet fleet(options, std::make_unique<ChainIndex>(options.index));
  const KvSourceId a = fleet.add(0);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  EXPECT_EQ(fleet.tracker.statistics().full, 1u);
  EXPECT_EQ(fleet.statistics_of(a).freshness, KvFreshness::kIncomplete);
}

TEST(CacheTracker, ASnapshotThatWasNotTakenInWholeLeavesItsSourcesIncomplete) {
  TrackedFleet before;
  const KvSourceId a = before.add(0);
  before.store(a, {.hashes = {1, 2}, .tokens = some_tokens(1, 2)});
  for (const size_t memory : {size_t{1}, size_t{1} << 30}) {
    CacheTrackerOptions options;
    options.index.memory_bytes_max = memory;
    TrackedFleet after(options, std::make_unique<ChainIndex>(options.index));
    const KvSourceId again = after.add(0);
    const CacheTracker::RestoredHolder holder = {again, 0, 4};
    const auto restored = after.tracker.restore(before.tracker.snapshot().blocks, {&holder, 1});
    ASSERT_TRUE(restored) << restored.error().message;
    EXPECT_EQ(restored->refused, memory == 1 ? 2u : 0u);
    EXPECT_EQ(after.statistics_of(again).freshness,
              memory == 1 ? KvFreshness::kIncomplete : KvFreshness::kExact);
  }
}

TEST(CacheTracker, ASnapshotWithoutWhatWaitsForItsParentIsIncomplete) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  fleet.tracker.set_position(a, KvStreamPosition{1, 2, true});
  const auto complete = [&] { return fleet.tracker.snapshot().sources.at(0).position->complete; };
  EXPECT_TRUE(complete());
  fleet.store(a, {.hashes = {2}, .parent = 1, .tokens = some_tokens(2, 1)});
  EXPECT_FALSE(complete());
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  EXPECT_TRUE(complete()) << "its parent came";
}

// --- What is expected ----------------------------------------------------------------------------

TEST(CacheTracker, APromptThatWasSentCountsAsHeldForAWhile) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  fleet.add(1);
  const std::vector<uint32_t> tokens = some_tokens(1, 4);
  fleet.store(a, {.hashes = {1, 2}, .tokens = some_tokens(1, 2)});
  fleet.now += std::chrono::seconds(1);
  fleet.expect(0, tokens, std::chrono::seconds(2));
  EXPECT_EQ(fleet.tokens(0, tokens), 16u);
  EXPECT_EQ(fleet.cached(0, tokens).gpu_tokens, 16u);
  EXPECT_EQ(fleet.tokens(1, tokens), 0u);
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 3)), 12u);
  // The first block goes: what is expected begins behind it.
  fleet.remove(a, {1});
  EXPECT_EQ(fleet.tokens(0, tokens), 0u);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.now += std::chrono::seconds(2);
  fleet.tracker.tidy(fleet.now);
  EXPECT_EQ(fleet.tokens(0, tokens), 8u);
}

TEST(CacheTracker, AClearEndsWhatWasExpected) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.expect(0, some_tokens(1, 4), std::chrono::seconds(2));
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 4)), 16u);
  fleet.tracker.clear(a);
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 4)), 0u);
}

TEST(CacheTracker, WhatIsExpectedIsLimited) {
  CacheTrackerOptions options;
  options.expected_blocks_max = 2;
  TrackedFleet fleet(options);
  const KvSourceId a = fleet.add(0);
  fleet.store(a, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  fleet.expect(0, some_tokens(1, 4), std::chrono::seconds(2));  // blocks 2 to 4: the last two stay
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 4)), 4u);
  fleet.expect(0, some_tokens(1, 2), std::chrono::seconds(2));
  EXPECT_EQ(fleet.tokens(0, some_tokens(1, 4)), 8u);
}

// --- Bytes, names, threads -----------------------------------------------------------------------

TEST(CacheTracker, BatchesAreDecodedAndCounted) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0);
  // [1.5, [["BlockStored", [7], nil, [1, 2, 3, 4], 4]], 0]
  const std::string stored = from_hex(
      "93cb3ff8000000000000"
      "9195ab426c6f636b53746f726564"
      "9107"
      "c0"
      "9401020304"
      "04"
      "00");
  const Result<KvBatchApplied> applied = fleet.tracker.apply(a, stored, fleet.now);
  ASSERT_TRUE(applied) << applied.error().message;
  EXPECT_FALSE(applied->cleared);
  EXPECT_EQ(fleet.tokens(0, {1, 2, 3, 4}), 4u);
  EXPECT_EQ(fleet.statistics_of(a).batches, 1u);
  EXPECT_EQ(fleet.statistics_of(a).last_event, 1.5);
  const std::string cleared = from_hex(
      "93cb3ff8000000000000"
      "9191b0416c6c426c6f636b73436c6561726564"
      "00");
  const Result<KvBatchApplied> then = fleet.tracker.apply(a, cleared, fleet.now);
  ASSERT_TRUE(then);
  EXPECT_TRUE(then->cleared);
  EXPECT_EQ(fleet.tokens(0, {1, 2, 3, 4}), 0u);
  EXPECT_FALSE(fleet.tracker.apply(a, "\xc1", fleet.now));
}

TEST(CacheTracker, BlocksAreFoundByTheEnginesNames) {
  TrackedFleet fleet;
  const KvSourceId a = fleet.add(0, 0);
  const KvSourceId second = fleet.add(0, 1);
  fleet.store(a, {.hashes = {1, 2, 3, 4}, .tokens = some_tokens(1, 4)});
  fleet.store(a, {.hashes = {2}, .medium = KvMedium::kCpu});
  fleet.remove(a, {2, 3});
  fleet.store(second, {.hashes = {1}, .tokens = some_tokens(1, 1)});
  const std::vector<uint64_t> names = {1, 2, 3, 4, 5};
  const std::optional<CacheTracker::NamedBlocks> found =
      fleet.tracker.find_named(EndpointId{0}, names);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->leading, 2u);
  EXPECT_EQ(found->present, 3u);
  EXPECT_FALSE(fleet.tracker.find_named(EndpointId{5}, names));
}

TEST(CacheTracker, EverythingIsVisitedWithWhoseItIs) {
  TrackedFleet fleet;
  fleet.store(fleet.add(3, 1), {.hashes = {1, 2}, .tokens = some_tokens(1, 2), .group = 2});
  class Seen final : public CacheTracker::Visitor {
   public:
    void on_block(const CacheTracker::HolderName& holder,
                  const BlockIndex::KnownBlock& block) override {
      EXPECT_EQ(holder.endpoint, EndpointId{3});
      EXPECT_EQ(holder.rank, 1u);
      EXPECT_EQ(holder.group, 2u);
      EXPECT_EQ(holder.block_tokens, 4u);
      names.push_back(block.engine_hash);
    }
    std::vector<uint64_t> names;
  } seen;
  fleet.tracker.visit(seen);
  std::sort(seen.names.begin(), seen.names.end());
  EXPECT_EQ(seen.names, (std::vector<uint64_t>{1, 2}));
}

}  // namespace
}  // namespace kvasir
