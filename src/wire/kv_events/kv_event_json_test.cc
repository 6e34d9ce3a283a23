#include "wire/kv_events/kv_event_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

// The tutorial's own, comment and all.
constexpr std::string_view kTutorial = R"({
  "event_type": "BLOCK_CREATED",  // or BLOCK_EVICTED
  "pod_id": "vllm-decode-pod-3",
  "block_hash": "sha256:abc123...",
  "block_tokens": ["Hello", "world", "!"],
  "num_tokens": 64,
  "timestamp": "2025-10-26T10:30:45Z",
  "layer_id": 0,
  "cache_size_bytes": 262144
})";

TEST(KvEventJson, ReadsTheTutorialsEvent) {
  const Result<KvJsonEvents> read = read_kv_json_events(kTutorial);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->skipped, SizeIs(0));
  EXPECT_THAT(read->events, ElementsAre(KvJsonEvent{.type = KvJsonEvent::Type::kCreated,
                                                    .pod_id = "vllm-decode-pod-3",
                                                    .block_hash = "sha256:abc123...",
                                                    .layer_id = 0,
                                                    .num_tokens = 64,
                                                    .cache_size_bytes = 262144,
                                                    .timestamp = 1761474645.0}));
}

TEST(KvEventJson, ReadsArraysAndSkipsWhatItCannotUse) {
  const Result<KvJsonEvents> read = read_kv_json_events(R"([
    {"event_type": "BLOCK_EVICTED", "block_hash": "a"},
    {"event_type": "BLOCK_UPDATED", "block_hash": "a", "layer_id": -1, "num_tokens": 1.5, "pod_id": 7,
     "cache_size_bytes": "x", "timestamp": "yesterday"},
    {"event_type": "BLOCK_RENAMED", "block_hash": "a"}, {"block_hash": "a"}, {"event_type": "BLOCK_CREATED"}, 5])");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_THAT(read->events,
              ElementsAre(KvJsonEvent{.type = KvJsonEvent::Type::kEvicted, .block_hash = "a"},
                          KvJsonEvent{.type = KvJsonEvent::Type::kUpdated, .block_hash = "a"}));
  EXPECT_THAT(read->skipped,
              ElementsAre("an event of an unknown type, or without one",
                          "an event of an unknown type, or without one",
                          "an event without a block_hash", "an event is not an object"));
}

TEST(KvEventJson, EveryTruncationIsRefused) {
  for (size_t bytes = 0; bytes < kTutorial.size(); ++bytes) {
    const std::string cut(kTutorial.substr(0, bytes));
    const Result<KvJsonEvents> read = read_kv_json_events(cut);
    ASSERT_FALSE(read) << cut;
    EXPECT_THAT(read.error().message, HasSubstr("not JSON"));
  }
}

TEST(KvEventJson, LongTextsAreRefusedAndDeepOnesEnd) {
  const Result<KvJsonEvents> read = read_kv_json_events(std::string(kKvJsonBytesMax + 1, ' '));
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message, HasSubstr("more than"));
  const size_t depth = kKvJsonBytesMax / 2;
  EXPECT_TRUE(read_kv_json_events(std::string(depth, '[') + std::string(depth, ']')));
}

TEST(KvEventJson, ABlocksNameIsTheEndOfItsDigest) {
  const std::string digest = "7235f837d217eb40003197e4e27040edecc66c7d7fe49f86f5b600d19aef97ac";
  EXPECT_EQ(kv_block_name(digest), 17705339885301241772u);
  EXPECT_EQ(kv_block_name("sha256:" + digest), 17705339885301241772u);
  EXPECT_EQ(kv_block_name("sha256:abc123..."), kv_block_name("sha256:abc123..."));
  EXPECT_NE(kv_block_name("sha256:abc123..."), kv_block_name("sha256:def456..."));
}

}  // namespace
}  // namespace kvasir
