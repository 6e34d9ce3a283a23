// For tests: random events against an index and the naive one side by side. Answers must be equal
// after each.
//
// The world: sequences that share beginnings, in a few namespaces; holders of a few dialects, each
// of which names blocks its own way, and now and then gives a name that it, or another, has given
// to something else.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "base/random.h"
#include "kvindex/block_index.h"
#include "kvindex/naive_block_index_fixture.h"

namespace kvasir {

struct StormOptions {
  uint64_t seed = 1;
  uint32_t holders = 12;
  uint32_t dialects = 2;       // 1: all agree
  uint32_t wrong_names = 100;  // one name in so many is not of any dialect; 0: none
  uint32_t tiers = 2;
  size_t sequences = 24;
  size_t length_max = 60;
  bool count_copies = true;
  // 0: as much as it wants. Otherwise the index may know less than the naive one, and never more;
  // then names must agree.
  size_t memory_bytes_max = 0;
};

class BlockIndexStorm {
 public:
  using Make = std::function<std::unique_ptr<BlockIndex>(const BlockIndexOptions&)>;

  BlockIndexStorm(const StormOptions& options, const Make& make)
      : options_(options),
        random_(options.seed),
        naive_(index_options()),
        index_(make(index_options())) {
    for (size_t i = 0; i < options_.sequences; ++i) sequences_.push_back(new_sequence());
    for (uint32_t i = 0; i < options_.holders; ++i) add_holder();
  }

  // Stops at the first difference; what() says which it was.
  bool run(uint64_t operations) {
    for (uint64_t i = 0; i < operations && !testing::Test::HasFailure(); ++i) {
      ++operation_;
      step();
      compare_sizes();
      if (random_.below(4) == 0) compare_match();
      if (random_.below(5000) == 0) compare_everything();
    }
    compare_everything();
    return !testing::Test::HasFailure();
  }
  BlockIndex& index() { return *index_; }
  uint64_t full() const { return full_; }  // stores that did not fit

 private:
  struct Sequence {
    BlockHash root = 0;
    std::vector<uint64_t> contents;
    std::vector<BlockHash> hashes;
  };
  struct Known final : BlockIndex::Visitor {
    void on_block(const BlockIndex::KnownBlock& block) override { blocks.push_back(block); }
    std::vector<BlockIndex::KnownBlock> blocks;
  };

  BlockIndexOptions index_options() const {
    BlockIndexOptions index;
    index.holders_max = options_.holders;
    index.count_copies = options_.count_copies;
    if (tight()) index.memory_bytes_max = options_.memory_bytes_max;
    return index;
  }
  bool tight() const { return options_.memory_bytes_max > 0; }
  // What the index answers is what the naive one does, or less where it may know less.
  void compare(size_t naive, size_t index) const {
    if (tight()) {
      ASSERT_LE(index, naive) << what();
    } else {
      ASSERT_EQ(naive, index) << what();
    }
  }
  bool chance(uint64_t one_in) { return one_in > 0 && random_.below(one_in) == 0; }

  Sequence new_sequence() {
    Sequence made;
    made.root = token_root(random_.below(2));
    const size_t length = 1 + random_.below(options_.length_max);
    if (!sequences_.empty() && !chance(4)) {
      const Sequence& other = sequences_[random_.below(sequences_.size())];
      made.root = other.root;
      const size_t shared = std::min(length, random_.below(other.contents.size() + 1));
      made.contents.assign(other.contents.begin(), other.contents.begin() + shared);
    }
    while (made.contents.size() < length) made.contents.push_back(random_.below(3));
    for (BlockHash parent = made.root; const uint64_t content : made.contents) {
      made.hashes.push_back(parent = chain_block(parent, content));
    }
    return made;
  }
  const Sequence& any_sequence() {
    if (chance(200)) sequences_[random_.below(sequences_.size())] = new_sequence();
    return sequences_[random_.below(sequences_.size())];
  }
  void add_holder() {
    const std::optional<HolderId> naive = naive_.add_holder();
    ASSERT_EQ(naive, index_->add_holder()) << what();
    if (!naive) return;
    holders_.push_back(*naive);
  }
  HolderId any_holder() { return holders_[random_.below(holders_.size())]; }
  CacheTier any_tier() {
    return static_cast<CacheTier>(chance(4) ? random_.below(options_.tiers) : 0);
  }
  uint64_t name_of(HolderId holder, BlockHash hash) {
    if (chance(options_.wrong_names)) return random_.below(64);
    return mix64(hash + index_of(holder) % options_.dialects);
  }
  // A piece of a sequence: most often up to its end or from its beginning.
  std::pair<size_t, size_t> any_piece(const Sequence& sequence) {
    const size_t size = sequence.hashes.size();
    size_t from = chance(2) ? 0 : random_.below(size);
    size_t until = chance(3) ? size : from + 1 + random_.below(size - from);
    if (chance(3)) until = std::min(until, from + 1);
    return {from, until};
  }
  std::vector<uint64_t> any_names(HolderId holder) {
    const Sequence& sequence = any_sequence();
    const auto [from, until] = any_piece(sequence);
    std::vector<uint64_t> names;
    for (size_t i = from; i < until; ++i) names.push_back(name_of(holder, sequence.hashes[i]));
    if (!chance(3)) std::reverse(names.begin(), names.end());  // as engines evict
    return names;
  }

  void step() {
    if (holders_.empty()) return add_holder();
    const uint64_t dice = random_.below(1000);
    if (dice < 450) return store();
    if (dice < 900) return remove();
    if (dice < 950) return attach();
    if (dice < 955) return clear();
    if (dice < 958) return remove_holder();
    if (dice < 975) return add_holder();
    index_->tidy();
  }
  void store() {
    const HolderId holder = any_holder();
    const Sequence& sequence = any_sequence();
    const auto [from, until] = any_piece(sequence);
    std::vector<uint64_t> names;
    for (size_t i = from; i < until; ++i) names.push_back(name_of(holder, sequence.hashes[i]));
    StoredBlocks stored{holder, any_tier(), {}, sequence.root, names, {}};
    stored.contents = std::span(sequence.contents).subspan(from, until - from);
    if (from > 0) stored.parent = name_of(holder, sequence.hashes[from - 1]);
    const StoreOutcome expected = naive_.store(stored);
    const StoreOutcome outcome = index_->store(stored);
    full_ += outcome == StoreOutcome::kFull;
    if (!tight()) {
      ASSERT_EQ(expected, outcome) << what();
    }
  }
  void remove() {
    const HolderId holder = any_holder();
    const CacheTier tier = any_tier();
    const std::vector<uint64_t> names = any_names(holder);
    compare(naive_.remove(holder, tier, names), index_->remove(holder, tier, names));
  }
  void attach() {
    const HolderId holder = any_holder();
    const CacheTier tier = any_tier();
    const std::vector<uint64_t> names = any_names(holder);
    compare(naive_.attach(holder, tier, names), index_->attach(holder, tier, names));
  }
  void clear() {
    const HolderId holder = any_holder();
    naive_.clear(holder);
    index_->clear(holder);
  }
  void remove_holder() {
    const size_t place = random_.below(holders_.size());
    naive_.remove_holder(holders_[place]);
    index_->remove_holder(holders_[place]);
    holders_.erase(holders_.begin() + static_cast<ptrdiff_t>(place));
  }

  void compare_sizes() {
    compare(naive_.memberships(), index_->memberships());
    if (tight()) {
      ASSERT_LE(index_->memory_bytes(), options_.memory_bytes_max) << what();
    }
    if (holders_.empty()) return;
    const HolderId holder = any_holder();
    compare(naive_.blocks_of(holder), index_->blocks_of(holder));
    if (!chance(8)) return;
    const std::vector<uint64_t> names = any_names(holder);
    const CacheTier tier = any_tier();
    compare(naive_.held(holder, tier, names), index_->held(holder, tier, names));
  }
  void compare_match() {
    const Sequence& sequence = any_sequence();
    std::vector<BlockHash> hashes = sequence.hashes;
    if (chance(3)) hashes.resize(1 + random_.below(hashes.size()));
    if (chance(4)) hashes.back() ^= 1;
    KnownChain chain(hashes);
    naive_.match(chain, expected_);
    index_->match(chain, found_);
    std::sort(found_.begin(), found_.end(),
              [](const auto& a, const auto& b) { return a.holder < b.holder; });
    if (!tight()) {
      ASSERT_TRUE(expected_ == found_) << what();
      return;
    }
    for (const HolderMatch& match : found_) {
      const auto known =
          std::find_if(expected_.begin(), expected_.end(),
                       [&](const HolderMatch& other) { return other.holder == match.holder; });
      ASSERT_NE(known, expected_.end()) << what();
      ASSERT_LE(match.blocks, known->blocks) << what();
    }
  }
  void compare_everything() {
    while (index_->tidy()) {
    }
    compare(naive_.distinct_blocks(), index_->distinct_blocks());
    if (tight()) return;
    Known expected;
    Known found;
    naive_.visit(expected);
    index_->visit(found);
    const auto without_common = [](Known& known) {
      for (BlockIndex::KnownBlock& block : known.blocks) block.common_name = 0;
      std::sort(known.blocks.begin(), known.blocks.end());
    };
    without_common(expected);
    without_common(found);
    ASSERT_TRUE(expected.blocks == found.blocks) << what();
  }
  std::string what() const {
    return "seed " + std::to_string(options_.seed) + ", operation " + std::to_string(operation_);
  }

  const StormOptions options_;
  Random random_;
  NaiveBlockIndex naive_;
  const std::unique_ptr<BlockIndex> index_;
  std::vector<Sequence> sequences_;
  std::vector<HolderId> holders_;
  std::vector<HolderMatch> expected_;
  std::vector<HolderMatch> found_;
  uint64_t operation_ = 0;
  uint64_t full_ = 0;
};

}  // namespace kvasir
