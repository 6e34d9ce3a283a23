#include "kvindex/tag_table.h"

#include <new>

namespace kvasir {

TagTable::~TagTable() {
  for (std::atomic<Table*>& table : tables_) delete table.load(kRelaxed);
  for (Table* const table : retired_) delete table;
}

// Which entry is that one; kEntries: none.
size_t TagTable::Bucket::entry_of(uint8_t tag, uint32_t place) const {
  for (uint64_t tags = equal_bytes(tags_low.load(kRelaxed), tag); tags != 0; tags &= tags - 1) {
    const size_t entry = static_cast<size_t>(std::countr_zero(tags)) / 8;
    if (places[entry].load(kRelaxed) == place) return entry;
  }
  for (uint64_t tags = equal_bytes(tags_high.load(kRelaxed), tag); tags != 0; tags &= tags - 1) {
    const size_t entry = 8 + static_cast<size_t>(std::countr_zero(tags)) / 8;
    if (places[entry].load(kRelaxed) == place) return entry;
  }
  return kEntries;
}

void TagTable::Bucket::set_tag(size_t entry, uint8_t tag) {
  const size_t shift = entry % 8 * 8;
  const uint64_t others = ~(uint64_t{0xff} << shift);
  if (entry < 8) {
    tags_low.store((tags_low.load(kRelaxed) & others) | uint64_t{tag} << shift,
                   std::memory_order_release);
  } else {
    tags_high.store(
        static_cast<uint32_t>((tags_high.load(kRelaxed) & others) | uint64_t{tag} << shift),
        std::memory_order_release);
  }
}

void TagTable::Table::add(const Hash& hash, uint32_t place) {
  for (size_t at = home(hash);; at = next(at)) {
    Bucket& bucket = buckets[at];
    uint64_t empty = equal_bytes(bucket.tags_low.load(kRelaxed), 0);
    size_t first = 0;
    if (empty == 0) {
      empty = equal_bytes(bucket.tags_high.load(kRelaxed), 0) & 0xffffffff;
      first = 8;
    }
    if (empty != 0) {
      const size_t entry = first + static_cast<size_t>(std::countr_zero(empty)) / 8;
      bucket.places[entry].store(place, std::memory_order_release);
      bucket.set_tag(entry, hash.tag);
      ++size;
      return;
    }
    bucket.passed.store(bucket.passed.load(kRelaxed) + 1, std::memory_order_release);
  }
}

void TagTable::erase(uint64_t key, uint32_t place) {
  const Hash hash(key);
  Table& table = *tables_[hash.shard].load(kRelaxed);
  for (size_t at = table.home(hash);; at = table.next(at)) {
    Bucket& bucket = table.buckets[at];
    const size_t entry = bucket.entry_of(hash.tag, place);
    if (entry == kEntries) continue;
    bucket.set_tag(entry, 0);
    --table.size;
    for (size_t on_way = table.home(hash); on_way != at; on_way = table.next(on_way)) {
      std::atomic<uint32_t>& passed = table.buckets[on_way].passed;
      passed.store(passed.load(kRelaxed) - 1, std::memory_order_release);
    }
    return;
  }
}

TagTable::Table* TagTable::make_table(size_t buckets) {
  const size_t first = stretches_.take(buckets);
  if (!buckets_.reach(first + buckets)) {
    stretches_.give(first, buckets);
    return nullptr;
  }
  for (size_t i = first; i < first + buckets; ++i) new (&buckets_[i]) Bucket;
  return new Table{buckets, 0, first, &buckets_[first]};
}

void TagTable::retire(Table* table) {
  if (table == nullptr) return;
  if (has_readers_) {
    retired_.push_back(table);
  } else {
    stretches_.give(table->first, table->count);
    delete table;
  }
}

}  // namespace kvasir
