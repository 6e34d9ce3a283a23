#include "kvindex/chain_runs.h"

#include <algorithm>
#include <bit>

namespace kvasir {
namespace {

size_t places_of(size_t memory_bytes_max) {
  return std::min(memory_bytes_max / BlockSpace::kBytesPerPlace + BlockSpace::kStretchMax,
                  BlockSpace::kPlacesMax);
}

constexpr uint32_t kMembersTogetherMax = 4096;  // join_next() compares so many pairs at most

}  // namespace

ChainRuns::ChainRuns(MemoryBudget& budget, size_t memory_bytes_max)
    : space_(places_of(memory_bytes_max), budget),
      runs_(memory_bytes_max / sizeof(Run) + 1, budget),
      members_(memory_bytes_max / sizeof(uint32_t) + 1, budget),
      names_(/*has_readers=*/false, budget),
      heads_(/*has_readers=*/true, budget) {
  std::fill(std::begin(free_members_), std::end(free_members_), kNone);
}

uint32_t ChainRuns::find(BlockHash first) const {
  return heads_.find(first, [&](uint32_t run) {
    return space_.hash(runs_[run].first.load(std::memory_order_acquire)) == first;
  });
}

bool ChainRuns::add_name(uint64_t name, uint32_t place) {
  return names_.insert(name, place, [&](uint32_t other) { return space_.name(other); });
}

void ChainRuns::forget_names(uint32_t place, uint32_t count) {
  constexpr uint32_t kAhead = 8;
  for (uint32_t i = place; i < place + count; ++i) {
    if (i + kAhead < place + count) names_.prefetch(space_.name(i + kAhead));
    names_.erase(space_.name(i), i);
  }
}

uint32_t ChainRuns::covered(uint32_t run, Seat seat) const {
  const Run& of = runs_[run];
  const uint32_t i = find_member(of, seat);
  return i == kNone ? 0 : member(of, i).covered();
}

bool ChainRuns::set_covered(uint32_t run, Seat seat, uint32_t blocks) {
  Run& changed = runs_[run];
  const uint32_t i = find_member(changed, seat);
  const Change change(changed);
  if (i == kNone) return add_member(changed, RunMember(seat, blocks));
  members_of(changed)[i].store(RunMember(seat, blocks).bits(), kRelease);
  return true;
}

void ChainRuns::shorten(uint32_t run, Seat seat, uint32_t blocks) {
  Run& changed = runs_[run];
  const uint32_t i = find_member(changed, seat);
  const bool was_longest = member(changed, i).covered() == length(run);
  {
    const Change change(changed);
    if (blocks == 0) {
      drop_member(changed, i);
    } else {
      members_of(changed)[i].store(RunMember(seat, blocks).bits(), kRelease);
    }
  }
  if (was_longest) trim(run);
}

uint32_t ChainRuns::create(BlockSpace::Stretch blocks, BlockHash parent, Seat seat) {
  const uint32_t run = take_run();
  if (run == kNone) return kNone;
  Run& made = runs_[run];
  {
    const Change change(made);
    made.first.store(blocks.first, kRelease);
    made.length.store(blocks.count, kRelease);
    made.members_at.store(0, kRelease);
    made.members.store(1, kRelease);
    made.inline_members[0].store(RunMember(seat, blocks.count).bits(), kRelease);
  }
  made.room = Run::kInlineMembers;
  made.parent = parent;
  if (!heads_.insert(space_.hash(blocks.first), run,
                     [&](uint32_t other) { return space_.hash(first(other)); })) {
    give_run(run);
    return kNone;
  }
  space_.set_runs(blocks.first, blocks.count, run);
  count_blocks(blocks.count);
  return run;
}

void ChainRuns::extend(uint32_t run, uint32_t count, Seat seat) {
  Run& changed = runs_[run];
  const uint32_t old = length(run);
  space_.set_runs(first(run) + old, count, run);
  count_blocks(count);
  const uint32_t i = find_member(changed, seat);
  const Change change(changed);
  changed.length.store(old + count, kRelease);
  members_of(changed)[i].store(RunMember(seat, old + count).bits(), kRelease);
}

uint32_t ChainRuns::split(uint32_t run, uint32_t at) {
  const uint32_t tail = take_run();
  if (tail == kNone) return kNone;
  Run& before = runs_[run];
  Run& after = runs_[tail];
  const uint32_t place = first(run) + at;
  const uint32_t members = before.members.load(kRelaxed);
  bool there_is_room = true;
  {
    const Change change(after);
    after.first.store(place, kRelease);
    after.length.store(length(run) - at, kRelease);
    after.members_at.store(0, kRelease);
    after.members.store(0, kRelease);
    after.room = Run::kInlineMembers;
    for (uint32_t i = 0; i < members && there_is_room; ++i) {
      const RunMember of = member(before, i);
      if (of.covered() > at) {
        there_is_room = add_member(after, RunMember(of.seat(), of.covered() - at));
      }
    }
  }
  after.parent = space_.hash(place - 1);
  after.swept = before.swept;
  after.stored = before.stored;
  // A reader finds the tail before the run loses it.
  if (!there_is_room || !heads_.insert(space_.hash(place), tail,
                                       [&](uint32_t other) { return space_.hash(first(other)); })) {
    give_run(tail);
    return kNone;
  }
  space_.set_runs(place, length(run) - at, tail);
  const Change change(before);
  for (uint32_t i = 0; i < members; ++i) {
    const RunMember of = member(before, i);
    if (of.covered() > at) members_of(before)[i].store(RunMember(of.seat(), at).bits(), kRelease);
  }
  before.length.store(at, kRelease);
  return tail;
}

void ChainRuns::join_next(uint32_t run, uint32_t epoch) {
  Run& before = runs_[run];
  const uint32_t own = length(run);
  const uint32_t place = first(run) + own;
  if (!space_.exists(place)) return;
  const uint32_t tail = space_.run(place);
  if (tail >= runs_end_ || tail == run || !alive(tail) || first(tail) != place) return;
  Run& after = runs_[tail];
  const uint32_t together = own + length(tail);
  const uint32_t members = after.members.load(kRelaxed);
  if (after.parent != space_.hash(place - 1) || together > BlockSpace::kStretchMax ||
      before.swept != epoch || after.swept != epoch ||
      members * before.members.load(kRelaxed) > kMembersTogetherMax) {
    return;
  }
  for (uint32_t i = 0; i < members; ++i) {
    if (covered(run, member(after, i).seat()) != own) return;
  }
  {
    const Change change(before);
    for (uint32_t i = 0; i < members; ++i) {
      const RunMember of = member(after, i);
      members_of(before)[find_member(before, of.seat())].store(
          RunMember(of.seat(), own + of.covered()).bits(), kRelease);
    }
    before.length.store(together, kRelease);
  }
  before.stored = std::max(before.stored, after.stored);
  space_.set_runs(place, together - own, run);
  heads_.erase(space_.hash(place), tail);
  give_run(tail);
}

uint32_t ChainRuns::find_member(const Run& run, Seat seat) const {
  const uint32_t members = run.members.load(kRelaxed);
  const std::atomic<uint32_t>* const all = members_of(run);
  for (uint32_t i = 0; i < members; ++i) {
    if (RunMember(all[i].load(kRelaxed)).seat() == seat) return i;
  }
  return kNone;
}

// Precondition of the three: a Change of the run.
bool ChainRuns::add_member(Run& run, RunMember member) {
  const uint32_t members = run.members.load(kRelaxed);
  if (members == run.room) {
    const uint32_t size_class = static_cast<uint32_t>(std::bit_width(run.room));
    const uint32_t at = take_members(size_class);
    if (at == kNone) return false;
    for (uint32_t i = 0; i < members; ++i) {
      members_[at + i].store(members_of(run)[i].load(kRelaxed), kRelease);
    }
    const uint32_t old = run.members_at.load(kRelaxed);
    if (old != 0) give_members(old, static_cast<uint32_t>(std::bit_width(run.room)) - 1);
    run.members_at.store(at, kRelease);
    run.room = 1u << size_class;
  }
  members_of(run)[members].store(member.bits(), kRelease);
  run.members.store(members + 1, kRelease);
  return true;
}

void ChainRuns::drop_member(Run& run, uint32_t i) {
  const uint32_t last = run.members.load(kRelaxed) - 1;
  std::atomic<uint32_t>* const all = members_of(run);
  all[i].store(all[last].load(kRelaxed), kRelease);
  run.members.store(last, kRelease);
  const uint32_t at = run.members_at.load(kRelaxed);
  if (at == 0 || last > Run::kInlineMembers / 2) return;
  for (uint32_t k = 0; k < last; ++k) run.inline_members[k].store(all[k].load(kRelaxed), kRelease);
  give_members(at, static_cast<uint32_t>(std::bit_width(run.room)) - 1);
  run.members_at.store(0, kRelease);
  run.room = Run::kInlineMembers;
}

uint32_t ChainRuns::take_members(uint32_t size_class) {
  if (size_class >= kClasses) return kNone;
  uint32_t& free = free_members_[size_class];
  if (free != kNone) {
    const uint32_t at = free;
    free = members_[at].load(kRelaxed);
    return at;
  }
  const uint32_t size = 1u << size_class;
  if (members_end_ == 0) members_end_ = size;  // 0 means inline
  if (!members_.reach(size_t{members_end_} + size)) return kNone;
  const uint32_t at = members_end_;
  members_end_ += size;
  return at;
}

void ChainRuns::give_members(uint32_t at, uint32_t size_class) {
  members_[at].store(free_members_[size_class], kRelease);
  free_members_[size_class] = at;
}

uint32_t ChainRuns::take_run() {
  if (free_run_ != kNone) {
    const uint32_t run = free_run_;
    free_run_ = runs_[run].room;
    return run;
  }
  if (!runs_.reach(size_t{runs_end_} + 1)) return kNone;
  return runs_end_++;
}

void ChainRuns::give_run(uint32_t run) {
  Run& given = runs_[run];
  const uint32_t at = given.members_at.load(kRelaxed);
  if (at != 0) give_members(at, static_cast<uint32_t>(std::bit_width(given.room)) - 1);
  const Change change(given);
  given.length.store(0, kRelease);
  given.members.store(0, kRelease);
  given.members_at.store(0, kRelease);
  given.room = free_run_;
  free_run_ = run;
}

// Forgets the blocks at the end that nobody covers.
void ChainRuns::trim(uint32_t run) {
  Run& changed = runs_[run];
  const uint32_t old = length(run);
  uint32_t longest = 0;
  for (uint32_t i = 0; i < changed.members.load(kRelaxed) && longest < old; ++i) {
    longest = std::max(longest, member(changed, i).covered());
  }
  if (longest == old) return;
  const uint32_t place = first(run);
  if (longest == 0) {
    heads_.erase(space_.hash(place), run);
    give_run(run);
  } else {
    const Change change(changed);
    changed.length.store(longest, kRelease);
  }
  count_blocks(-size_t{old - longest});
  forget_blocks(place + longest, old - longest);
}

void ChainRuns::forget_blocks(uint32_t place, uint32_t count) {
  if (count > kForgottenMax / 2) {
    forget_names(place, count);
    return space_.release(place, count);
  }
  for (uint32_t i = place; i < place + count; ++i) {
    uint32_t& turn = forgotten_[forgotten_count_++ % kForgottenMax];
    if (forgotten_count_ > kForgottenMax) {
      names_.erase(space_.name(turn), turn);
      space_.release(turn, 1);
    }
    turn = i;
    space_.set_run(i, BlockSpace::kForgotten);
    names_.prefetch(space_.name(i));
  }
}

}  // namespace kvasir
