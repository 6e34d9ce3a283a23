// Readers beside the writing thread, on the index that Kvasir runs with: what ThreadSanitizer is to
// look at; and no reader ever sees what no engine had.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "base/random.h"
#include "hashing/token_blocks.h"
#include "kvevents/cache_tracker.h"

namespace kvasir {
namespace {

constexpr uint32_t kEndpoints = 4;
constexpr uint32_t kBlockTokens = 4;
constexpr size_t kBlocks = 64;

std::vector<uint32_t> threads_tokens() {
  std::vector<uint32_t> tokens;
  for (uint32_t i = 0; i < kBlocks * kBlockTokens; ++i) tokens.push_back(i);
  return tokens;
}

// The first `blocks` blocks of the one sequence come, whatever is there.
void store_prefix(CacheTracker& tracker, KvSourceId source, const std::vector<uint32_t>& tokens,
                  size_t blocks) {
  std::vector<uint64_t> names;
  for (size_t i = 0; i < blocks; ++i) names.push_back(1000 + i);
  KvBlocksStored event;
  event.block_hashes = names;
  event.token_ids = std::span(tokens).first(blocks * kBlockTokens);
  event.block_size = kBlockTokens;
  tracker.events_of(source, TimePoint()).on_stored(event);
}

TEST(CacheTrackerThreads, ReadersSeeOnlyWhatAnEngineHad) {
  CacheTracker tracker{CacheTrackerOptions()};
  const std::vector<uint32_t> tokens = threads_tokens();
  // Endpoint e never has more than (e + 1) * 8 blocks, whoever is behind it.
  const auto most = [](uint32_t endpoint) { return (endpoint + 1) * 8; };
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> looks{0};
  const auto read = [&] {
    std::vector<EndpointId> ids;
    for (uint32_t i = 0; i < kEndpoints; ++i) ids.push_back(EndpointId{i});
    std::vector<CachedPrefix> cached(kEndpoints);
    while (!stop) {
      TokenChain chain(tokens, tracker.root("m", ""), kBlockTokens);
      const ChainOfSize prompt[] = {{kBlockTokens, &chain}};
      tracker.match(prompt, ids, cached);
      for (uint32_t i = 0; i < kEndpoints; ++i) {
        EXPECT_LE(cached[i].tokens, most(i) * kBlockTokens) << i;
        EXPECT_LE(cached[i].gpu_tokens, cached[i].tokens);
      }
      tracker.expect(prompt, EndpointId{9}, TimePoint(), std::chrono::seconds(1));
      static_cast<void>(tracker.statistics());
      static_cast<void>(tracker.block_sizes());
      const uint64_t names[] = {1000, 1001};
      static_cast<void>(tracker.find_named(EndpointId{0}, names));
      ++looks;
    }
  };
  std::thread first(read);
  std::thread second(read);
  Random random(7);
  std::vector<std::optional<KvSourceId>> sources(kEndpoints);
  for (int step = 0; step < 4000 || looks < 100; ++step) {
    const auto endpoint = static_cast<uint32_t>(random.below(kEndpoints));
    std::optional<KvSourceId>& source = sources[endpoint];
    if (!source) {
      source = tracker.add_source(EndpointId{endpoint}, 0, "pod");
      tracker.set_freshness(*source, KvFreshness::kExact);
    }
    switch (random.below(8)) {
      case 0:
        tracker.clear(*source);
        break;
      case 1:
        tracker.remove_source(*source);
        source.reset();
        break;
      case 2:
        tracker.set_freshness(*source,
                              random.below(2) == 0 ? KvFreshness::kStale : KvFreshness::kExact);
        break;
      case 3: {
        const uint64_t names[] = {1000 + random.below(most(endpoint))};
        tracker.events_of(*source, TimePoint()).on_removed({names, KvMedium::kGpu, 0});
        break;
      }
      default:
        store_prefix(tracker, *source, tokens, 1 + random.below(most(endpoint)));
    }
    tracker.tidy(TimePoint());
  }
  stop = true;
  first.join();
  second.join();
}

}  // namespace
}  // namespace kvasir
