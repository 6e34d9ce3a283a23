// A hash table from keys to places (numbers of things that know their key themselves): it keeps a
// byte of each key's hash and the place, so 7 bytes an entry.
//
// A bucket is one cache line of twelve entries. What finds its bucket full goes to the next one,
// and the full one counts it: a search goes on only where the count is not 0, and erasing leaves
// nothing behind. The buckets are in kShards tables, each of which grows for itself, so that no
// growth takes long; and all tables in one array, so that huge pages can hold them: which bucket is
// looked at is random, and small pages cost as much again.
//
// One thread changes it. find() may be called on any thread meanwhile: it may miss what is inserted
// or erased at that moment. Tables that were outgrown stay until the end for the sake of such
// readers, if there are any.
#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "kvindex/free_stretches.h"
#include "kvindex/reserved_array.h"

namespace kvasir {

class TagTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  TagTable(bool has_readers, MemoryBudget& budget)
      : has_readers_(has_readers), buckets_(budget.bytes_max() / sizeof(Bucket) + 1, budget) {}
  ~TagTable();
  TagTable(const TagTable&) = delete;
  TagTable& operator=(const TagTable&) = delete;

  // The place under `key` of which is(place) says so; kNone: there is none.
  template <class Is>
  uint32_t find(uint64_t key, Is&& is) const {
    const Hash hash(key);
    const Table* const table = tables_[hash.shard].load(std::memory_order_acquire);
    if (table == nullptr) return kNone;
    size_t at = table->home(hash);
    for (size_t seen = 0; seen < table->count; ++seen) {
      const Bucket& bucket = table->buckets[at];
      for (uint64_t tags = equal_bytes(bucket.tags_low.load(kAcquire), hash.tag); tags != 0;
           tags &= tags - 1) {
        const uint32_t place = bucket.places[std::countr_zero(tags) / 8].load(kAcquire);
        if (is(place)) return place;
      }
      for (uint64_t tags = equal_bytes(bucket.tags_high.load(kAcquire), hash.tag); tags != 0;
           tags &= tags - 1) {
        const uint32_t place = bucket.places[8 + std::countr_zero(tags) / 8].load(kAcquire);
        if (is(place)) return place;
      }
      if (bucket.passed.load(kAcquire) == 0) return kNone;
      at = table->next(at);
    }
    return kNone;
  }
  void prefetch(uint64_t key) const {
    const Hash hash(key);
    const Table* const table = tables_[hash.shard].load(std::memory_order_relaxed);
    if (table != nullptr) __builtin_prefetch(&table->buckets[table->home(hash)], 1);
  }
  // key_of(place) is asked for the keys of what is there already; of 0 and of what was, too. False:
  // there is no memory. Precondition: the pair is not there.
  template <class KeyOf>
  bool insert(uint64_t key, uint32_t place, KeyOf&& key_of) {
    const Hash hash(key);
    Table* table = tables_[hash.shard].load(std::memory_order_relaxed);
    if (table == nullptr || table->size + 1 > table->count * kFull) {
      Table* const larger = make_table(table == nullptr ? 1 : table->count + table->count / 2 + 1);
      if (larger == nullptr) return false;
      if (table != nullptr) {
        move_all(*table, *larger, key_of);
      }
      tables_[hash.shard].store(larger, std::memory_order_release);
      retire(table);
      table = larger;
    }
    table->add(hash, place);
    return true;
  }
  // Precondition: the pair is there.
  void erase(uint64_t key, uint32_t place);

 private:
  static constexpr size_t kShards = 64;
  static constexpr size_t kEntries = 12;
  static constexpr size_t kFull = 9;  // entries of a bucket on average, then the table grows
  static constexpr auto kAcquire = std::memory_order_acquire;
  static constexpr auto kRelaxed = std::memory_order_relaxed;

  struct Hash {
    explicit Hash(uint64_t key) {
      const uint64_t mixed = mix64(key);
      shard = mixed >> 58;
      where = static_cast<uint32_t>(mixed >> 16);
      tag = static_cast<uint8_t>(mixed) == 0 ? 1 : static_cast<uint8_t>(mixed);
    }
    size_t shard;
    uint32_t where;
    uint8_t tag;  // not 0
  };
  struct alignas(64) Bucket {
    std::atomic<uint64_t> tags_low{0};   // of the first eight entries, a byte each; 0: empty
    std::atomic<uint32_t> tags_high{0};  // of the others
    std::atomic<uint32_t> passed{0};     // entries that went on from here
    std::array<std::atomic<uint32_t>, kEntries> places{};

    bool used(size_t entry) const {
      const uint64_t tags = entry < 8 ? tags_low.load(kRelaxed) : tags_high.load(kRelaxed);
      return static_cast<uint8_t>(tags >> (entry % 8 * 8)) != 0;
    }
    size_t entry_of(uint8_t tag, uint32_t place) const;
    void set_tag(size_t entry, uint8_t tag);
  };
  struct Table {
    size_t count = 0;
    size_t size = 0;
    size_t first = 0;  // in buckets_
    Bucket* buckets = nullptr;

    size_t home(const Hash& hash) const { return (uint64_t{hash.where} * count) >> 32; }
    size_t next(size_t at) const { return at + 1 == count ? 0 : at + 1; }
    void add(const Hash& hash, uint32_t place);
  };

  // 0x80 in each byte that is `tag`.
  static uint64_t equal_bytes(uint64_t bytes, uint8_t tag) {
    constexpr uint64_t kLow = 0x7f7f7f7f7f7f7f7fULL;
    const uint64_t different = bytes ^ (uint64_t{tag} * 0x0101010101010101ULL);
    return ~(((different & kLow) + kLow) | different | kLow);
  }
  // The keys of a bucket are asked for together: they are seldom in the cache, and so come at once.
  template <class KeyOf>
  static void move_all(const Table& from, Table& to, KeyOf& key_of) {
    for (size_t i = 0; i < from.count; ++i) {
      const Bucket& bucket = from.buckets[i];
      std::array<uint64_t, kEntries> keys;
      for (size_t entry = 0; entry < kEntries;
           ++entry) {  // an empty one's place is an old one, or 0
        keys[entry] = key_of(bucket.places[entry].load(kRelaxed));
      }
      for (size_t entry = 0; entry < kEntries; ++entry) {
        if (!bucket.used(entry)) continue;
        to.add(Hash(keys[entry]), bucket.places[entry].load(kRelaxed));
      }
    }
  }
  Table* make_table(size_t buckets);
  void retire(Table* table);

  const bool has_readers_;
  ReservedArray<Bucket> buckets_;
  FreeStretches stretches_;  // of buckets_
  std::array<std::atomic<Table*>, kShards> tables_{};
  std::vector<Table*> retired_;
};

}  // namespace kvasir
