#include "kvevents/expected_prefixes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace kvasir {
namespace {

using std::chrono::seconds;

constexpr Duration kLifetime = seconds(10);
constexpr TimePoint kBegin = TimePoint(seconds(100));

// One record for each block, and a walk over all of them for each question.
class NaivePrefixes {
 public:
  explicit NaivePrefixes(size_t blocks_max) : blocks_max_(blocks_max) {}
  void add(uint32_t endpoint, const std::vector<BlockHash>& chain, size_t first, TimePoint now) {
    while (!records_.empty() && records_.front().until <= now) records_.pop_front();
    for (size_t i = first; i < chain.size(); ++i) {
      if (records_.size() == blocks_max_) records_.pop_front();
      records_.push_back({endpoint, chain[i], now + kLifetime});
    }
  }
  size_t count(uint32_t endpoint, const std::vector<BlockHash>& chain, size_t first,
               TimePoint now) const {
    size_t at = first;
    while (at < chain.size() && expects(endpoint, chain[at], now)) ++at;
    return at - first;
  }
  void forget(uint32_t endpoint) {
    for (Record& record : records_) {
      if (record.endpoint == endpoint) record.endpoint = UINT32_MAX;
    }
  }
  size_t size() const { return records_.size(); }

 private:
  struct Record {
    uint32_t endpoint;
    BlockHash hash;
    TimePoint until;
  };
  bool expects(uint32_t endpoint, BlockHash hash, TimePoint now) const {
    return std::any_of(records_.begin(), records_.end(), [&](const Record& record) {
      return record.endpoint == endpoint && record.hash == hash && record.until > now;
    });
  }

  const size_t blocks_max_;
  std::deque<Record> records_;
};

TEST(ExpectedPrefixes, AreThoseOfANaiveList) {
  constexpr size_t kEndpoints = 3;
  for (const size_t blocks_max : {1u, 20u, 60u, 500u}) {
    ExpectedPrefixes prefixes(blocks_max, kEndpoints);
    NaivePrefixes naive(blocks_max);
    Random random(blocks_max);
    TimePoint now = kBegin;
    for (int round = 0; round < 3'000; ++round) {
      now += seconds(random.below(4));
      // Chains of a few kinds, which share their beginnings.
      std::vector<BlockHash> hashes(random.below(30));
      std::iota(hashes.begin(), hashes.end(), 1 + 100 * random.below(3));
      const size_t first = random.below(6);
      const auto endpoint = static_cast<uint32_t>(random.below(kEndpoints));
      KnownChain chain(hashes);
      ASSERT_EQ(prefixes.count(EndpointId(endpoint), chain, first, now),
                naive.count(endpoint, hashes, first, now));
      if (random.below(20) == 0) {
        prefixes.forget(EndpointId(endpoint));
        naive.forget(endpoint);
      } else if (random.below(2) == 0) {
        prefixes.add(EndpointId(endpoint), chain, first, now, now + kLifetime);
        naive.add(endpoint, hashes, first, now);
      }
      ASSERT_EQ(prefixes.size(), naive.size());
    }
  }
}

TEST(ExpectedPrefixes, NothingIsExpectedOfWhoIsBeyondTheLimitOrForNoTime) {
  ExpectedPrefixes prefixes(10, 2);
  const std::vector<BlockHash> hashes = {1, 2, 3};
  KnownChain chain(hashes);
  prefixes.add(EndpointId(2), chain, 0, kBegin, kBegin + kLifetime);
  prefixes.add(EndpointId(1), chain, 0, kBegin, kBegin);
  EXPECT_EQ(prefixes.size(), 0u);
  EXPECT_FALSE(prefixes.any(EndpointId(1)));
  EXPECT_FALSE(prefixes.any(EndpointId(2)));
  prefixes.add(EndpointId(1), chain, 0, kBegin, kBegin + kLifetime);
  EXPECT_TRUE(prefixes.any(EndpointId(1)));
  EXPECT_EQ(prefixes.count(EndpointId(1), chain, 0, kBegin), 3u);
  EXPECT_EQ(prefixes.count(EndpointId(1), chain, 0, kBegin + kLifetime), 0u);
}

}  // namespace
}  // namespace kvasir
