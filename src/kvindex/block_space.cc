#include "kvindex/block_space.h"

#include <algorithm>
#include <bit>

namespace kvasir {

BlockSpace::BlockSpace(size_t places_max, MemoryBudget& budget)
    : hashes_(places_max, budget), names_(places_max, budget), runs_(places_max, budget) {
  free_.fill(kNoGroup);
}

BlockSpace::Stretch BlockSpace::take(uint32_t count) {
  count = std::min(count, kStretchMax);
  const uint32_t groups = (count + kGroup - 1) / kGroup;
  const uint32_t wanted = static_cast<uint32_t>(std::bit_width(groups - 1));
  uint32_t order = wanted;
  while (order < kOrders && free_[order] == kNoGroup) ++order;
  if (order == kOrders) {
    if (grow()) {
      order = kOrders - 1;
    } else {  // less, then
      for (order = std::min(wanted, kOrders - 1); free_[order] == kNoGroup; --order) {
        if (order == 0) return {};
      }
    }
  }
  const uint32_t group = free_[order];
  unlink(group, order);
  mark(group) = kNoRun;
  const uint32_t got = std::min(groups, 1u << order);
  prefetch_columns(group * kGroup, got * kGroup);
  set_runs(group * kGroup, got * kGroup, kNoRun);
  free_groups(group + got, (1u << order) - got);
  return {group * kGroup, std::min(count, got * kGroup)};
}

uint32_t BlockSpace::take_at(uint32_t place, uint32_t count) {
  uint32_t got = 0;
  for (; got < count && exists(place + got); ++got) {
    const uint32_t at = place + got;
    if (at % kGroup == 0 ? !take_one(at / kGroup) : runs_[at] != kNoRun) break;
  }
  return got;
}

void BlockSpace::release(uint32_t place, uint32_t count) {
  if (count == 0) return;
  set_runs(place, count, kNoRun);
  uint32_t first = place / kGroup;
  uint32_t end = (place + count + kGroup - 1) / kGroup;
  if (!unused(first)) ++first;
  if (end > first && !unused(end - 1)) --end;
  if (end > first) free_groups(first, end - first);
}

// What is given out lay idle for long: it is fetched all at once, before it is written.
void BlockSpace::prefetch_columns(uint32_t place, uint32_t count) const {
  for (uint32_t i = place; i < place + count; i += kGroup) {
    __builtin_prefetch(&runs_[i], 1);
    __builtin_prefetch(&names_[i], 1);
    __builtin_prefetch(&hashes_[i], 1);
  }
}

bool BlockSpace::unused(uint32_t group) const {
  const uint32_t* const runs = &runs_[size_t{group} * kGroup];
  return std::all_of(runs, runs + kGroup, [](uint32_t run) { return run == kNoRun; });
}

void BlockSpace::link(uint32_t group, uint32_t order) {
  mark(group) = kFreeMark | order;
  previous(group) = kNoGroup;
  next(group) = free_[order];
  if (free_[order] != kNoGroup) previous(free_[order]) = group;
  free_[order] = group;
}

void BlockSpace::unlink(uint32_t group, uint32_t order) {
  const uint32_t after = next(group);
  const uint32_t before = previous(group);
  (before == kNoGroup ? free_[order] : next(before)) = after;
  if (after != kNoGroup) previous(after) = before;
}

bool BlockSpace::grow() {
  const size_t end = size_t{end_} + kStretchMax;
  if (end > kPlacesMax || !hashes_.reach(end) || !names_.reach(end) || !runs_.reach(end)) {
    return false;
  }
  const uint32_t group = end_ / kGroup;
  end_ = static_cast<uint32_t>(end);
  link(group, kOrders - 1);
  return true;
}

// Takes `group`, if it is free, out of the free groups around it.
bool BlockSpace::take_one(uint32_t group) {
  for (uint32_t order = 0; order < kOrders; ++order) {
    const uint32_t first = group & ~((1u << order) - 1);
    if (mark(first) != (kFreeMark | order)) continue;
    take_group(first, group, order);
    return true;
  }
  return false;
}

void BlockSpace::take_group(uint32_t group, uint32_t inside, uint32_t order) {
  unlink(group, order);
  while (order > 0) {
    --order;
    const uint32_t upper = group + (1u << order);
    const bool in_upper = inside >= upper;
    link(in_upper ? group : upper, order);
    if (in_upper) group = upper;
  }
  set_runs(inside * kGroup, kGroup, kNoRun);
}

void BlockSpace::free_groups(uint32_t group, uint32_t count) {
  while (count > 0) {
    const uint32_t aligned = group == 0 ? kOrders - 1 : std::countr_zero(group);
    const uint32_t fits = static_cast<uint32_t>(std::bit_width(count)) - 1;
    const uint32_t order = std::min({aligned, fits, kOrders - 1});
    free_block(group, order);
    group += 1u << order;
    count -= 1u << order;
  }
}

void BlockSpace::free_block(uint32_t group, uint32_t order) {
  mark(group) = kNoRun;
  for (; order + 1 < kOrders; ++order) {
    const uint32_t buddy = group ^ (1u << order);
    if (mark(buddy) != (kFreeMark | order)) break;
    unlink(buddy, order);
    mark(buddy) = kNoRun;
    group = std::min(group, buddy);
  }
  link(group, order);
}

}  // namespace kvasir
