// The feed and a CacheTracker: batches as engines write them, whole, broken and hostile.
#include <gtest/gtest.h>
#include <zmq.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/big_endian.h"
#include "base/guarded.h"
#include "base/random.h"
#include "hashing/token_blocks.h"
#include "kvevents/cache_tracker.h"
#include "kvevents/event_feed.h"
#include "kvevents/event_publisher_fixture.h"
#include "wire/kv_events/kv_event_encoder.h"

namespace kvasir {
namespace {

constexpr uint32_t kBlockTokens = 16;

class Listener final : public KvEventProbe {
 public:
  std::string unusable() const {
    return unusable_.with([](const std::string& why) { return why; });
  }

 private:
  void on_subscribed(const Endpoint&, uint32_t, bool) override {}
  void on_lost(const Endpoint&, uint32_t, std::string_view) override {}
  void on_restarted(const Endpoint&, uint32_t) override {}
  void on_recovered(const Endpoint&, uint32_t, uint64_t, KvFreshness) override {}
  void on_unusable(const Endpoint&, uint32_t, std::string_view why) override {
    unusable_.with([&](std::string& all) { all += std::string(why) + "\n"; });
  }

  Guarded<std::string> unusable_;
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
  std::string stored(uint32_t sequence, size_t blocks, bool clear_before = false,
                     KvSpecKind spec = KvSpecKind::kFull) {
    const std::vector<uint32_t> tokens = tokens_of(sequence, blocks);
    std::vector<uint64_t> hashes(blocks);
    for (size_t i = 0; i < blocks; ++i) hashes[i] = sequence * 1000 + i;
    KvBlocksStored event;
    event.block_hashes = hashes;
    event.token_ids = tokens;
    event.block_size = kBlockTokens;
    event.spec = spec;
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
  Listener probe_;
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

// An empty cache, as far as anybody knows it, would be worse than a guess.
TEST_F(FeedAndTracker, AnEngineWhoseEventsCannotBeUsedIsGuessed) {
  const auto becomes = [&](KvFreshness freshness) {
    return wait_for([&] { return statistics().freshness == freshness; });
  };
  const std::string partial = stored(1, 2, false, KvSpecKind::kPartial);
  publish(partial);
  EXPECT_TRUE(becomes(KvFreshness::kUnusable));
  EXPECT_FALSE(cached(1, 2).known);
  // SGLang's, with speculative decoding.
  const std::string in_pairs = std::string("\x92\xcb\x3f\xf8\0\0\0\0\0\0\x91\x96\xab", 13) +
                               "BlockStored\x91\x07\xc0\x92\x92\x01\x02\x92\x02\x03\x02\xc0";
  publish(in_pairs);
  publish(stored(2, 4));
  EXPECT_TRUE(becomes(KvFreshness::kExact));
  EXPECT_EQ(cached(2, 4).tokens, 4 * kBlockTokens);
  publish(in_pairs);  // not alone: more is there than is known
  publish(partial);
  EXPECT_TRUE(wait_for([&] { return statistics().next_number == next_; }));
  EXPECT_EQ(cached(2, 4).tokens, 4 * kBlockTokens);
  encoder_.begin(1.5);
  encoder_.all_cleared();
  publish(encoder_.finish(0));
  EXPECT_TRUE(wait_for([&] { return cached(2, 4).known && cached(2, 4).tokens == 0; }));
  publish(in_pairs);
  EXPECT_TRUE(becomes(KvFreshness::kUnusable));
  EXPECT_FALSE(cached(2, 4).known);
  EXPECT_EQ(probe_.unusable(),
            "its blocks are of sliding windows or states, which do not say what of a prefix is "
            "there\n")
      << "once";
}

// ATOM's publisher, before its pull request 2203: it numbers nothing.
TEST_F(FeedAndTracker, AnEngineWhoseMessagesCannotBeReadIsGuessed) {
  publish(stored(1, 2));
  ASSERT_TRUE(wait_for([&] { return cached(1, 2).known; }));
  publisher_.send({"topic", stored(1, 4)});
  ASSERT_TRUE(wait_for([&] { return !cached(1, 2).known; }));
  EXPECT_EQ(statistics().freshness, KvFreshness::kUnusable);
  publish(stored(2, 2));  // nothing is missing before it
  ASSERT_TRUE(wait_for([&] { return cached(2, 2).known; }));
  EXPECT_EQ(cached(1, 2).tokens, 2 * kBlockTokens);
}

}  // namespace
}  // namespace kvasir
