// For tests: events of scripted engines into a CacheTracker, and what it answers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hashing/token_blocks.h"
#include "kvevents/cache_tracker.h"
#include "kvindex/naive_block_index_fixture.h"

namespace kvasir {

// `blocks` blocks of tokens that belong to `sequence` alone.
inline std::vector<uint32_t> some_tokens(uint32_t sequence, size_t blocks,
                                         uint32_t block_size = 4) {
  std::vector<uint32_t> tokens;
  for (size_t i = 0; i < blocks * block_size; ++i) {
    tokens.push_back(sequence * 100'000 + static_cast<uint32_t>(i));
  }
  return tokens;
}

struct ScriptedStore {
  std::vector<uint64_t> hashes;
  std::optional<uint64_t> parent = std::nullopt;
  std::vector<uint32_t> tokens = {};
  uint32_t block_size = 4;
  KvMedium medium = KvMedium::kGpu;
  std::string lora = {};
  std::string salt = {};
  std::vector<uint64_t> extras = {};
  uint32_t group = 0;
  KvSpecKind spec = KvSpecKind::kFull;
};

class TrackedFleet {
 public:
  explicit TrackedFleet(const CacheTrackerOptions& options = {})
      : TrackedFleet(options, std::make_unique<NaiveBlockIndex>(options.index)) {}
  TrackedFleet(const CacheTrackerOptions& options, std::unique_ptr<BlockIndex> index)
      : tracker(options, std::move(index)) {}

  KvSourceId add(uint32_t endpoint, uint32_t rank = 0,
                 KvFreshness freshness = KvFreshness::kExact) {
    const KvSourceId source = *tracker.add_source(EndpointId{endpoint}, rank, "pod");
    tracker.set_freshness(source, freshness);
    return source;
  }
  void store(KvSourceId source, const ScriptedStore& event) {
    KvBlocksStored stored;
    stored.block_hashes = event.hashes;
    stored.parent_block_hash = event.parent;
    stored.token_ids = event.tokens;
    stored.block_size = event.block_size;
    stored.medium = event.medium;
    stored.lora_name = event.lora;
    stored.cache_salt = event.salt;
    stored.extras = event.extras;
    stored.group = event.group;
    stored.spec = event.spec;
    tracker.events_of(source, now).on_stored(stored);
  }
  void remove(KvSourceId source, const std::vector<uint64_t>& hashes,
              KvMedium medium = KvMedium::kGpu, uint32_t group = 0) {
    tracker.events_of(source, now).on_removed({hashes, medium, group});
  }
  // Of one endpoint.
  CachedPrefix cached(uint32_t endpoint, const std::vector<uint32_t>& tokens,
                      std::string_view model = {}, std::string_view salt = {}) const {
    std::vector<TokenChain> chains;
    const std::vector<uint32_t> sizes = tracker.block_sizes();
    chains.reserve(sizes.size());
    std::vector<ChainOfSize> prompt;
    for (const uint32_t size : sizes) {
      chains.emplace_back(tokens, tracker.root(model, salt), size);
      prompt.push_back({size, &chains.back()});
    }
    std::vector<CachedPrefix> cached(endpoint + 1);
    const EndpointId id{endpoint};
    tracker.match(prompt, {&id, 1}, cached);
    return cached[endpoint];
  }
  uint32_t tokens(uint32_t endpoint, const std::vector<uint32_t>& tokens,
                  std::string_view model = {}, std::string_view salt = {}) const {
    return cached(endpoint, tokens, model, salt).tokens;
  }
  void expect(uint32_t endpoint, const std::vector<uint32_t>& tokens, Duration lifetime) {
    std::vector<TokenChain> chains;
    chains.reserve(8);
    std::vector<ChainOfSize> prompt;
    for (const uint32_t size : tracker.block_sizes()) {
      chains.emplace_back(tokens, tracker.root("", ""), size);
      prompt.push_back({size, &chains.back()});
    }
    tracker.expect(prompt, EndpointId{endpoint}, now, lifetime);
  }
  KvSourceStatistics statistics_of(KvSourceId source) const {
    for (const KvSourceStatistics& one : tracker.statistics().sources) {
      if (one.source == source) return one;
    }
    return {};
  }

  CacheTracker tracker;
  TimePoint now{};
};

}  // namespace kvasir
