// The feed and a CacheTracker: batches as engines write them, whole, broken and hostile.
#include <gtest/gtest.h>
#include <zmq.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/big_endian.h"
#include "base/random.h"
#include "hashing/token_blocks.h"
#include "kvevents/cache_tracker.h"
#include "kvevents/event_feed.h"
#include "kvevents/event_publisher_fixture.h"
#include "wire/kv_events/kv_event_encoder.h"

namespace kvasir {
namespace {

constexpr uint32_t kBlockTokens = 16;

class NobodyToTell final : public KvEventProbe {
  void on_subscribed(const Endpoint&, uint32_t) override {}
  void on_lost(const Endpoint&, uint32_t, std::string_view) override {}
  void on_restarted(const Endpoint&, uint32_t) override {}
  void on_recovered(const Endpoint&, uint32_t, uint64_t) override {}
};

std::vector<uint32_t> tokens_of(uint32_t sequence, size_t blocks) {
  std::vector<uint32_t> tokens(blocks * kBlockTokens);
  for (size_t i = 0; i < tokens.size(); ++i) {
    tokens[i] = sequence * 1000 + static_cast<uint32_t>(i);
  }
  return tokens;
}

class FeedAndTracker : public ::testing::Test {
 protected:
  FeedAndTracker() {
    feed_ = std::move(KvEventFeed::start({}, tracker_, probe_).value());
    KvEventAddresses addresses;
    addresses.events = publisher_.events();
    feed_->joined(EndpointId{0}, {"pod", "127.0.0.1", 8000}, addresses);
    // Until the subscription has reached the publisher.
    wait_for([&] {
      publisher_.send({"topic", "no number", "x"});
      return frame_errors() > 0;
    });
  }

  uint64_t frame_errors() const {
    const auto sources = feed_->statistics().sources;
    return sources.empty() ? 0 : sources[0].errors[static_cast<size_t>(KvFeedOperation::kFrames)];
  }
  KvFeedSourceStatistics statistics() const { return feed_->statistics().sources.at(0); }
  static bool wait_for(const std::function<bool()>& done) {
    for (int i = 0; i < 30'000; ++i) {
      if (done()) return true;
      zmq_poll(nullptr, 0, 1);
    }
    return false;
  }

  // A batch that stores a sequence from its first block on.
  std::string stored(uint32_t sequence, size_t blocks, bool clear_before = false) {
    const std::vector<uint32_t> tokens = tokens_of(sequence, blocks);
    std::vector<uint64_t> hashes(blocks);
    for (size_t i = 0; i < blocks; ++i) hashes[i] = sequence * 1000 + i;
    KvBlocksStored event;
    event.block_hashes = hashes;
    event.token_ids = tokens;
    event.block_size = kBlockTokens;
    encoder_.begin(1.5);
    if (clear_before) encoder_.all_cleared();
    encoder_.stored(event);
    return encoder_.finish(0);
  }
  // Each is heard before the next one is sent, a few aside: nothing is dropped.
  void publish(const std::string& batch) {
    const uint64_t number = next_++;
    publisher_.send({"topic", big_endian_bytes(number), batch});
    if (number % 100 != 99) return;
    ASSERT_TRUE(wait_for([&] { return statistics().messages >= number; }));
  }
  CachedPrefix cached(uint32_t sequence, size_t blocks) {
    const std::vector<uint32_t> tokens = tokens_of(sequence, blocks);
    TokenChain chain(tokens, tracker_.root("", ""), kBlockTokens);
    const ChainOfSize of_size[] = {{kBlockTokens, &chain}};
    const EndpointId endpoints[] = {EndpointId{0}};
    CachedPrefix cached[1];
    tracker_.match(of_size, endpoints, cached);
    return cached[0];
  }

  CacheTracker tracker_{CacheTrackerOptions{}};
  NobodyToTell probe_;
  EventPublisher publisher_;
  KvEventEncoder encoder_;
  uint64_t next_ = 0;
  std::unique_ptr<KvEventFeed> feed_;
};

TEST_F(FeedAndTracker, WhatAnEngineStoresIsFound) {
  publish(stored(1, 8));
  ASSERT_TRUE(wait_for([&] { return cached(1, 10).known; }));
  EXPECT_EQ(cached(1, 10).tokens, 8 * kBlockTokens);
  EXPECT_EQ(cached(2, 10).tokens, 0u);
  publisher_.close();
  EXPECT_TRUE(wait_for([&] { return !cached(1, 10).known; })) << "the connection was lost";
}

TEST_F(FeedAndTracker, BrokenBatchesAreCountedAndSurvived) {
  Random random(7);
  const std::string whole = stored(1, 8);
  for (int i = 0; i < 3000; ++i) {
    std::string batch = whole;
    for (uint64_t flips = random.below(4); flips > 0; --flips) {
      batch[random.below(batch.size())] = static_cast<char>(random.below(256));
    }
    if (random.below(2) == 0) batch.resize(1 + random.below(batch.size()));
    if (batch[0] == '{' || batch[0] == '[') continue;  // for whoever reads JSON
    publish(batch);
  }
  // An array of four thousand million events, and maps in maps.
  publish("\x93\xcb\x3f\xf0" + std::string(6, '\0') + "\xdd\xff\xff\xff\xff\xc0");
  publish(std::string(100'000, '\x81'));
  ASSERT_TRUE(wait_for([&] { return statistics().next_number == next_; }));
  EXPECT_GT(statistics().faulty, 1000u);
  EXPECT_EQ(statistics().freshness, KvFreshness::kStale);
  EXPECT_FALSE(cached(1, 8).known);
  EXPECT_LT(tracker_.statistics().memory_bytes, size_t{64} << 20);
  publish(stored(2, 4, true));
  ASSERT_TRUE(wait_for([&] { return cached(2, 4).known; }));
  EXPECT_EQ(cached(2, 4).tokens, 4 * kBlockTokens);
  EXPECT_EQ(cached(1, 8).tokens, 0u);
}

}  // namespace
}  // namespace kvasir
