#include "serving/token_cache.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {
namespace {

// What an entry takes besides its ids, about.
constexpr size_t kEntryBytes = 192;

}  // namespace

struct TokenCache::Question::Hash {
  XXH3_state_t state;
};

TokenCache::Question::Question(const TokenCache& cache) : hash_(std::make_unique<Hash>()) {
  XXH3_128bits_reset_withSeed(&hash_->state, cache.secret_);
}
TokenCache::Question::~Question() = default;

void TokenCache::Question::take(std::string_view piece) {
  XXH3_128bits_update(&hash_->state, piece.data(), piece.size());
}

TokenCache::Key TokenCache::Question::key() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(&hash_->state);
  return {hash.low64, hash.high64};
}

TokenCache::TokenCache(size_t bytes_max, uint64_t secret)
    : bytes_max_(bytes_max), secret_(secret) {}

size_t TokenCache::bytes_of(const std::vector<uint32_t>& ids) {
  return ids.capacity() * sizeof(uint32_t) + kEntryBytes;
}

TokenCache::Ids TokenCache::find(const Key& key) {
  return entries_.with([&key](Entries& entries) {
    const auto found = entries.by_key.find(key);
    if (found == entries.by_key.end()) return Ids();
    entries.by_use.splice(entries.by_use.begin(), entries.by_use, found->second);
    return found->second->ids;
  });
}

void TokenCache::put(const Key& key, Ids ids) {
  const size_t bytes = bytes_of(*ids);
  if (bytes > bytes_max_ / 4) return;
  entries_.with([&](Entries& entries) {
    if (entries.by_key.contains(key)) return;
    entries.by_use.push_front({key, std::move(ids)});
    entries.by_key.emplace(key, entries.by_use.begin());
    entries.bytes += bytes;
    while (entries.bytes > bytes_max_) {
      const Entry& last = entries.by_use.back();
      entries.bytes -= bytes_of(*last.ids);
      entries.by_key.erase(last.key);
      entries.by_use.pop_back();
    }
  });
}

size_t TokenCache::bytes() const {
  return entries_.with([](const Entries& entries) { return entries.bytes; });
}

}  // namespace kvasir
