#include "wire/kv_events/kv_event_encoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <vector>

#include "wire/kv_events/kv_event_decoder.h"
#include "wire/kv_events/kv_event_fixture.h"
#include "wire/kv_events/kv_event_vectors_fixture.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::SizeIs;

constexpr uint64_t kHash[] = {17705339885301241772u};
constexpr uint32_t kTokens[] = {1, 2, 3, 4};

std::string stored_batch(KvEventForm form) {
  KvEventEncoder encoder(form);
  encoder.begin(1.0);
  encoder.stored({.block_hashes = kHash, .token_ids = kTokens, .block_size = 4});
  return encoder.finish(0);
}

std::string removed_batch(KvEventForm form) {
  KvEventEncoder encoder(form);
  encoder.begin(1.0);
  encoder.removed({.block_hashes = kHash});
  encoder.all_cleared();
  return encoder.finish(0);
}

TEST(KvEventEncoder, WritesTheVectorsByteForByte) {
  EXPECT_EQ(stored_batch(KvEventForm::kMap), from_hex(kStoredMapVector));
  EXPECT_EQ(stored_batch(KvEventForm::kArray), from_hex(kStoredArrayVector));
  EXPECT_EQ(removed_batch(KvEventForm::kMap), from_hex(kRemovedMapVector));
  EXPECT_EQ(removed_batch(KvEventForm::kArray), from_hex(kRemovedArrayVector));
}

TEST(KvEventEncoder, IsUsedAgain) {
  KvEventEncoder encoder;
  encoder.begin(2.0);
  encoder.all_cleared();
  encoder.finish(7);
  encoder.begin(1.0);
  encoder.removed({.block_hashes = kHash});
  encoder.all_cleared();
  EXPECT_EQ(encoder.events(), 2u);
  EXPECT_EQ(encoder.finish(0), from_hex(kRemovedMapVector));
}

// Writes what it is told.
class EncodingSink final : public KvEventSink {
 public:
  explicit EncodingSink(KvEventEncoder& encoder) : encoder_(encoder) {}
  void on_stored(const KvBlocksStored& event) override { encoder_.stored(event); }
  void on_removed(const KvBlocksRemoved& event) override { encoder_.removed(event); }
  void on_all_cleared() override { encoder_.all_cleared(); }
  void on_skipped(std::string_view why) override { FAIL() << why; }

 private:
  KvEventEncoder& encoder_;
};

TEST(KvEventEncoder, WritesWhatARealVllmPublishedByteForByte) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  ASSERT_NE(root, nullptr);
  std::ifstream file(std::string(root) + "/tests/vllm/kv_events/vllm-0.32.0-cpu-sha256_cbor.jsonl");
  ASSERT_TRUE(file);
  KvEventDecoder decoder;
  KvEventEncoder encoder;
  EncodingSink sink(encoder);
  size_t frames = 0;
  for (std::string line; std::getline(file, line);) {
    const nlohmann::json entry = nlohmann::json::parse(line);
    if (entry["kind"] != "event") continue;
    const std::string frame = from_hex(entry["payload_hex"].get<std::string>());
    KvEventRecorder nothing;
    const Result<KvBatchHead> head = decoder.decode(frame, nothing);
    ASSERT_TRUE(head);
    encoder.begin(head->timestamp);
    ASSERT_TRUE(decoder.decode(frame, sink));
    EXPECT_EQ(encoder.finish(*head->data_parallel_rank), frame) << "frame " << frames;
    ++frames;
  }
  EXPECT_EQ(frames, 19u);
}

TEST(KvEventEncoder, WhatItWritesIsReadAgain) {
  std::vector<uint64_t> hashes;
  std::vector<uint32_t> tokens;
  for (uint64_t i = 0; i < 70'000; ++i) {
    hashes.push_back(i * i * i * 977);
    tokens.push_back(static_cast<uint32_t>(i * i * 31));
  }
  const std::vector<uint64_t> none(hashes.size());
  const std::string long_name(70'000, 'n');
  for (const KvEventForm form : {KvEventForm::kMap, KvEventForm::kArray}) {
    KvEventEncoder encoder(form);
    encoder.begin(5.5);
    encoder.stored({.block_hashes = hashes, .token_ids = tokens, .block_size = 1, .extras = none});
    for (const std::string& name : {std::string(40, 'x'), std::string(300, 'x'), long_name}) {
      encoder.stored({.block_hashes = kHash,
                      .token_ids = kTokens,
                      .block_size = 4,
                      .medium = KvMedium::kCpu,
                      .lora_name = name,
                      .cache_salt = name,
                      .group = 3,
                      .spec = KvSpecKind::kPartial});
    }
    encoder.stored({.block_hashes = kHash, .parent_block_hash = 9});
    encoder.removed({.block_hashes = hashes, .medium = KvMedium::kStorage, .group = 300});
    KvEventRecorder recorder;
    KvEventDecoder decoder;
    const Result<KvBatchHead> head = decoder.decode(encoder.finish(200), recorder);
    ASSERT_TRUE(head) << head.error().message;
    EXPECT_EQ(head->timestamp, 5.5);
    EXPECT_EQ(head->data_parallel_rank, 200u);
    ASSERT_THAT(recorder.events, SizeIs(6));
    EXPECT_EQ(
        recorder.events[0],
        (RecordedKvEvent{.type = "stored", .hashes = hashes, .tokens = tokens, .block_size = 1}));
    EXPECT_EQ(recorder.events[3], (RecordedKvEvent{.type = "stored",
                                                   .hashes = {kHash[0]},
                                                   .tokens = {1, 2, 3, 4},
                                                   .block_size = 4,
                                                   .medium = KvMedium::kCpu,
                                                   .lora_name = long_name,
                                                   .cache_salt = long_name,
                                                   .group = 3,
                                                   .spec = KvSpecKind::kPartial}));
    EXPECT_EQ(recorder.events[4],
              (RecordedKvEvent{.type = "stored", .hashes = {kHash[0]}, .parent = 9}));
    EXPECT_EQ(
        recorder.events[5],
        (RecordedKvEvent{
            .type = "removed", .hashes = hashes, .medium = KvMedium::kStorage, .group = 300}));
  }
}

TEST(KvMedium, IsReadAsItIsWritten) {
  for (const KvMedium medium :
       {KvMedium::kGpu, KvMedium::kCpu, KvMedium::kStorage, KvMedium::kOther}) {
    EXPECT_EQ(kv_medium(kv_medium_name(medium)), medium);
  }
}

TEST(KvEventEncoder, ExtrasAreSeenAsSomethingElseInTheBlock) {
  const uint64_t hashes[] = {1, 2, 3};
  const uint64_t extras[] = {77, 0, 77};
  const uint32_t tokens[] = {1, 2, 3};
  KvEventEncoder encoder;
  encoder.begin(1.0);
  encoder.stored({.block_hashes = hashes,
                  .token_ids = tokens,
                  .block_size = 1,
                  .cache_salt = "tenant",
                  .extras = extras});
  KvEventRecorder recorder;
  KvEventDecoder decoder;
  ASSERT_TRUE(decoder.decode(encoder.finish(0), recorder));
  ASSERT_THAT(recorder.events, SizeIs(1));
  EXPECT_EQ(recorder.events[0].cache_salt, "tenant");
  const std::vector<uint64_t>& read = recorder.events[0].extras;
  EXPECT_THAT(read, ElementsAre(testing::Ne(0u), 0u, read.at(0)));
}

}  // namespace
}  // namespace kvasir
