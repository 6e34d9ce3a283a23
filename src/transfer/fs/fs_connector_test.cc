#include "transfer/fs/fs_connector.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <sstream>

#include "transfer/connector_side_fixture.h"
#include "transfer/fs/example_folder.h"
#include "transfer/fs/safetensors.h"
#include "transfer/int8_block.h"
#include "transfer/kv_fingerprint.h"

namespace kvasir {
namespace {

namespace files = std::filesystem;

std::string read_file(const files::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void write_file(const files::path& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary | std::ios::trunc)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

std::vector<files::path> all_files(const std::string& folder) {
  std::vector<files::path> paths;
  for (const auto& entry : files::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) paths.push_back(entry.path());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

class FsTest : public testing::Test {
 protected:
  std::unique_ptr<ConnectorSide> worker(const std::string& model = "m",
                                        const KvLayout& layout = small_kv_layout()) {
    auto side = std::make_unique<ConnectorSide>(layout);
    auto made = make_fs_connector(config_, model, side->memory(), side->loop(), side->owner());
    EXPECT_TRUE(made) << made.error().message;
    side->use(std::move(made).value());
    return side;
  }
  files::path layer_path(const TestPrompt& prompt, size_t tokens, uint32_t layer) const {
    const ExampleFolder folder(folder_.path(), 0, small_kv_layout());
    return files::path(folder.folder_of(std::span(prompt.tokens).first(tokens))) /
           ExampleFolder::layer_file(layer);
  }

  const TestFolder folder_;
  KvTransferConfig config_ = [this] {
    KvTransferConfig config;
    config.kind = KvTransferKind::kFs;
    config.shared_storage_path = folder_.path() + "/made/here";
    return config;
  }();
};

class BothLayouts : public FsTest, public testing::WithParamInterface<bool> {
 protected:
  BothLayouts() { config_.fs_safe = GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(Fs, BothLayouts, testing::Bool(),
                         [](const auto& parameter) { return parameter.param ? "kvasir" : "vllm"; });

TEST_P(BothLayouts, BytesAreEqualAfterATransfer) {
  const auto prefill = worker(), decode = worker();
  for (const size_t tokens : {3, 4, 5, 8, 9, 40, 41}) {
    const TestPrompt prompt(tokens, 0, static_cast<uint32_t>(1000 * tokens));
    prefill->prefill(prompt);
    EXPECT_EQ(decode->decode(prompt), (tokens - 1) / 4) << tokens;
    EXPECT_EQ(decode->problem, "");
    EXPECT_FALSE(decode->plan(prompt).second.keeps) << "it is stored";
  }
  EXPECT_EQ(prefill->connector().stats().failed_transfers, 0u);
  EXPECT_EQ(decode->connector().stats().transfers, 5u);
}

TEST_P(BothLayouts, OnlyTheBlocksThatAreMissingHereAreFetched) {
  const auto prefill = worker(), decode = worker();
  const TestPrompt prompt(33);
  prefill->prefill(prompt);
  const auto [request, plan] = decode->plan(prompt);
  ASSERT_EQ(plan.remote_blocks, 8u);
  EXPECT_EQ(decode->fetch(request, 3, {20, 21, 22, 23, 24}).blocks, 5u);
  decode->expect_right(prompt, 3, 20, 5);
}

TEST_P(BothLayouts, OneFlippedByteAnywhereIsFound) {
  const auto prefill = worker();
  const TestPrompt prompt(9);
  prefill->prefill(prompt);
  uint32_t whole = 0;
  for (const files::path& path : all_files(folder_.path())) {
    const std::string sound = read_file(path);
    for (size_t at = 0; at < sound.size(); ++at) {
      std::string bytes = sound;
      bytes[at] = static_cast<char>(bytes[at] ^ 0x10);
      write_file(path, bytes);
      whole += worker()->decode(prompt) == 2;  // what is told is right: decode() compares it
      write_file(path, sound);
    }
  }
  // Blanks behind a header, and the names of our own metadata.
  EXPECT_LT(whole, config_.fs_safe ? 1u : 100u);
  EXPECT_EQ(worker()->decode(prompt), 2u);
}

TEST_P(BothLayouts, AFileThatIsCutOffAnywhereIsNotUsed) {
  const auto prefill = worker();
  const TestPrompt prompt(9);
  prefill->prefill(prompt);
  for (const files::path& path : all_files(folder_.path())) {
    const std::string sound = read_file(path);
    for (size_t size = 0; size < sound.size(); ++size) {
      write_file(path, sound.substr(0, size));
      ASSERT_EQ(worker()->decode(prompt), 0u) << path << " of " << size << " bytes";
    }
    write_file(path, sound);
    ASSERT_EQ(worker()->decode(prompt), 2u);
    write_file(path, sound + "x");
    ASSERT_EQ(worker()->decode(prompt), 0u);
    write_file(path, sound);
  }
}

TEST_P(BothLayouts, WhatIsNoFileIsNotWaitedFor) {
  const TestPrompt prompt(9);
  worker()->prefill(prompt);
  const files::path path = all_files(folder_.path()).front();
  files::remove(path);
  EXPECT_EQ(worker()->decode(prompt), 0u);
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(worker()->decode(prompt), 0u);
  files::remove(path);
  files::create_directory(path);
  EXPECT_EQ(worker()->decode(prompt), 0u);
  files::remove(path);
  files::create_symlink("/dev/zero", path);
  EXPECT_EQ(worker()->decode(prompt), 0u);
}

TEST_P(BothLayouts, AnotherModelOrLayoutIsNotUsed) {
  const TestPrompt prompt(9);
  worker("one")->prefill(prompt);
  EXPECT_EQ(worker("other")->decode(prompt), 0u);
  KvLayout deeper = small_kv_layout();
  deeper.layers = 1;
  EXPECT_EQ(worker("one", deeper)->decode(prompt), 0u);
  EXPECT_EQ(worker("one")->decode(prompt), 2u);
}

// Stale: the same tokens, whose bytes are others.
TEST_P(BothLayouts, AnotherSaltIsNotUsed) {
  worker()->prefill(TestPrompt(9, 0, 0, 1));
  const auto decode = worker();
  EXPECT_EQ(decode->decode(TestPrompt(9, 0, 0, 2)), 0u);
  EXPECT_EQ(decode->connector().stats().refused_peers, config_.fs_safe ? 0u : 1u);
  EXPECT_EQ(decode->decode(TestPrompt(9, 0, 0, 1)), 2u);
}

TEST_P(BothLayouts, TwoWorkersStoreOnePrompt) {
  const TestPrompt prompt(33);
  const auto a = worker(), b = worker();
  const KvRequestId of_a = a->plan(prompt).first, of_b = b->plan(prompt).first;
  a->start_offer(of_a, prompt);
  b->start_offer(of_b, prompt);
  a->run_until([&] { return a->released.count(of_a) > 0; });
  b->run_until([&] { return b->released.count(of_b) > 0; });
  EXPECT_EQ(a->connector().stats().failed_transfers + b->connector().stats().failed_transfers, 0u);
  EXPECT_EQ(worker()->decode(prompt), 8u);
  for (const auto& path : all_files(folder_.path())) {
    EXPECT_EQ(path.string().find("unfinished"), std::string::npos) << path;
  }
}

TEST_P(BothLayouts, WhatADeadWriterLeftIsRemovedWhenItIsOld) {
  worker()->prefill(TestPrompt(9));
  const files::path folder = all_files(folder_.path()).front().parent_path();
  const files::path where = config_.fs_safe ? folder : folder.parent_path();
  const files::path old = where / ".kvasir-unfinished-1", fresh = where / ".kvasir-unfinished-2";
  write_file(old, "half");
  write_file(fresh, "half");
  files::last_write_time(old, files::file_time_type::clock::now() - std::chrono::hours(2));
  worker()->plan(TestPrompt(9));
  EXPECT_FALSE(files::exists(old));
  EXPECT_TRUE(files::exists(fresh));
}

TEST_P(BothLayouts, AFolderThatCannotBeWrittenRefusesToStart) {
  write_file(folder_.path() + "/file", "");
  config_.shared_storage_path = folder_.path() + "/file/below";
  ConnectorSide side;
  const auto made = make_fs_connector(config_, "m", side.memory(), side.loop(), side.owner());
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().message.find("shared_storage_path: "), std::string::npos);
}

// ---- vLLM's layout ----

class FsExample : public FsTest {
 protected:
  FsExample() { config_.shared_storage_path = folder_.path(); }
  // As vLLM would: no metadata.
  void write_foreign(const TestPrompt& prompt, size_t tokens, uint32_t layers,
                     const std::string& dtype = "F16", uint64_t heads = 1,
                     const std::string& name = "kv_cache") {
    const size_t values = dtype == "F32" ? 1 : 2;
    for (uint32_t layer = 0; layer < layers; ++layer) {
      std::string data;
      for (size_t block = 0; block < tokens / 4; ++block) {
        std::vector<std::byte> bytes(small_kv_layout().block_bytes());
        fill_kv_block(prompt.blocks[block], bytes);
        const size_t slice = small_kv_layout().slice_bytes();
        data.append(reinterpret_cast<const char*>(bytes.data()) + (layer % 2) * slice, slice);
      }
      SafeTensors about;
      about.tensors.push_back({name, dtype, {tokens, heads, 2 * values / heads}, 0, data.size()});
      const files::path path = layer_path(prompt, tokens, layer);
      files::create_directories(path.parent_path());
      write_file(path, write_safetensors_header(about) + data);
    }
  }
};

// MD5 of 1, 4, 7, ... as 64-bit integers, computed by another program.
TEST_F(FsExample, FoldersHaveTheNamesThatVllmGivesThem) {
  std::vector<uint32_t> tokens(32);
  for (uint32_t i = 0; i < 32; ++i) tokens[i] = 3 * i + 1;
  const ExampleFolder folder("/x", 0, small_kv_layout());
  EXPECT_EQ(folder.folder_of(std::span(tokens).first(16)), "/x/28c39416f347e489510fc1438b74eb09");
  EXPECT_EQ(folder.folder_of(tokens), "/x/d123253edff9bcae2414913684f9771f");
  EXPECT_EQ(ExampleFolder::layer_file(7), "model.layers.7.self_attn.attn.safetensors");
}

TEST_F(FsExample, OneFileForEachLayerOfAlignedTokens) {
  const TestPrompt prompt(12);  // the last whole block is not stored
  worker()->prefill(prompt);
  const auto paths = all_files(folder_.path());
  ASSERT_EQ(paths.size(), 2u);
  EXPECT_EQ(paths[1], layer_path(prompt, 8, 1));
  const std::string bytes = read_file(paths[0]);
  const auto about =
      parse_safetensors_header(std::string_view(bytes).substr(8, *safetensors_header_bytes(bytes)));
  ASSERT_TRUE(about);
  EXPECT_EQ(about->tensors.front().name, "kv_cache");
  EXPECT_EQ(about->tensors.front().shape, (std::vector<uint64_t>{8, 1, 4}));
}

TEST_F(FsExample, FoldersThatVllmWroteAreRead) {
  const TestPrompt prompt(11);
  write_foreign(prompt, 8, 2);
  EXPECT_EQ(worker()->decode(prompt), 2u);
}

// vLLM stores align(n) and looks for align(n - 1); where they differ we look for both.
TEST_F(FsExample, PromptsWithOneTokenInTheLastBlockAreFound) {
  const TestPrompt prompt(13);
  worker()->prefill(prompt);
  EXPECT_EQ(worker()->decode(prompt), 3u);
  files::remove_all(layer_path(prompt, 12, 0).parent_path());
  write_foreign(prompt, 8, 2);
  const auto decode = worker();
  EXPECT_EQ(decode->decode(prompt), 2u);
  EXPECT_TRUE(decode->plan(prompt).second.keeps);
}

TEST_F(FsExample, ForeignFoldersAreRefusedAndLeftAlone) {
  const TestPrompt prompt(11);
  const auto refused = [&](const char* what) {
    const auto decode = worker();
    const auto [request, plan] = decode->plan(prompt);
    EXPECT_EQ(plan.remote_blocks, 0u) << what;
    EXPECT_FALSE(plan.keeps) << what;
    EXPECT_EQ(decode->connector().stats().refused_peers, 1u) << what;
    files::remove_all(layer_path(prompt, 8, 0).parent_path());
  };
  write_foreign(prompt, 8, 1);
  refused("a layer is missing");
  write_foreign(prompt, 8, 3);
  refused("a layer too many");
  write_foreign(prompt, 8, 2, "F32");
  refused("another type");
  write_foreign(prompt, 8, 2, "BF16");
  refused("another type of the same size");
  write_foreign(prompt, 8, 2, "F16", 2);
  refused("another shape");
  write_foreign(prompt, 8, 2, "F16", 1, "kv");
  refused("another tensor");
  write_foreign(prompt, 8, 2);
  write_file(layer_path(prompt, 8, 1), "\xff\xff\xff\xff\xff\xff\xff\x7f{}");
  refused("a header that claims to be huge");
  write_foreign(prompt, 8, 2);
  write_file(layer_path(prompt, 8, 1), "");
  refused("an empty file");
  files::create_directory(layer_path(prompt, 8, 0).parent_path());
  refused("an empty folder: a writer that has just begun");
  write_file(layer_path(prompt, 8, 0).parent_path(), "a file");
  refused("a file in its place");
}

TEST_F(FsExample, ADamagedFolderOfOursIsMendedByTheNextWhoPrefills) {
  const TestPrompt prompt(11);
  worker()->prefill(prompt);
  write_file(layer_path(prompt, 8, 1), read_file(layer_path(prompt, 8, 1)).substr(0, 150));
  files::remove(layer_path(prompt, 8, 1));
  EXPECT_EQ(worker()->decode(prompt), 0u);
  worker()->prefill(prompt);
  EXPECT_EQ(worker()->decode(prompt), 2u);
}

TEST_F(FsExample, LimitsAreForOurOwnLayout) {
  config_.fs_bytes_max = 1;
  ConnectorSide side;
  EXPECT_FALSE(make_fs_connector(config_, "m", side.memory(), side.loop(), side.owner()));
}

TEST_F(FsExample, TokensNeedNotHaveWholeValuesInEachLayer) {
  KvLayout layout = small_kv_layout();
  layout.bytes_per_token = 17;
  const TestPrompt prompt(11);
  worker("m", layout)->prefill(prompt);
  EXPECT_EQ(worker("m", layout)->decode(prompt), 2u);
}

// ---- our own layout ----

class FsSafe : public FsTest {
 protected:
  FsSafe() { config_.fs_safe = true; }
  std::vector<files::path> segments() { return all_files(folder_.path()); }
  void use_last(const files::path& path, std::chrono::seconds ago) {
    files::last_write_time(path, files::file_time_type::clock::now() - ago);
  }
};

TEST_F(FsSafe, PromptsShareTheBlocksThatTheyHaveInCommon) {
  const auto prefill = worker(), decode = worker();
  const TestPrompt first(41), second(61, 22, 500), third(30, 10, 900);
  prefill->prefill(first);
  const auto [request, plan] = prefill->plan(second);
  EXPECT_EQ(plan.remote_blocks, 5u);
  EXPECT_TRUE(plan.keeps);
  prefill->offer(request, second);
  EXPECT_EQ(decode->decode(first), 10u);
  EXPECT_EQ(decode->decode(second), 15u);
  EXPECT_EQ(decode->decode(third), 2u);
  // What was there is not stored again.
  const uint64_t blocks = 10 + 10;
  uint64_t bytes = 0;
  for (const auto& path : segments()) bytes += files::file_size(path);
  EXPECT_LT(bytes, (blocks + 2) * (small_kv_layout().block_bytes() + 16));
}

TEST_F(FsSafe, TheRestOfAPromptIsComputedWhereABlockIsDamaged) {
  const TestPrompt prompt(41);
  worker()->prefill(prompt);
  const files::path path = segments().front();
  std::string bytes = read_file(path);
  bytes[bytes.size() - 3 * small_kv_layout().block_bytes() - 1] ^= 1;  // of the last but three
  write_file(path, bytes);
  const auto decode = worker();
  EXPECT_EQ(decode->decode(prompt), 6u);
  EXPECT_NE(decode->problem, "");
  EXPECT_EQ(decode->connector().stats().failed_transfers, 1u);
  EXPECT_FALSE(files::exists(path)) << "it is removed, so that it is stored again";
  worker()->prefill(prompt);
  EXPECT_EQ(decode->decode(prompt), 10u);
}

TEST_F(FsSafe, ReadersRaceWithWhoeverRemoves) {
  const TestPrompt prompt(41);
  worker()->prefill(prompt);
  const auto decode = worker();
  const auto [request, plan] = decode->plan(prompt);
  ASSERT_EQ(plan.remote_blocks, 10u);
  files::remove(segments().front());
  EXPECT_EQ(decode->fetch(request, 0, ConnectorSide::blocks_from(0, 10)).blocks, 0u);
  EXPECT_NE(decode->fetched.at(request).problem, "");
  files::remove_all(files::path(config_.shared_storage_path));
  EXPECT_EQ(decode->decode(prompt), 0u);
  decode->prefill(prompt);
  EXPECT_EQ(decode->decode(prompt), 10u);
}

TEST_F(FsSafe, WhatWasNotUsedForTheLongestTimeGoesFirst) {
  const TestPrompt a(41, 0, 100), b(41, 0, 200), c(41, 0, 300);
  const auto prefill = worker();
  prefill->prefill(a);
  const files::path of_a = segments().front();
  config_.fs_bytes_max = 2 * files::file_size(of_a) + 10;
  prefill->prefill(b);
  for (const auto& path : segments()) {
    use_last(path, path == of_a ? std::chrono::hours(2) : std::chrono::hours(1));
  }
  const auto decode = worker();
  EXPECT_EQ(decode->decode(a), 10u);  // now b is the older one, whoever looks
  worker()->prefill(c);
  EXPECT_EQ(segments().size(), 2u);
  EXPECT_EQ(decode->decode(a), 10u);
  EXPECT_EQ(decode->decode(b), 0u);
  EXPECT_EQ(decode->decode(c), 10u);
}

TEST_F(FsSafe, WhatIsLargerThanTheLimitIsNotStored) {
  config_.fs_bytes_max = 100;
  const auto prefill = worker();
  prefill->prefill(TestPrompt(41));
  EXPECT_EQ(prefill->connector().stats().failed_transfers, 1u);
  EXPECT_TRUE(segments().empty());
}

TEST_F(FsSafe, WhatIsNotUsedForItsTimeToLiveGoes) {
  config_.fs_ttl = std::chrono::minutes(10);
  worker()->prefill(TestPrompt(41));
  use_last(segments().front(), std::chrono::minutes(9));
  EXPECT_EQ(worker()->decode(TestPrompt(41)), 10u);  // which is a use
  EXPECT_EQ(worker()->decode(TestPrompt(41)), 10u);
  use_last(segments().front(), std::chrono::minutes(11));
  EXPECT_EQ(worker()->decode(TestPrompt(41)), 0u);
  EXPECT_TRUE(segments().empty());
}

// What comes back is near what was stored; how near int8_block_test.cc says.
TEST_F(FsSafe, CompressedBlocksTakeHalfTheRoom) {
  KvLayout layout = small_kv_layout();
  layout.bytes_per_token = 256;
  const TestPrompt prompt(41);
  worker("m", layout)->prefill(prompt);
  const size_t whole = files::file_size(segments().front());
  config_.compress = config_.pipelining = true;
  const auto prefill = worker("m", layout), decode = worker("m", layout);
  EXPECT_TRUE(prefill->plan(prompt).second.keeps) << "it is another kind of block";
  prefill->prefill(prompt);
  const auto [request, plan] = decode->plan(prompt);
  ASSERT_EQ(plan.remote_blocks, 10u);
  EXPECT_EQ(decode->fetch(request, 0, ConnectorSide::blocks_from(0, 10)).blocks, 10u);
  std::vector<std::byte> right(layout.block_bytes());
  fill_kv_block(prompt.blocks[0], right);
  const std::span<const std::byte> there = decode->memory().block(0);
  EXPECT_FALSE(std::equal(there.begin(), there.end(), right.begin()));
  for (size_t i = 0; i < right.size(); i += 2) {
    const auto value = [](std::span<const std::byte> bytes, size_t at) {
      return half_to_float(static_cast<uint16_t>(std::to_integer<unsigned>(bytes[at]) |
                                                 std::to_integer<unsigned>(bytes[at + 1]) << 8));
    };
    ASSERT_NEAR(value(there, i), value(right, i), int8_error_bound(2)) << i;
  }
  size_t bytes = 0;
  for (const auto& path : segments()) bytes += files::file_size(path);
  EXPECT_LT(bytes - whole, whole * 6 / 10);
}

TEST_F(FsExample, VllmsLayoutIsNotCompressed) {
  config_.compress = true;
  ConnectorSide side;
  EXPECT_FALSE(make_fs_connector(config_, "m", side.memory(), side.loop(), side.owner()));
}

}  // namespace
}  // namespace kvasir
