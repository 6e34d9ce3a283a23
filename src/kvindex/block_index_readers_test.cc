// Readers beside the writer: for ThreadSanitizer, and for what a match may never say.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "base/random.h"
#include "hashing/token_blocks.h"
#include "kvindex/chain_index.h"

namespace kvasir {
namespace {

constexpr uint32_t kReadHolders = 24;
constexpr size_t kPrompts = 40;
constexpr size_t kPromptBlocks = 150;

// Each holder only ever stores the beginnings of prompts of its own kind, up to a length of its
// own: whatever a match says beyond that was never stored.
struct ReadersWorld {
  explicit ReadersWorld(uint64_t seed) : random(seed) {
    for (size_t i = 0; i < kPrompts; ++i) {
      std::vector<uint64_t> contents;
      if (i > 0) contents.assign(prompts[i / 2].begin(), prompts[i / 2].begin() + random.below(80));
      while (contents.size() < kPromptBlocks) contents.push_back(random.next());
      hashes.emplace_back();
      for (BlockHash parent = 1; const uint64_t content : contents) {
        hashes.back().push_back(parent = chain_block(parent, content));
      }
      prompts.push_back(std::move(contents));
    }
  }
  static size_t length_max(uint32_t holder) { return 20 + 5 * holder; }

  Random random;
  std::vector<std::vector<uint64_t>> prompts;
  std::vector<std::vector<BlockHash>> hashes;
};

uint64_t reader_operations() {
  const char* const wanted = std::getenv("KVASIR_STORM_OPERATIONS");
  return wanted == nullptr ? 20'000 : std::strtoull(wanted, nullptr, 10);
}

void read_until(const std::atomic<bool>& done, const ReadersWorld& world, const ChainIndex& index,
                uint64_t seed, std::atomic<uint64_t>& matched) {
  Random random(seed);
  std::vector<HolderMatch> matches;
  while (!done) {
    KnownChain chain(world.hashes[random.below(kPrompts)]);
    index.match(chain, matches);
    for (size_t i = 0; i < matches.size(); ++i) {
      const uint32_t holder = index_of(matches[i].holder);
      ASSERT_LT(holder, kReadHolders);
      ASSERT_GT(matches[i].blocks, 0u);
      ASSERT_LE(matches[i].blocks, ReadersWorld::length_max(holder));
      ASSERT_EQ(matches[i].by_tier[0] + matches[i].by_tier[1], matches[i].blocks);
      for (size_t k = 0; k < i; ++k) ASSERT_NE(matches[k].holder, matches[i].holder);
    }
    matched += matches.size();
    ASSERT_LE(index.memberships(), 2 * kReadHolders * kPrompts * kPromptBlocks);
  }
}

TEST(BlockIndexReadersTest, AMatchNeverSaysMoreThanWasStored) {
  ReadersWorld world(5);
  ChainIndex index({});
  for (uint32_t i = 0; i < kReadHolders; ++i) index.add_holder();
  std::atomic<bool> done{false};
  std::atomic<uint64_t> matched{0};
  std::vector<std::thread> readers;
  for (uint64_t i = 0; i < 3; ++i) {
    readers.emplace_back([&, i] { read_until(done, world, index, 100 + i, matched); });
  }
  Random& random = world.random;
  const uint64_t operations = reader_operations();
  for (uint64_t i = 0; i < operations; ++i) {
    const uint32_t holder = static_cast<uint32_t>(random.below(kReadHolders));
    const size_t prompt = random.below(kPrompts);
    const CacheTier tier = random.below(4) == 0 ? CacheTier::kCpu : CacheTier::kGpu;
    const size_t length = 1 + random.below(ReadersWorld::length_max(holder));
    std::span<const BlockHash> names = std::span(world.hashes[prompt]).first(length);
    const uint64_t dice = random.below(100);
    if (dice < 50) {
      index.store(
          {HolderId{holder}, tier, {}, 1, names, std::span(world.prompts[prompt]).first(length)});
    } else if (dice < 95) {
      const size_t from = random.below(length);
      std::vector<uint64_t> removed(names.begin() + static_cast<ptrdiff_t>(from), names.end());
      if (random.below(3) != 0) std::reverse(removed.begin(), removed.end());
      index.remove(HolderId{holder}, tier, removed);
    } else if (dice < 97) {
      index.clear(HolderId{holder});
    } else {
      index.tidy();
    }
  }
  while (matched == 0 && !testing::Test::HasFailure()) std::this_thread::yield();
  done = true;
  for (std::thread& reader : readers) reader.join();
}

TEST(BlockIndexReadersTest, AClearedHolderIsNotMatchedAnyMore) {
  ReadersWorld world(6);
  ChainIndex index({});
  const HolderId holder = *index.add_holder();
  const HolderId other = *index.add_holder();
  std::atomic<uint64_t> cleared{0};  // odd: the holder has nothing
  std::atomic<bool> done{false};
  std::thread reader([&] {
    std::vector<HolderMatch> matches;
    while (!done) {
      const uint64_t before = cleared;
      KnownChain chain(world.hashes[0]);
      index.match(chain, matches);
      if (before % 2 == 0 || cleared != before) continue;
      for (const HolderMatch& match : matches) ASSERT_NE(match.holder, holder);
    }
  });
  const uint64_t rounds = std::min<uint64_t>(reader_operations() / 10, 100'000);
  for (uint64_t i = 0; i < rounds; ++i) {
    index.store({holder, CacheTier::kGpu, {}, 1, world.hashes[0], world.prompts[0]});
    index.clear(holder);
    ++cleared;
    index.store({other, CacheTier::kGpu, {}, 1, world.hashes[0], world.prompts[0]});
    while (index.tidy()) {
    }
    index.clear(other);
    ++cleared;
  }
  done = true;
  reader.join();
}

}  // namespace
}  // namespace kvasir
