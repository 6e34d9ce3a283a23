// Who covers which blocks of a run, how many copies of them, and what follows when that changes.
#include <algorithm>

#include "kvindex/chain_index.h"

namespace kvasir {

// The seat covers `count` blocks from there on. `copies` of each come to what it had. False: there
// is no memory.
bool ChainIndex::cover(const At& at, Found found, uint32_t count, uint32_t copies) {
  uint32_t had = runs_.covered(found.run, at.seat);
  if (found.offset > had) {  // not what comes before: this is a run of its own
    found.run = runs_.split(found.run, found.offset);
    if (found.run == kNone) return false;
    found.offset = had = 0;
  }
  const uint32_t until = found.offset + count;
  const uint32_t place = runs_.first(found.run);
  for (uint32_t i = found.offset; i < std::min(until, had); ++i) {
    if (!add_copies(at, place + i, copies) && at.naming == Naming::kOwn) return false;
  }
  runs_.set_stored(found.run, now_);
  if (until <= had) return true;
  if (!runs_.set_covered(found.run, at.seat, until)) return false;
  count_change(at, found.run, had, until, true);
  if (copies > 1) {
    for (uint32_t i = had; i < until; ++i) add_copies(at, place + i, copies - 1);
  }
  if (until == runs_.length(found.run)) runs_.join_next(found.run, seats_.epoch());
  return true;
}

// The seat does not cover that block any more; if there is no memory for a hole, neither those
// after it. Precondition: it covers it.
void ChainIndex::uncover(const At& at, Found found) {
  const uint32_t had = runs_.covered(found.run, at.seat);
  uint32_t until = found.offset + 1;
  if (until < had && runs_.split(found.run, until) == kNone) {
    const uint32_t place = runs_.first(found.run) + until;
    forget_copies(at.seat, place, had - until);
    if (at.naming == Naming::kOwn) forget_own_names(at.holder, at.tier, place, had - until);
    until = had;
  }
  count_change(at, found.run, found.offset, until, false);
  runs_.shorten(found.run, at.seat, found.offset);
}

// Copies that come to at least one. With own names it is names that are counted, always. False:
// they could not be.
bool ChainIndex::add_copies(const At& at, uint32_t place, uint32_t copies) {
  if (at.naming == Naming::kCommon && !options_.count_copies) return true;
  const uint64_t key = copies_key(at.seat, place);
  if (uint64_t* const count = copies_.find(key)) {
    if (*count + copies > BlockIndexOptions::kCopiesMax) {
      if (at.naming == Naming::kOwn) return false;
      *count = BlockIndexOptions::kCopiesMax;
    } else {
      *count += copies;
    }
    return true;
  }
  if (!copied_places_.reach(place / 64 + size_t{1}) ||
      !copies_.insert(key, std::min(1 + copies, BlockIndexOptions::kCopiesMax))) {
    return false;
  }
  copied_places_[place / 64] |= uint64_t{1} << place % 64;
  if (copied_.size() <= at.seat) copied_.resize(at.seat + size_t{1});
  ++copied_[at.seat];
  return true;
}

// False: there is no second one.
bool ChainIndex::drop_copy(const At& at, uint32_t place) {
  if (!may_have_copies(at.seat, place)) return false;
  uint64_t* const count = copies_.find(copies_key(at.seat, place));
  if (count == nullptr) return false;
  if (--*count == 1) forget_copies(at.seat, place, 1);
  return true;
}

void ChainIndex::forget_copies(Seat seat, uint32_t place, uint32_t count) {
  for (uint32_t i = 0; i < count && copied_.size() > seat && copied_[seat] > 0; ++i) {
    if (!may_have_copies(seat, place + i)) continue;
    const uint64_t key = copies_key(seat, place + i);
    if (copies_.find(key) == nullptr) continue;
    copies_.erase(key);
    --copied_[seat];
  }
}

// Slow: looks at all its names.
void ChainIndex::forget_own_names(Holder& holder, CacheTier tier, uint32_t place, uint32_t count) {
  std::vector<std::pair<uint64_t, OwnName>> changed;
  holder.own.for_each([&](uint64_t name, uint64_t packed) {
    OwnName own(packed);
    if (own.place < place || own.place >= place + count || own.in(tier) == 0) return;
    own.in(tier) = 0;
    changed.emplace_back(name, own);
  });
  for (const auto& [name, own] : changed) {
    if (own.copies == std::array<uint8_t, kCacheTiers>{}) {
      holder.own.erase(name);
    } else {
      *holder.own.find(name) = own.packed();
    }
  }
}

// The seat comes to cover, or covers no longer, [from, until) of the run. What other seats of the
// same holder cover is not counted twice.
void ChainIndex::count_change(const At& at, uint32_t run, uint32_t from, uint32_t until,
                              bool more) {
  uint32_t in_tier = from;
  uint32_t in_any = from;
  if (at.holder.seats_taken > 1) {
    for (const Naming naming : {Naming::kCommon, Naming::kOwn}) {
      for (size_t i = 0; i < kCacheTiers; ++i) {
        const auto tier = static_cast<CacheTier>(i);
        const std::optional<Seat> other = at.holder.seat(naming, tier);
        if (!other || *other == at.seat) continue;
        const uint32_t covered = runs_.covered(run, *other);
        in_any = std::max(in_any, covered);
        if (tier == at.tier) in_tier = std::max(in_tier, covered);
      }
    }
  }
  const size_t memberships = until - std::min(in_tier, until);
  const size_t blocks = until - std::min(in_any, until);
  const size_t before = memberships_.load(std::memory_order_relaxed);
  if (more) {
    at.holder.blocks += blocks;
    at.holder.memberships += memberships;
    memberships_.store(before + memberships, std::memory_order_relaxed);
  } else {
    at.holder.blocks -= blocks;
    at.holder.memberships -= memberships;
    memberships_.store(before - memberships, std::memory_order_relaxed);
  }
}

// Nobody who was cleared is a member of the run any more. False: then it is gone.
bool ChainIndex::settle(uint32_t run) {
  if (runs_[run].swept == seats_.epoch()) return true;
  const uint32_t place = runs_.first(run);
  const bool alive = runs_.take_out(run, [&](RunMember member) {
    if (seats_.sitter(member.seat())) return false;
    forget_copies(member.seat(), place, member.covered());
    return true;
  });
  if (alive) runs_.set_swept(run, seats_.epoch());
  return alive;
}

// Nobody has more than the first `blocks` of it any more.
void ChainIndex::forget_run(uint32_t run, uint32_t blocks) {
  if (!settle(run)) return;
  const uint32_t place = runs_.first(run);
  while (runs_.alive(run) && runs_.length(run) > blocks) {
    // The member that is as long as the run.
    RunMember longest = runs_.member(runs_[run], 0);
    for (uint32_t i = 1; longest.covered() < runs_.length(run); ++i) {
      longest = runs_.member(runs_[run], i);
    }
    const ChainSeats::Sitter sitter = *seats_.sitter(longest.seat());
    Holder& holder = holder_of(sitter.holder);
    const bool own = holder.seat(Naming::kOwn, sitter.tier) == longest.seat();
    const At at{holder, own ? Naming::kOwn : Naming::kCommon, sitter.tier, longest.seat()};
    const uint32_t gone = longest.covered() - blocks;
    forget_copies(at.seat, place + blocks, gone);
    if (own) forget_own_names(holder, sitter.tier, place + blocks, gone);
    count_change(at, run, blocks, longest.covered(), false);
    runs_.shorten(run, at.seat, blocks);
  }
}

bool ChainIndex::tidy() {
  if (!cleared_.empty()) {
    cleared_.pop_back();
    return true;
  }
  if (!seats_.any_left()) return false;
  if (sweep_next_ == 0) sweep_epoch_ = seats_.epoch();
  const uint32_t end = runs_.runs_end();
  for (size_t i = 0; i < kRunsPerTidy && sweep_next_ < end; ++i, ++sweep_next_) {
    if (runs_.alive(sweep_next_)) settle(sweep_next_);
  }
  if (sweep_next_ == end) {
    seats_.swept(sweep_epoch_);
    sweep_next_ = 0;
  }
  return seats_.any_left() || !cleared_.empty();
}

size_t ChainIndex::expire(TimePoint stored_before) {
  const size_t before = memberships();
  const uint32_t oldest = coarse(stored_before);
  for (uint32_t run = 0; run < runs_.runs_end(); ++run) {
    if (runs_.alive(run) && runs_[run].stored < oldest) forget_run(run, 0);
  }
  return before - memberships();
}

void ChainIndex::shrink(size_t distinct_blocks) {
  if (runs_.distinct_blocks() <= distinct_blocks) return;
  std::vector<uint32_t> oldest;
  for (uint32_t run = 0; run < runs_.runs_end(); ++run) {
    if (runs_.alive(run) && settle(run)) oldest.push_back(run);
  }
  std::stable_sort(oldest.begin(), oldest.end(),
                   [&](uint32_t a, uint32_t b) { return runs_[a].stored < runs_[b].stored; });
  for (const uint32_t run : oldest) {
    if (runs_.distinct_blocks() <= distinct_blocks) return;
    const size_t surplus = runs_.distinct_blocks() - distinct_blocks;
    forget_run(run, runs_.length(run) -
                        static_cast<uint32_t>(std::min<size_t>(surplus, runs_.length(run))));
  }
}

size_t ChainIndex::runs() const {
  size_t alive = 0;
  for (uint32_t run = 0; run < runs_.runs_end(); ++run) alive += runs_.alive(run);
  return alive;
}

// In sixteenths of a second, about: nine years.
uint32_t ChainIndex::coarse(TimePoint time) {
  constexpr int kShift = 26;
  return static_cast<uint32_t>(
      std::clamp<int64_t>(time.time_since_epoch().count() >> kShift, 0, UINT32_MAX));
}

}  // namespace kvasir
