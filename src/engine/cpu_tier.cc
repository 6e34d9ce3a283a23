#include "engine/cpu_tier.h"

#include "base/assert.h"

namespace kvasir {

CpuTier::CpuTier(uint32_t blocks, size_t block_bytes)
    : places_(uint64_t{blocks} + 1),
      block_bytes_(block_bytes),
      bytes_(new std::byte[blocks * block_bytes]),
      map_(blocks) {
  clear();
}

void CpuTier::touch(BlockHash hash) {
  const uint32_t place = map_.find(hash);
  if (place == kNoBlock) return;
  unlink(place);
  append(place);
}

std::optional<BlockHash> CpuTier::next_evicted() const {
  if (size() < capacity()) return std::nullopt;
  return places_[places_.back().after].hash;
}

std::span<std::byte> CpuTier::insert(BlockHash hash) {
  KVASIR_ASSERT(capacity() > 0 && !holds(hash), "a block is kept once, where there is room");
  uint32_t place = size();
  if (size() == capacity()) {
    place = places_.back().after;
    map_.erase(places_[place].hash);
    unlink(place);
  }
  places_[place].hash = hash;
  map_.insert(hash, place);
  append(place);
  return bytes_at(place);
}

std::span<const std::byte> CpuTier::bytes(BlockHash hash) const {
  const uint32_t place = map_.find(hash);
  KVASIR_ASSERT(place != kNoBlock, "only of a block that is kept");
  return bytes_at(place);
}

void CpuTier::clear() {
  map_.clear();
  places_.back().before = places_.back().after = capacity();
}

void CpuTier::append(uint32_t place) {
  Place& end = places_.back();
  places_[place].before = end.before;
  places_[place].after = capacity();
  places_[end.before].after = place;
  end.before = place;
}

void CpuTier::unlink(uint32_t place) {
  places_[places_[place].before].after = places_[place].after;
  places_[places_[place].after].before = places_[place].before;
}

}  // namespace kvasir
