#include "kvindex/index_snapshot.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_map>
#include <vector>

#include "base/whole_file.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are copied as they are");

constexpr std::string_view kSnapshotMagic{"KVSNAP\0\1", 8};
constexpr size_t kChecksumBytes = sizeof(uint64_t);
constexpr uint32_t kGroupBlocksMax = 1u << 20;

enum GroupParts : uint8_t { kOwnNames = 1, kCopies = 2, kSameBlocks = 4 };

class SnapshotWriter final : public BlockIndex::Visitor {
 public:
  explicit SnapshotWriter(std::span<const SnapshotHolder> holders) : bytes_(kSnapshotMagic) {
    append(static_cast<uint32_t>(holders.size()));
    for (const SnapshotHolder& holder : holders) {
      numbers_.emplace(index_of(holder.holder), static_cast<uint32_t>(numbers_.size()));
      const std::string_view name = std::string_view(holder.name).substr(0, UINT16_MAX);
      append(static_cast<uint16_t>(name.size()));
      bytes_ += name;
    }
  }
  void on_block(const BlockIndex::KnownBlock& block) override {
    const auto number = numbers_.find(index_of(block.holder));
    if (number == numbers_.end()) return;
    const bool goes_on = !hashes_.empty() && number->second == holder_ && block.tier == tier_ &&
                         block.parent == hashes_.back() && hashes_.size() < kGroupBlocksMax;
    if (!goes_on) {
      flush();
      holder_ = number->second;
      tier_ = block.tier;
      parent_ = block.parent;
    }
    hashes_.push_back(block.hash);
    commons_.push_back(block.common_name);
    names_.push_back(block.engine_hash);
    copies_.push_back(static_cast<uint8_t>(std::min(block.copies, BlockIndexOptions::kCopiesMax)));
  }
  std::string finish() {
    flush();
    append(XXH3_64bits(bytes_.data(), bytes_.size()));
    return std::move(bytes_);
  }

 private:
  template <class Number>
  void append(Number number) {
    bytes_.append(reinterpret_cast<const char*>(&number), sizeof number);
  }
  template <class Number>
  void append_all(const std::vector<Number>& numbers) {
    bytes_.append(reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(Number));
  }
  void flush() {
    if (hashes_.empty()) return;
    const bool same = hashes_.size() <= last_hashes_.size() && parent_ == last_parent_ &&
                      std::equal(hashes_.begin(), hashes_.end(), last_hashes_.begin()) &&
                      std::equal(commons_.begin(), commons_.end(), last_commons_.begin());
    const bool own = names_ != commons_;
    const bool copied = std::any_of(copies_.begin(), copies_.end(), [](int n) { return n > 1; });
    append(holder_);
    append(static_cast<uint8_t>(tier_));
    append(static_cast<uint8_t>((own ? kOwnNames : 0) | (copied ? kCopies : 0) |
                                (same ? kSameBlocks : 0)));
    append(uint16_t{0});
    append(static_cast<uint32_t>(hashes_.size()));
    if (!same) {
      append(parent_);
      append_all(hashes_);
      append_all(commons_);
    }
    if (own) append_all(names_);
    if (copied) append_all(copies_);
    if (!same) {
      last_parent_ = parent_;
      last_hashes_.swap(hashes_);
      last_commons_.swap(commons_);
    }
    hashes_.clear();
    commons_.clear();
    names_.clear();
    copies_.clear();
  }

  std::string bytes_;
  std::unordered_map<uint32_t, uint32_t> numbers_;  // holder -> its place in the file
  // The group that is being made, and the last one with blocks of its own.
  uint32_t holder_ = 0;
  CacheTier tier_{};
  BlockHash parent_ = 0;
  BlockHash last_parent_ = 0;
  std::vector<BlockHash> hashes_, last_hashes_;
  std::vector<uint64_t> commons_, last_commons_;
  std::vector<uint64_t> names_;
  std::vector<uint8_t> copies_;
};

// Reads a file whose checksum is right. Whoever made it may have made it wrong all the same.
class SnapshotReader {
 public:
  explicit SnapshotReader(std::string_view bytes) : rest_(bytes) {}

  // Calls on_holder(name) for each holder, then on_block(holder's number, block) for each block.
  // False: it is not as it should be.
  template <class OnHolder, class OnBlock>
  bool read(OnHolder&& on_holder, OnBlock&& on_block) {
    const auto holders = take<uint32_t>();
    if (!holders) return false;
    for (uint32_t i = 0; i < *holders; ++i) {
      const auto length = take<uint16_t>();
      if (!length || rest_.size() < *length) return false;
      on_holder(rest_.substr(0, *length));
      rest_.remove_prefix(*length);
    }
    while (!rest_.empty()) {
      if (!read_group(*holders, on_block)) return false;
    }
    return true;
  }

 private:
  template <class Number>
  std::optional<Number> take() {
    if (rest_.size() < sizeof(Number)) return std::nullopt;
    Number number;
    std::memcpy(&number, rest_.data(), sizeof number);
    rest_.remove_prefix(sizeof number);
    return number;
  }
  std::optional<std::string_view> take_bytes(size_t bytes) {
    if (rest_.size() < bytes) return std::nullopt;
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
    return taken;
  }
  static uint64_t number_at(std::string_view column, size_t i) {
    uint64_t number;
    std::memcpy(&number, column.data() + i * sizeof number, sizeof number);
    return number;
  }

  template <class OnBlock>
  bool read_group(uint32_t holders, OnBlock& on_block) {
    const auto holder = take<uint32_t>();
    const auto tier = take<uint8_t>();
    const auto what = take<uint8_t>();
    const auto zero = take<uint16_t>();
    const auto count = take<uint32_t>();
    if (!count || *holder >= holders || *tier >= kCacheTiers || *what > 7 || *zero != 0 ||
        *count == 0 || *count > kGroupBlocksMax) {
      return false;
    }
    const size_t column = size_t{*count} * sizeof(uint64_t);
    if ((*what & kSameBlocks) != 0) {
      if (hashes_.size() < column) return false;
    } else {
      const auto parent = take<uint64_t>();
      const auto hashes = take_bytes(column);
      const auto commons = take_bytes(column);
      if (!commons) return false;
      parent_ = *parent;
      hashes_ = *hashes;
      commons_ = *commons;
    }
    std::string_view names = commons_;
    if ((*what & kOwnNames) != 0) {
      const auto own = take_bytes(column);
      if (!own) return false;
      names = *own;
    }
    std::optional<std::string_view> copies;
    if ((*what & kCopies) != 0 && !(copies = take_bytes(*count))) return false;
    for (uint32_t i = 0; i < *count; ++i) {
      BlockIndex::KnownBlock block;
      block.tier = static_cast<CacheTier>(*tier);
      block.copies = copies ? static_cast<uint8_t>((*copies)[i]) : 1;
      block.parent = i == 0 ? parent_ : number_at(hashes_, i - 1);
      block.hash = number_at(hashes_, i);
      block.engine_hash = number_at(names, i);
      block.common_name = number_at(commons_, i);
      if (block.copies == 0) return false;
      on_block(*holder, block);
    }
    return true;
  }

  std::string_view rest_;
  BlockHash parent_ = 0;
  std::string_view hashes_, commons_;  // of the last group that has blocks of its own
};

Result<std::string_view> checked_body(std::string_view bytes) {
  if (bytes.size() < kSnapshotMagic.size() + kChecksumBytes) {
    return Error{"no snapshot of a KV index: it ends too early"};
  }
  if (bytes.substr(0, kSnapshotMagic.size() - 1) !=
      kSnapshotMagic.substr(0, kSnapshotMagic.size() - 1)) {
    return Error{"no snapshot of a KV index: it begins otherwise"};
  }
  if (bytes[kSnapshotMagic.size() - 1] != kSnapshotMagic.back()) {
    return Error{"a snapshot of version " +
                 std::to_string(static_cast<uint8_t>(bytes[kSnapshotMagic.size() - 1])) +
                 "; this program reads version 1"};
  }
  const std::string_view checked = bytes.substr(0, bytes.size() - kChecksumBytes);
  uint64_t checksum;
  std::memcpy(&checksum, bytes.data() + checked.size(), sizeof checksum);
  if (XXH3_64bits(checked.data(), checked.size()) != checksum) {
    return Error{"the snapshot is damaged or not whole: its checksum is wrong"};
  }
  return checked.substr(kSnapshotMagic.size());
}

}  // namespace

std::string index_snapshot(const BlockIndex& index, std::span<const SnapshotHolder> holders) {
  SnapshotWriter writer(holders);
  index.visit(writer);
  return writer.finish();
}

Result<RestoredSnapshot> restore_snapshot(std::string_view bytes, BlockIndex& index,
                                          const FindHolder& find_holder) {
  const Result<std::string_view> body = checked_body(bytes);
  if (!body) return body.error();
  const auto ignore_holder = [](std::string_view) {};
  const auto ignore_block = [](uint32_t, const BlockIndex::KnownBlock&) {};
  if (!SnapshotReader(*body).read(ignore_holder, ignore_block)) {
    return Error{"the snapshot is not made as it should be, though its checksum is right"};
  }
  RestoredSnapshot restored;
  std::vector<std::optional<HolderId>> holders;
  SnapshotReader(*body).read(
      [&](std::string_view name) {
        holders.push_back(find_holder(name));
        restored.holders += holders.back().has_value();
      },
      [&](uint32_t number, BlockIndex::KnownBlock block) {
        const std::optional<HolderId> holder = holders[number];
        if (!holder) {
          ++restored.left_out;
          return;
        }
        block.holder = *holder;
        const bool done = index.restore(block) == StoreOutcome::kStored;
        ++(done ? restored.blocks : restored.refused);
      });
  return restored;
}

Result<void> write_index_snapshot(const std::string& path, const BlockIndex& index,
                                  std::span<const SnapshotHolder> holders) {
  return replace_file(path, index_snapshot(index, holders));
}

Result<RestoredSnapshot> load_index_snapshot(const std::string& path, BlockIndex& index,
                                             const FindHolder& find_holder, size_t bytes_max) {
  const Result<std::string> bytes = read_whole_file(path, bytes_max);
  if (!bytes) return bytes.error();
  Result<RestoredSnapshot> restored = restore_snapshot(*bytes, index, find_holder);
  if (!restored) return Error{path + ": " + restored.error().message};
  return restored;
}

}  // namespace kvasir
