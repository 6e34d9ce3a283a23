// Replays what was recorded at a real vLLM (kv_events/*.jsonl, made by run.py --record): requests
// with their tokens and usage, and the batches of events that it published, in the order in which
// they came. Before each request the index must know exactly how many of its tokens vLLM then finds
// in its cache.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "hashing/token_blocks.h"
#include "kvevents/cache_tracker.h"
#include "kvindex/chain_index.h"
#include "kvindex/naive_block_index_fixture.h"
#include "wire/kv_events/kv_event_fixture.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;

// One recording's fleet, as somebody knows it who hears its events.
class RecordedFleet {
 public:
  explicit RecordedFleet(std::unique_ptr<BlockIndex> index) : tracker_({}, std::move(index)) {}

  void event(uint32_t worker, const Json& line) {
    const std::string batch = from_hex(line["payload_hex"].get<std::string>());
    const auto applied = tracker_.apply(source(worker), batch, TimePoint());
    ASSERT_TRUE(applied) << applied.error().message;
    tracker_.set_freshness(source(worker), KvFreshness::kExact);  // a recording has no gaps
  }

  void clear(uint32_t worker) { tracker_.clear(source(worker)); }

  // How many tokens of the prompt are in the worker's cache, and would be found there: vLLM
  // computes the last token anew, whatever it has, and so the whole block.
  uint32_t predicted(uint32_t worker, const std::vector<uint32_t>& prompt,
                     const std::string& salt) {
    std::vector<std::unique_ptr<TokenChain>> chains;
    std::vector<ChainOfSize> of_sizes;
    for (const uint32_t size : tracker_.block_sizes()) {
      chains.push_back(std::make_unique<TokenChain>(prompt, tracker_.root("tiny", salt), size));
      of_sizes.push_back({.block_tokens = size, .chain = chains.back().get()});
    }
    const EndpointId id{worker};
    std::vector<CachedPrefix> cached(worker + 1);
    tracker_.match(of_sizes, std::span(&id, 1), cached);
    return cached[worker].usable_tokens(static_cast<uint32_t>(prompt.size()));
  }

  CacheTrackerStatistics statistics() const { return tracker_.statistics(); }

 private:
  KvSourceId source(uint32_t worker) {
    const auto found = sources_.find(worker);
    if (found != sources_.end()) return found->second;
    const auto added = tracker_.add_source(EndpointId{worker}, 0, "vllm-" + std::to_string(worker));
    return sources_.emplace(worker, *added).first->second;
  }

  CacheTracker tracker_;
  std::map<uint32_t, KvSourceId> sources_;
};

struct Replayed {
  size_t requests = 0;
  size_t hits = 0;  // requests of which something was cached
  uint64_t cached_tokens = 0;
  uint64_t removed = 0;  // blocks
};

void replay(const std::string& file_name, std::unique_ptr<BlockIndex> index, Replayed& replayed) {
  std::ifstream file(file_name);
  ASSERT_TRUE(file) << file_name;
  RecordedFleet fleet(std::move(index));
  size_t number = 0;
  for (std::string text; std::getline(file, text);) {
    ++number;
    const Json line = Json::parse(text);
    const std::string kind = line["kind"];
    const uint32_t worker = line.value("worker", 0u);
    if (kind == "event") {
      ASSERT_NO_FATAL_FAILURE(fleet.event(worker, line)) << "line " << number;
    } else if (kind == "reset_prefix_cache" || kind == "restart") {
      fleet.clear(worker);
    } else {
      ASSERT_EQ(kind, "request");
      const std::string salt = line.value("cache_salt", std::string());
      const uint32_t cached = line["usage"]["prompt_tokens_details"]["cached_tokens"];
      EXPECT_EQ(fleet.predicted(worker, line["prompt"], salt), cached)
          << file_name << ", line " << number;
      ++replayed.requests;
      replayed.hits += cached > 0 ? 1 : 0;
      replayed.cached_tokens += cached;
    }
  }
  const CacheTrackerStatistics statistics = fleet.statistics();
  for (const KvSourceStatistics& source : statistics.sources) {
    EXPECT_EQ(source.skipped, 0u);
    EXPECT_EQ(source.unknown_parent, 0u);
    replayed.removed += source.removed;
  }
}

std::vector<std::unique_ptr<BlockIndex>> all_indexes() {
  std::vector<std::unique_ptr<BlockIndex>> indexes;
  indexes.push_back(std::make_unique<ChainIndex>(BlockIndexOptions()));
  indexes.push_back(std::make_unique<NaiveBlockIndex>(BlockIndexOptions()));
  return indexes;
}

std::string recorded_file(const char* name) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return std::string(root != nullptr ? root : ".") + "/tests/vllm/kv_events/" + name;
}

TEST(KvRecording, CachedTokensOfOneVllmAreKnownBeforehand) {
  for (const char* name :
       {"vllm-0.32.0-cpu-sha256_cbor.jsonl", "vllm-0.32.0-cpu-xxhash_cbor.jsonl"}) {
    for (std::unique_ptr<BlockIndex>& index : all_indexes()) {
      Replayed replayed;
      ASSERT_NO_FATAL_FAILURE(replay(recorded_file(name), std::move(index), replayed));
      EXPECT_EQ(replayed.requests, 13u);
      EXPECT_EQ(replayed.hits, 2u);
      EXPECT_GT(replayed.removed, 0u);
    }
  }
}

TEST(KvRecording, CachedTokensOfTwoVllmAreKnownBeforehand) {
  for (std::unique_ptr<BlockIndex>& index : all_indexes()) {
    Replayed replayed;
    ASSERT_NO_FATAL_FAILURE(
        replay(recorded_file("two-vllm-0.32.0-cpu.jsonl"), std::move(index), replayed));
    EXPECT_EQ(replayed.requests, 85u);
    EXPECT_EQ(replayed.hits, 50u);
    EXPECT_EQ(replayed.cached_tokens, 7456u);
    EXPECT_EQ(replayed.removed, 71u);
  }
}

// What `make test-vllm` has just recorded.
TEST(KvRecording, CachedTokensOfTheOneThatIsGivenAreKnownBeforehand) {
  const char* name = std::getenv("KVASIR_KV_RECORDING");
  if (name == nullptr) GTEST_SKIP() << "KVASIR_KV_RECORDING names no recording";
  for (std::unique_ptr<BlockIndex>& index : all_indexes()) {
    Replayed replayed;
    ASSERT_NO_FATAL_FAILURE(replay(name, std::move(index), replayed));
    std::cout << "KV recording: " << replayed.requests << " requests, " << replayed.hits
              << " of them with " << replayed.cached_tokens << " cached tokens, "
              << replayed.removed << " blocks removed\n";
    EXPECT_GT(replayed.requests, 0u);
  }
}

}  // namespace
}  // namespace kvasir
