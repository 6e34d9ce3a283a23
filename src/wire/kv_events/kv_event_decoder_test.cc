#include "wire/kv_events/kv_event_decoder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>

#include "wire/kv_events/kv_event_fixture.h"
#include "wire/kv_events/kv_event_vectors_fixture.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;
using Json = nlohmann::json;

struct Decoded {
  Result<KvBatchHead> head = Error{"not decoded"};
  std::vector<RecordedKvEvent> events;
};

Decoded decode(std::string_view batch, KvEventLimits limits = {}) {
  KvEventDecoder decoder(limits);
  KvEventRecorder recorder;
  Result<KvBatchHead> head = decoder.decode(batch, recorder);
  return {std::move(head), std::move(recorder.events)};
}

// A batch of these events, written by another library. Bytes and whole numbers stay what they are.
Decoded decode_json(const Json& events) {
  const std::vector<uint8_t> bytes = Json::to_msgpack(Json::array({1.0, events, 0}));
  return decode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

RecordedKvEvent one_block() {
  return {
      .type = "stored", .hashes = {17705339885301241772u}, .tokens = {1, 2, 3, 4}, .block_size = 4};
}

TEST(KvEventDecoder, VectorsInBothFormsSayTheSame) {
  const RecordedKvEvent removed = {.type = "removed", .hashes = {17705339885301241772u}};
  const RecordedKvEvent cleared = {.type = "cleared"};
  EXPECT_THAT(decode(from_hex(kStoredArrayVector)).events, ElementsAre(one_block()));
  EXPECT_THAT(decode(from_hex(kStoredDigestVector)).events, ElementsAre(one_block()));
  EXPECT_THAT(decode(from_hex(kStoredMapVector)).events, ElementsAre(one_block()));
  EXPECT_THAT(decode(from_hex(kRemovedArrayVector)).events, ElementsAre(removed, cleared));
  EXPECT_THAT(decode(from_hex(kRemovedMapVector)).events, ElementsAre(removed, cleared));
  const Decoded decoded = decode(from_hex(kStoredMapVector));
  ASSERT_TRUE(decoded.head) << decoded.head.error().message;
  EXPECT_EQ(decoded.head->timestamp, 1.0);
  EXPECT_EQ(decoded.head->data_parallel_rank, 0u);
}

TEST(KvEventDecoder, FormIsDecidedForEachEvent) {
  const Json events = {{"AllBlocksCleared"},
                       {{"type", "BlockRemoved"}, {"block_hashes", {1, 2}}, {"medium", "CPU"}},
                       {"BlockRemoved", {3}, "disk", 7}};
  EXPECT_THAT(
      decode_json(events).events,
      ElementsAre(RecordedKvEvent{.type = "cleared"},
                  RecordedKvEvent{.type = "removed", .hashes = {1, 2}, .medium = KvMedium::kCpu},
                  RecordedKvEvent{
                      .type = "removed", .hashes = {3}, .medium = KvMedium::kStorage, .group = 7}));
}

TEST(KvEventDecoder, BatchMayBeAMap) {
  const Json batch = {{"events", {{"AllBlocksCleared"}}},
                      {"ts", 2},
                      {"data_parallel_rank", 3},
                      {"more", {1, {{"a", 2}}}}};
  const std::vector<uint8_t> bytes = Json::to_msgpack(batch);
  const Decoded decoded = decode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  ASSERT_TRUE(decoded.head) << decoded.head.error().message;
  EXPECT_EQ(decoded.head->timestamp, 2.0);
  EXPECT_EQ(decoded.head->data_parallel_rank, 3u);
  EXPECT_THAT(decoded.events, ElementsAre(RecordedKvEvent{.type = "cleared"}));
}

TEST(KvEventDecoder, TheRankIsReadWithoutTheEvents) {
  EXPECT_EQ(data_parallel_rank(from_hex("93 01 91 92 a1 78 c0 03")), 3u);
  EXPECT_EQ(data_parallel_rank(from_hex("94 01 90 cc c8 c0")), 200u) << "more items may follow";
  EXPECT_EQ(data_parallel_rank(from_hex("81 ac 617474 6e5f64705f72616e6b 05")), 5u);
  for (const char* none : {"92 01 90", "93 01 90 c0", "93 01 90 ff", "93 01 91", "80", "05", ""}) {
    EXPECT_EQ(data_parallel_rank(from_hex(none)), std::nullopt) << none;
  }
}

TEST(KvEventDecoder, BatchMayLackTheRankOrHaveMoreItems) {
  EXPECT_TRUE(decode(from_hex("92 01 90")).head);
  EXPECT_EQ(decode(from_hex("92 01 90")).head->data_parallel_rank, std::nullopt);
  EXPECT_EQ(decode(from_hex("93 01 90 c0")).head->data_parallel_rank, std::nullopt);
  EXPECT_TRUE(decode(from_hex("95 01 90 c0 91 05 a1 78")).head);
}

TEST(KvEventDecoder, HashesAreSignedUnsignedOrTheEndOfADigest) {
  const Json events = {
      {"BlockStored",
       {-1, 18446744073709551615u, Json::binary({0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}),
        Json::binary({9, 0, 0, 0, 0, 0, 0, 0, 1}), Json::binary({1, 2})},
       -2,
       Json::array(),
       16}};
  const Decoded decoded = decode_json(events);
  ASSERT_THAT(decoded.events, SizeIs(1));
  EXPECT_THAT(decoded.events[0].hashes,
              ElementsAre(UINT64_MAX, UINT64_MAX, UINT64_MAX, 1u, 0x0102u));
  EXPECT_EQ(decoded.events[0].parent, UINT64_MAX - 1);
}

// Its third item is attn_dp_rank; the seventh field is a map of more fields, or absent.
TEST(KvEventDecoder, SglangArraysMayCarryAMapOfFields) {
  const Json old = {"BlockStored", {5}, nullptr, {1, 2}, 2, nullptr};
  const Json with_map = {"BlockStored",
                         {5},
                         nullptr,
                         {1, 2},
                         2,
                         nullptr,
                         "CPU_TIER1",
                         {{"cache_salt", "tenant"}, {"session_id", "s"}}};
  RecordedKvEvent event = {.type = "stored", .hashes = {5}, .tokens = {1, 2}, .block_size = 2};
  EXPECT_THAT(decode_json(Json::array({old})).events, ElementsAre(event));
  event.medium = KvMedium::kCpu;
  event.cache_salt = "tenant";
  EXPECT_THAT(decode_json(Json::array({with_map})).events, ElementsAre(event));
}

TEST(KvEventDecoder, SglangMapsNameSaltAndAdapter) {
  const Json event = {{"type", "BlockStored"},  {"block_hashes", {5}}, {"parent_block_hash", 4},
                      {"token_ids", {7}},       {"block_size", 1},     {"lora_id", nullptr},
                      {"cache_salt", "tenant"}, {"session_id", "s"},   {"lora_name", "poet"}};
  EXPECT_THAT(decode_json(Json::array({event})).events,
              ElementsAre(RecordedKvEvent{.type = "stored",
                                          .hashes = {5},
                                          .parent = 4,
                                          .tokens = {7},
                                          .block_size = 1,
                                          .lora_name = "poet",
                                          .cache_salt = "tenant"}));
}

TEST(KvEventDecoder, TokensInPairsAreSkipped) {
  const Json events = {{"BlockStored", {5}, nullptr, {{1, 2}, {2, 3}}, 2, nullptr},
                       {"AllBlocksCleared"}};
  EXPECT_THAT(decode_json(events).events,
              ElementsAre(RecordedKvEvent{.type = "skipped", .why = "tokens in pairs"},
                          RecordedKvEvent{.type = "cleared"}));
}

TEST(KvEventDecoder, ExtraKeysAreAdapterSaltAndTheRest) {
  const auto stored = [](const Json& parent, const Json& lora, const Json& extra_keys) {
    return Json{"BlockStored", {5, 6}, parent, {1, 2}, 1, nullptr, "GPU", lora, extra_keys};
  };
  const Decoded decoded = decode_json(
      {stored(nullptr, nullptr, {{"tenant"}, nullptr}),
       stored(nullptr, "poet", {{"poet"}, {"poet"}}),
       stored(nullptr, "poet", {{"poet", {"image", 3}, "tenant"}, {"poet", {"image", -13}}}),
       stored(4, nullptr, {{"image"}, {"image"}}), stored(4, nullptr, {nullptr, nullptr})});
  ASSERT_THAT(decoded.events, SizeIs(5));
  EXPECT_EQ(decoded.events[0].cache_salt, "tenant");
  EXPECT_THAT(decoded.events[0].extras, SizeIs(0));
  EXPECT_EQ(decoded.events[1].lora_name, "poet");
  EXPECT_EQ(decoded.events[1].cache_salt, "");
  EXPECT_THAT(decoded.events[1].extras, SizeIs(0));
  EXPECT_EQ(decoded.events[2].cache_salt, "tenant");
  ASSERT_THAT(decoded.events[2].extras, SizeIs(2));
  EXPECT_NE(decoded.events[2].extras[0], 0u);
  EXPECT_NE(decoded.events[2].extras[0], decoded.events[2].extras[1])
      << "another place in the image";
  EXPECT_EQ(decoded.events[3].cache_salt, "") << "a block with a predecessor has no salt";
  ASSERT_THAT(decoded.events[3].extras, SizeIs(2));
  EXPECT_EQ(decoded.events[3].extras[0], decoded.events[3].extras[1]);
  EXPECT_THAT(decoded.events[4].extras, SizeIs(0));
}

TEST(KvEventDecoder, FieldsMayComeInAnyOrder) {
  // nlohmann's maps are sorted: extra_keys before lora_name, type last.
  const Json event = {{"type", "BlockStored"},
                      {"block_hashes", {5}},
                      {"parent_block_hash", nullptr},
                      {"token_ids", {7}},
                      {"block_size", 1},
                      {"medium", "gpu"},
                      {"lora_name", "poet"},
                      {"extra_keys", Json::array({Json::array({"poet", "tenant"})})},
                      {"group_idx", 2},
                      {"another", {{"deep", {1, 2}}}},
                      {"kv_cache_spec_kind", "sliding_window"}};
  EXPECT_THAT(decode_json(Json::array({event})).events,
              ElementsAre(RecordedKvEvent{.type = "stored",
                                          .hashes = {5},
                                          .tokens = {7},
                                          .block_size = 1,
                                          .lora_name = "poet",
                                          .cache_salt = "tenant",
                                          .group = 2,
                                          .spec = KvSpecKind::kPartial}));
}

TEST(KvEventDecoder, TokenIdsOfEveryWidth) {
  std::vector<uint32_t> tokens = {0, 127, 128, 255, 256, 65535, 65536, 151'643, UINT32_MAX};
  for (uint32_t i = 0; i < 300; ++i) tokens.push_back(i * i * 37);
  const Json event = {"BlockStored", {5}, nullptr, tokens, tokens.size()};
  ASSERT_THAT(decode_json(Json::array({event})).events, SizeIs(1));
  EXPECT_EQ(decode_json(Json::array({event})).events[0].tokens, tokens);
}

TEST(KvEventDecoder, UnusableEventsAreSkippedAndTheOthersCome) {
  struct Case {
    Json event;
    const char* why;
  };
  const std::vector<Case> cases = {
      {{"BlockUpdated", {1}}, "an event of an unknown type"},
      {{{"type", "Block"}, {"x", {1, 2}}}, "an event of an unknown type"},
      {{{"x", 1}}, "an event without a type"},
      {{{"type", 5}}, "an event without a type"},
      {Json::array(), "an event without a type"},
      {{5}, "an event without a type"},
      {5, "an event is neither an array nor a map"},
      {{"BlockStored"}, "blocks stored, but none named"},
      {{"BlockRemoved"}, "blocks removed, but none named"},
      {{"BlockStored", {"text"}}, "a block hash is neither a number nor bytes"},
      {{"BlockStored", "text"}, "block_hashes is not an array"},
      {{"BlockStored", {1}, "text"}, "parent_block_hash is neither a number nor bytes"},
      {{"BlockStored", {1}, nullptr, "text"}, "token_ids is not an array"},
      {{"BlockStored", {1}, nullptr, {1, -2}, 2}, "a token id is not a number of 32 bits"},
      {{"BlockStored", {1}, nullptr, {1, 4294967296}, 2}, "a token id is not a number of 32 bits"},
      {{"BlockStored", {1}, nullptr, {1, 2}}, "block_size is missing, 0, or too large"},
      {{"BlockStored", {1}, nullptr, {1, 2}, 0}, "block_size is missing, 0, or too large"},
      {{"BlockStored", {1}, nullptr, {1, 2}, 1 << 20}, "block_size is missing, 0, or too large"},
      {{"BlockStored", {1}, nullptr, {1, 2}, -2}, "block_size is not a number"},
      {{"BlockStored", {1}, nullptr, {1, 2}, 3}, "token_ids are not those of whole blocks"},
      {{"BlockStored", {1}, nullptr, {1, 2}, 2, 9}, "an adapter that is named by its number alone"},
      {{"BlockStored", {1}, nullptr, {1, 2}, 2, nullptr, 5}, "medium is not a text"},
      {{"BlockStored", {1}, nullptr, {1, 2}, 2, nullptr, "GPU", 5}, "lora_name is not a text"},
      {{"BlockStored", {1}, nullptr, {1, 2}, 2, nullptr, "GPU", nullptr, {nullptr, nullptr}},
       "extra_keys are not one for each block"},
      {{"BlockStored", {1}, nullptr, {1, 2}, 2, nullptr, "GPU", nullptr, {5}},
       "the extra keys of a block are not an array"},
      {{"BlockStored", {1}, nullptr, {1, 2}, 2, nullptr, "GPU", nullptr, nullptr, "x"},
       "group_idx is not a number"},
      {{"BlockStored",
        {1},
        nullptr,
        {1, 2},
        2,
        nullptr,
        "GPU",
        {{"lora_name", {{"lora_name", "x"}}}}},
       "maps of fields in each other"},
  };
  for (const Case& each : cases) {
    const Decoded decoded = decode_json({each.event, {"AllBlocksCleared"}});
    EXPECT_TRUE(decoded.head) << each.event;
    EXPECT_THAT(decoded.events, ElementsAre(RecordedKvEvent{.type = "skipped", .why = each.why},
                                            RecordedKvEvent{.type = "cleared"}))
        << each.event;
  }
}

TEST(KvEventDecoder, MoreThanItsLimitsIsSkippedOrRefused) {
  const std::string batch = from_hex(kStoredMapVector);
  EXPECT_THAT(decode(batch, {.blocks_max = 0}).events[0].why, "an event with too many blocks");
  EXPECT_THAT(decode(batch, {.tokens_max = 3}).events[0].why, "an event with too many tokens");
  EXPECT_THAT(decode(batch, {.block_size_max = 3}).events[0].why,
              "block_size is missing, 0, or too large");
  const Decoded refused = decode(batch, {.batch_bytes_max = batch.size() - 1});
  ASSERT_FALSE(refused.head);
  EXPECT_THAT(refused.head.error().message, HasSubstr("bytes, more than"));
}

TEST(KvEventDecoder, FaultsNameTheByte) {
  struct Case {
    const char* bytes;
    const char* why;
  };
  const std::vector<Case> cases = {
      {"", "byte 0: the bytes end within a value"},
      {"05", "byte 1: a batch is neither an array nor a map"},
      {"91 01", "byte 1: a batch has a time and events"},
      {"92 01 05", "byte 3: the events of a batch are not an array"},
      {"92 a0 90", "byte 2: the time of a batch is not a number"},
      {"92 01 90 00", "byte 3: more bytes follow"},
      {"92 01 91 c1", "byte 4: a byte that msgpack does not have"},
      {"92 01 91 91 05 00", "byte 5: more bytes follow"},
      {"93 01 91 93 ab 42 6c 6f 63 6b", "byte 5: a text is longer"},
      {"92 01 dd 40 00 00 00", "byte 7: an array or a map has more values"},
      {"92 01 df ff ff ff ff 00", "byte 7: an array or a map has more values"},
      {"92 01 c6 40 00 00 00", "byte 7: a text is longer"},
      {"92 01 91 92 ab 42 6c 6f 63 6b 53 74 6f 72 65 64 dd 40 00 00 00",
       "byte 21: an array or a map has more values"},
      {"dd 00", "byte 1: the bytes end within a value"},
  };
  for (const Case& each : cases) {
    const Decoded decoded = decode(from_hex(each.bytes));
    ASSERT_FALSE(decoded.head) << each.bytes;
    EXPECT_THAT(decoded.head.error().message, HasSubstr(each.why)) << each.bytes;
  }
}

TEST(KvEventDecoder, EventsBeforeAFaultAreTold) {
  const Decoded decoded = decode(from_hex("92 01 92 91 b0 416c6c426c6f636b73436c6561726564 91 c1"));
  EXPECT_FALSE(decoded.head);
  EXPECT_THAT(decoded.events, ElementsAre(RecordedKvEvent{.type = "cleared"}));
}

TEST(KvEventDecoder, EveryTruncationIsAFault) {
  for (const char* vector : kKvEventVectors) {
    const std::string whole = from_hex(vector);
    for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
      const std::string cut =
          whole.substr(0, bytes);  // of its own, so that a sanitizer sees its end
      EXPECT_FALSE(decode(cut).head) << vector << " cut to " << bytes;
    }
  }
}

TEST(KvEventDecoder, DepthCostsNothing) {
  const std::string deep(1'000'000, '\x91');
  EXPECT_FALSE(decode("\x92\x01\x91" + deep).head);
  const Decoded decoded = decode("\x92\x01\x91" + deep + '\xc0');
  EXPECT_TRUE(decoded.head);
  EXPECT_THAT(decoded.events,
              ElementsAre(RecordedKvEvent{.type = "skipped", .why = "an event without a type"}));
}

TEST(KvEventDecoder, MutationsEndInAResult) {
  std::mt19937 random(7);
  KvEventDecoder decoder;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = from_hex(kKvEventVectors[random() % kKvEventVectors.size()]);
    for (size_t left = 1 + random() % 3; left > 0; --left) {
      bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    KvEventRecorder recorder;
    (void)decoder.decode(std::string_view(bytes), recorder).ok();
    for (const RecordedKvEvent& event : recorder.events) {
      if (event.type == "stored" && !event.tokens.empty()) {
        EXPECT_EQ(event.tokens.size(), event.hashes.size() * event.block_size);
      }
    }
  }
}

// What a real vLLM 0.32.0 published (tests/vllm/kv_events): each block's tokens are those of a
// prompt, or were generated behind it.
TEST(KvEventDecoder, ReadsWhatARealVllmPublished) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  ASSERT_NE(root, nullptr);
  for (const char* name : {"sha256_cbor", "xxhash_cbor"}) {
    std::ifstream file(std::string(root) + "/tests/vllm/kv_events/vllm-0.32.0-cpu-" + name +
                       ".jsonl");
    ASSERT_TRUE(file);
    size_t stored = 0, removed = 0, cleared = 0, skipped = 0, salted = 0;
    for (std::string line; std::getline(file, line);) {
      const Json entry = Json::parse(line);
      if (entry["kind"] != "event") continue;
      const Decoded decoded = decode(from_hex(entry["payload_hex"].get<std::string>()));
      ASSERT_TRUE(decoded.head) << decoded.head.error().message;
      for (const RecordedKvEvent& event : decoded.events) {
        stored += event.type == "stored" ? event.hashes.size() : 0;
        removed += event.type == "removed" ? event.hashes.size() : 0;
        cleared += event.type == "cleared" ? 1 : 0;
        skipped += event.type == "skipped" ? 1 : 0;
        salted += event.cache_salt.empty() ? 0 : 1;
        EXPECT_EQ(event.tokens.size(), event.type == "stored" ? 32 * event.hashes.size() : 0);
      }
    }
    EXPECT_EQ(skipped, 0u);
    EXPECT_EQ(cleared, 1u);
    EXPECT_EQ(salted, 2u) << "tenant-a and tenant-b";
    EXPECT_EQ(stored, 90u);
    EXPECT_EQ(removed, 39u);
  }
}

}  // namespace
}  // namespace kvasir
