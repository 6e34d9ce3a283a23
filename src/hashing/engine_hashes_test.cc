#include "hashing/engine_hashes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "wire/kv_events/kv_event_decoder.h"
#include "wire/kv_events/kv_event_fixture.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::SizeIs;
using Json = nlohmann::json;
using Tokens = std::vector<uint32_t>;

std::vector<uint64_t> hashes_of(const EngineHashOptions& options,
                                const std::vector<Tokens>& blocks) {
  EngineHashes hashes(options);
  std::vector<uint64_t> result;
  for (const Tokens& block : blocks) result.push_back(hashes.next(block));
  return result;
}

Tokens count_from(uint32_t first, size_t tokens) {
  Tokens result(tokens);
  std::iota(result.begin(), result.end(), first);
  return result;
}

std::string root_in_hex(const char* scheme, const char* seed) {
  const EngineHashes hashes({.scheme = *engine_hash_scheme(scheme), .seed = seed});
  std::string hex;
  for (const char byte : hashes.root()) {
    constexpr char kDigits[] = "0123456789abcdef";
    hex.push_back(kDigits[static_cast<uint8_t>(byte) >> 4]);
    hex.push_back(kDigits[static_cast<uint8_t>(byte) & 15]);
  }
  return hex;
}

// From vLLM 0.32.0's own functions.
TEST(EngineHashes, VllmBeginsWithTheHashOfItsSeed) {
  EXPECT_EQ(root_in_hex("vllm-sha256", "42"),
            "c0bc02c9fc92a4944335649961b9e55cc41b194bece4801e8c6ef0f0f3f5884a");
  EXPECT_EQ(root_in_hex("vllm-sha256", "0"),
            "1973e23848344dc43a988a9b478663803cfffe1243480253f9a3cf004b14aa7c");
  EXPECT_EQ(root_in_hex("vllm-sha256", "vllm-none-hash"),
            "066b1e8987e027138e98701c46128929378935f9b6cd1549105ae6b4f0d71198");
  EXPECT_EQ(root_in_hex("vllm-sha256_cbor", "42"),
            "9fa6eb003f14425eb9c8e6baacfbcaab26257357b829c7bfa74ffcc4f31c1780");
  EXPECT_EQ(root_in_hex("vllm-sha256_cbor", "0"),
            "4e1195df020de59e0d65a33a4279f1183e7ae4e5d980e309f8b55adff2e61c3e");
  EXPECT_EQ(root_in_hex("vllm-sha256_cbor", kVllmDefaultSeed.data()),
            "9bd96a485ad84efdafb72ee48a1d7a69bcead0f8f0433173941b276b9581eef0");
  EXPECT_EQ(root_in_hex("vllm-xxhash", "42"), "b6cdd80ea04b31ad0b9fc22fff500882");
  EXPECT_EQ(root_in_hex("vllm-xxhash", "0"), "6fb31cc38bba6066183f7f2104b9c051");
  EXPECT_EQ(root_in_hex("vllm-xxhash_cbor", "42"), "a9d2e63407fce1a26c9dc9d7fa2d7caf");
  EXPECT_EQ(root_in_hex("vllm-xxhash_cbor", "0"), "1ebe36576dcb573f26b99533a20aaeca");
}

// Three blocks of 16, with what else vLLM 0.32.0 puts into a hash; from its own functions, seed 42.
struct VllmVector {
  const char* scheme;
  const char* keys;
  std::vector<uint64_t> hashes;
};

const std::vector<VllmVector> kVllmVectors = {
    {"vllm-sha256", "plain", {13537124983964839233u, 17430411184795378110u, 18392747144178605274u}},
    {"vllm-sha256", "salt", {14430940424040894965u, 17577674212514100253u, 2944494160661323960u}},
    {"vllm-sha256", "lora", {10322539263259851984u, 8324745927034146230u, 2929587110718511216u}},
    {"vllm-sha256", "images", {3313258143390992868u, 2273683645748717532u, 15706987192987042665u}},
    {"vllm-sha256", "all", {18390209669312940702u, 13210798224188994158u, 14272732384919270300u}},
    {"vllm-sha256_cbor",
     "plain",
     {16368755113791554481u, 6270469204652702825u, 5564146769492053228u}},
    {"vllm-sha256_cbor",
     "salt",
     {15257775141943005062u, 4126896180920194322u, 11487369394770135375u}},
    {"vllm-sha256_cbor",
     "lora",
     {7452958715742656422u, 3430042524420262749u, 4810824440644498429u}},
    {"vllm-sha256_cbor",
     "images",
     {3407924459884336592u, 10233344803648965688u, 16512100853321282320u}},
    {"vllm-sha256_cbor",
     "all",
     {18026436140374401198u, 12507708972814364774u, 6512787419707681135u}},
    {"vllm-xxhash", "plain", {10657669173419518299u, 364270602670765997u, 18393469995360402323u}},
    {"vllm-xxhash", "salt", {7734013066880541624u, 13320367625784031091u, 10022116611185813410u}},
    {"vllm-xxhash", "lora", {3118420698059341990u, 4064295401453026815u, 8448107857911038731u}},
    {"vllm-xxhash", "images", {11033256057354328476u, 767499509249413225u, 4153417345411253453u}},
    {"vllm-xxhash", "all", {18096249395799353518u, 5620093139951502763u, 5017660511975937348u}},
    {"vllm-xxhash_cbor",
     "plain",
     {1337939855493978271u, 16800893398107074393u, 16139152301614768123u}},
    {"vllm-xxhash_cbor",
     "salt",
     {4483788508068776174u, 8441814276762395009u, 5489086803396002781u}},
    {"vllm-xxhash_cbor",
     "lora",
     {8714148891022300015u, 4978304480357594130u, 2833498925484547254u}},
    {"vllm-xxhash_cbor",
     "images",
     {17767512643312071405u, 1910720631755074701u, 4205447081468784585u}},
    {"vllm-xxhash_cbor",
     "all",
     {10239217850035979348u, 5964158541863414706u, 18339533659540815914u}},
};

std::vector<Tokens> blocks_of_vllm_vectors() {
  std::vector<Tokens> blocks(3);
  for (uint32_t block = 0; block < 3; ++block) {
    for (uint32_t i = 0; i < 16; ++i) blocks[block].push_back(7 * i * i + block * 1000);
  }
  blocks[2][3] = 2147483653u;  // beyond what pickle writes in four bytes
  blocks[2][4] = UINT32_MAX;
  blocks[2][5] = 200'000;
  return blocks;
}

TEST(EngineHashes, VllmsSchemesWithAdaptersSaltsAndImages) {
  const std::string a(64, 'a'), b(64, 'b');
  const std::vector<std::vector<EngineImage>> none(3);
  const std::vector<std::vector<EngineImage>> images = {{{a, 3}, {b, 200}}, {{b, -300}}, {}};
  const std::vector<std::vector<EngineImage>> few = {{{"x", 0}}, {}, {{"y", -1}, {"z", 1}}};
  const std::vector<Tokens> blocks = blocks_of_vllm_vectors();
  for (const VllmVector& vector : kVllmVectors) {
    const std::string keys = vector.keys;
    EngineHashOptions options = {.scheme = *engine_hash_scheme(vector.scheme), .seed = "42"};
    if (keys == "salt") options.cache_salt = "tenant-a";
    if (keys == "all") options.cache_salt = std::string(300, 's');
    if (keys == "lora" || keys == "all") options.lora_name = "poet";
    if (keys == "lora") options.lora_path = "/adapters/poet";
    const auto& in_blocks = keys == "images" ? images : keys == "all" ? few : none;
    EngineHashes hashes(options);
    for (int round = 0; round < 2; ++round) {
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_EQ(hashes.next(blocks[i], in_blocks[i]), vector.hashes[i])
            << vector.scheme << " " << keys << " block " << i;
      }
      hashes.restart();
    }
  }
}

// The first block of a prompt as vLLM 0.11 published it, without an adapter and with one.
TEST(EngineHashes, VllmBeforeItToldKeysApart) {
  const Tokens tokens = {2082, 1113, 2142, 374,   264, 4948, 19128, 323,
                         7203, 429,  374,  66351, 938, 315,  11198, 323};
  EngineHashOptions options = {
      .scheme = EngineHashScheme::kVllmSha256Cbor, .seed = "42", .bare_keys = true};
  EXPECT_THAT(hashes_of(options, {tokens}), ElementsAre(17705339885301241772u));
  options.lora_name = "Alice";
  EXPECT_THAT(hashes_of(options, {tokens}), ElementsAre(9643097150530800701u));
}

TEST(EngineHashes, SglangsScheme) {
  const EngineHashOptions options = {.scheme = EngineHashScheme::kSglang};
  EXPECT_THAT(hashes_of(options, {count_from(1, 16), count_from(17, 16)}),
              ElementsAre(8635429971592222890u, 1256577331724852459u));
}

TEST(EngineHashes, RequestKeysOfLlmd) {
  EngineHashOptions options = {.scheme = EngineHashScheme::kLlmdCborFnv, .model = "Qwen/Qwen3-8B"};
  const std::vector<Tokens> blocks = {count_from(1, 16), count_from(17, 16)};
  EXPECT_THAT(hashes_of(options, blocks),
              ElementsAre(17921632867750233268u, 17774900929197455828u));
  options.scheme = EngineHashScheme::kLlmdXxh64;
  EXPECT_THAT(hashes_of(options, blocks), ElementsAre(3228253070614568203u, 188668606491624533u));

  options.cache_salt = "tenant";
  const EngineImage image = {"img", 5};
  EngineHashes xxh64(options);
  EXPECT_EQ(xxh64.next(blocks[0], {&image, 1}), 15410155228042929263u);
  EXPECT_EQ(xxh64.next(blocks[1], {&image, 1}), 3870435183040308743u);
  options.scheme = EngineHashScheme::kLlmdCborFnv;
  EngineHashes cbor_fnv(options);
  EXPECT_EQ(cbor_fnv.next(blocks[0], {&image, 1}), 2775251780423126762u);
  EXPECT_EQ(cbor_fnv.next(blocks[1], {&image, 1}), 3652710436952583558u);
}

TEST(EngineHashes, StandardScheme) {
  const std::vector<Tokens> blocks = {count_from(1, 4), count_from(5, 4), count_from(9, 4)};
  EngineHashOptions options = {.scheme = EngineHashScheme::kStandard};
  EXPECT_THAT(hashes_of(options, blocks),
              ElementsAre(14643705804678351452u, 4945711292740353085u, 12583592247330656132u));

  options.lora_name = "poet";
  options.cache_salt = "tenant";
  std::string digest;
  while (digest.size() < 64) digest += "ab";
  const std::vector<EngineImage> images = {{digest, 0}, {"img", 0}};
  EngineHashes hashes(options);
  EXPECT_EQ(hashes.next(blocks[0], images), 18209251190688694375u);
  EXPECT_EQ(hashes.next(blocks[1]), 11284728885368164844u);
}

TEST(EngineHashes, SchemesHaveNames) {
  EXPECT_EQ(engine_hash_scheme("vllm-xxhash_cbor"), EngineHashScheme::kVllmXxhashCbor);
  EXPECT_EQ(engine_hash_scheme("standard"), EngineHashScheme::kStandard);
  EXPECT_EQ(engine_hash_scheme("builtin"), std::nullopt);
}

// Every block that a real vLLM 0.32.0 announced: its hash follows from its tokens, those before it,
// and the salt.
// `schemes`: of each worker.
void expect_reproduced(const std::string& file_name, const std::vector<EngineHashScheme>& schemes,
                       size_t blocks) {
  std::ifstream file(file_name);
  ASSERT_TRUE(file) << file_name;
  // By worker and hash of the last block: those of the whole sequence until it.
  std::map<std::pair<size_t, uint64_t>, std::pair<std::string, Tokens>> sequences;
  size_t seen = 0;
  for (std::string line; std::getline(file, line);) {
    const Json entry = Json::parse(line);
    if (entry["kind"] != "event") continue;
    const size_t worker = entry.value("worker", size_t{0});
    KvEventRecorder recorder;
    KvEventDecoder decoder;
    ASSERT_TRUE(decoder.decode(from_hex(entry["payload_hex"].get<std::string>()), recorder));
    for (const RecordedKvEvent& event : recorder.events) {
      if (event.type != "stored") continue;
      const auto before = event.parent ? sequences.at({worker, *event.parent})
                                       : std::pair(event.cache_salt, Tokens());
      Tokens tokens = before.second;
      for (size_t i = 0; i < event.hashes.size(); ++i, ++seen) {
        tokens.insert(
            tokens.end(), event.tokens.begin() + static_cast<std::ptrdiff_t>(i * event.block_size),
            event.tokens.begin() + static_cast<std::ptrdiff_t>((i + 1) * event.block_size));
        sequences[{worker, event.hashes[i]}] = {before.first, tokens};
        EngineHashes hashes(
            {.scheme = schemes.at(worker), .seed = "0", .cache_salt = before.first});
        uint64_t last = 0;
        for (size_t at = 0; at < tokens.size(); at += event.block_size) {
          last = hashes.next(std::span(tokens).subspan(at, event.block_size));
        }
        ASSERT_EQ(last, event.hashes[i]) << line;
      }
    }
  }
  EXPECT_EQ(seen, blocks);
}

TEST(EngineHashes, ReproduceWhatARealVllmPublished) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  ASSERT_NE(root, nullptr);
  const std::string folder = std::string(root) + "/tests/vllm/kv_events/vllm-0.32.0-cpu-";
  expect_reproduced(folder + "sha256_cbor.jsonl", {EngineHashScheme::kVllmSha256Cbor}, 90);
  expect_reproduced(folder + "xxhash_cbor.jsonl", {EngineHashScheme::kVllmXxhashCbor}, 90);
  expect_reproduced(std::string(root) + "/tests/vllm/kv_events/two-vllm-0.32.0-cpu.jsonl",
                    {EngineHashScheme::kVllmSha256Cbor, EngineHashScheme::kVllmSha256}, 228);
}

// Two events of 25 blocks that llm-d's tests have from a real vLLM, where they are given.
TEST(EngineHashes, ReproduceTheRecordingsOfLlmd) {
  const char* data = std::getenv("KVASIR_DATA_DIR");
  if (data == nullptr)
    GTEST_SKIP() << "set KVASIR_DATA_DIR to where vllm_events/kv_event_{base,lora}.json are";
  for (const char* name : {"base", "lora"}) {
    std::ifstream file(std::string(data) + "/vllm_events/kv_event_" + name + ".json");
    ASSERT_TRUE(file);
    const Json event = Json::parse(file);
    EngineHashOptions options = {
        .scheme = EngineHashScheme::kVllmSha256Cbor, .seed = event["hash_seed"], .bare_keys = true};
    if (event["lora_name"].is_string()) options.lora_name = event["lora_name"];
    const Tokens tokens = event["token_ids"];
    const std::vector<uint64_t> expected = event["block_hashes"];
    ASSERT_THAT(expected, SizeIs(25));
    EngineHashes hashes(options);
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(hashes.next(std::span(tokens).subspan(i * 16, 16)), expected[i])
          << name << " block " << i;
    }
  }
}

}  // namespace
}  // namespace kvasir
