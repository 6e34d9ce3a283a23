#include "kvindex/tag_table.h"

namespace kvasir {

TagTable::~TagTable() {
  for (std::atomic<Table*>& table : tables_) destroy(table.load(kRelaxed));
  for (Table* const table : retired_) destroy(table);
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
    for (size_t entry = 0; entry < kEntries; ++entry) {
      if (bucket.places[entry].load(kRelaxed) != place || !bucket.used(entry)) continue;
      bucket.set_tag(entry, 0);
      --table.size;
      for (size_t on_way = table.home(hash); on_way != at; on_way = table.next(on_way)) {
        std::atomic<uint32_t>& passed = table.buckets[on_way].passed;
        passed.store(passed.load(kRelaxed) - 1, std::memory_order_release);
      }
      return;
    }
  }
}

TagTable::Table* TagTable::make_table(size_t buckets) {
  if (!budget_.take(buckets * sizeof(Bucket))) return nullptr;
  return new Table{buckets, 0, std::make_unique<Bucket[]>(buckets)};
}

void TagTable::retire(Table* table) {
  if (table == nullptr) return;
  if (has_readers_) {
    retired_.push_back(table);
  } else {
    destroy(table);
  }
}

void TagTable::destroy(Table* table) {
  if (table == nullptr) return;
  budget_.give(table->count * sizeof(Bucket));
  delete table;
}

}  // namespace kvasir
