#include "kvindex/chain_index.h"

#include <algorithm>

#include "base/random.h"
#include "hashing/token_blocks.h"

namespace kvasir {

ChainIndex::OwnName::OwnName(uint64_t packed)
    : place(static_cast<uint32_t>(packed)),
      copies{static_cast<uint8_t>(packed >> 32), static_cast<uint8_t>(packed >> 40),
             static_cast<uint8_t>(packed >> 48)} {}

uint64_t ChainIndex::OwnName::packed() const {
  return place | uint64_t{copies[0]} << 32 | uint64_t{copies[1]} << 40 | uint64_t{copies[2]} << 48;
}

ChainIndex::ChainIndex(const BlockIndexOptions& options)
    : options_(options),
      budget_(options.memory_bytes_max),
      runs_(budget_, options.memory_bytes_max),
      seats_(budget_),
      copies_(budget_),
      copied_places_(BlockSpace::kPlacesMax / 64, budget_) {}
ChainIndex::~ChainIndex() = default;

std::optional<HolderId> ChainIndex::add_holder() {
  size_t id = 0;
  while (id < holders_.size() && holders_[id] != nullptr) ++id;
  if (id == options_.holders_max) return std::nullopt;
  if (id == holders_.size()) holders_.emplace_back();
  holders_[id] = std::make_unique<Holder>(
      Holder{HolderId{static_cast<uint32_t>(id)}, {}, 0, 0, 0, NumberMap(budget_), 1, 1});
  return holders_[id]->id;
}

void ChainIndex::remove_holder(HolderId holder) {
  clear(holder);
  holders_[index_of(holder)] = nullptr;
}

void ChainIndex::clear(HolderId id) {
  Holder& holder = holder_of(id);
  for (auto& of_naming : holder.seats) {
    for (std::optional<Seat>& seat : of_naming) {
      if (seat) seats_.leave(*seat);
      seat.reset();
    }
  }
  holder.seats_taken = 0;
  memberships_.store(memberships() - holder.memberships, std::memory_order_relaxed);
  holder.memberships = holder.blocks = 0;
  if (holder.own.size() > 0) cleared_.push_back(std::move(holder.own));
}

size_t ChainIndex::blocks_of(HolderId holder) const {
  return holders_[index_of(holder)]->blocks;
}

size_t ChainIndex::held(HolderId id, CacheTier tier, std::span<const uint64_t> names) const {
  const Holder& holder = *holders_[index_of(id)];
  const std::optional<Seat> seat = holder.seat(Naming::kCommon, tier);
  return static_cast<size_t>(std::count_if(names.begin(), names.end(), [&](uint64_t name) {
    if (const uint64_t* const own = holder.own.find(name)) return OwnName(*own).in(tier) > 0;
    const uint32_t place = seat ? runs_.find_name(name) : kNone;
    if (place == kNone) return false;
    const Found found = found_at(place);
    return runs_.covered(found.run, *seat) > found.offset;
  }));
}

StoreOutcome ChainIndex::store(const StoredBlocks& stored) {
  Holder& holder = holder_of(stored.holder);
  Before before{kNone, stored.root};
  if (stored.parent) {
    const std::optional<uint32_t> parent = find_place(holder, *stored.parent);
    if (!parent) return StoreOutcome::kUnknownParent;
    before = {*parent, runs_.hash(*parent)};
  }
  const std::optional<At> common = at(holder, Naming::kCommon, stored.tier);
  if (!common) return StoreOutcome::kFull;
  hashes_.clear();
  for (BlockHash hash = before.hash; const uint64_t content : stored.contents) {
    hashes_.push_back(hash = chain_block(hash, content));
    if (hashes_.size() > kPrefetchStored) continue;
    runs_.prefetch_hash(hash);
    runs_.prefetch_name(stored.engine_hashes[hashes_.size() - 1]);
  }
  for (size_t i = 0; i < hashes_.size();) {
    const Piece rest{std::span(hashes_).subspan(i), stored.engine_hashes.subspan(i)};
    if (holder.own.size() > 0) drop_other(holder, rest.names[0], rest.hashes[0]);
    const Found found = locate(before, rest.hashes[0]);
    const size_t done =
        found.run == kNone ? store_new(*common, before, rest) : store_known(*common, found, rest);
    if (done == 0) return StoreOutcome::kFull;
    i += done;
    // The next block is looked for where this one is now; covering may have split its run.
    if (i < hashes_.size()) {
      const std::optional<uint32_t> place = find_place(holder, stored.engine_hashes[i - 1]);
      before = {place.value_or(kNone), hashes_[i - 1]};
    }
  }
  return StoreOutcome::kStored;
}

// Blocks that are in a run from `found` on: as many as the holder calls by their common names; or
// one, by another. Answers how many.
size_t ChainIndex::store_known(const At& common, Found found, const Piece& piece) {
  const uint32_t place = runs_.first(found.run) + found.offset;
  const size_t length =
      std::min<size_t>(piece.hashes.size(), runs_.length(found.run) - found.offset);
  uint32_t count = 0;
  while (count < length && runs_.hash(place + count) == piece.hashes[count] &&
         runs_.space().name(place + count) == piece.names[count] &&
         (count == 0 || common.holder.own.size() == 0 ||
          common.holder.own.find(piece.names[count]) == nullptr)) {
    ++count;
  }
  if (count > 0) {
    remember(piece.names[count - 1], place + count - 1);
    return cover(common, found, count, 1) ? count : 0;
  }
  drop_other(common.holder, piece.names[0], piece.hashes[0]);
  const std::optional<At> own = at(common.holder, Naming::kOwn, common.tier);
  return own && hold_own(*own, place, piece.names[0], 1) ? 1 : 0;
}

// Blocks that are in no run: answers how many from the first on were made.
size_t ChainIndex::store_new(const At& common, const Before& before, const Piece& piece) {
  drop_other(common.holder, piece.names[0], piece.hashes[0]);
  const uint64_t name = piece.names[0];
  if (find_common(name) == kNone) return create(common, before, piece);
  // Another block is called so: this one gets a name that nobody says.
  const std::optional<At> own = at(common.holder, Naming::kOwn, common.tier);
  uint64_t unsaid = mix64(mix64(piece.hashes[0]) ^ ++unnamed_);
  while (runs_.find_name(unsaid) != kNone) unsaid = mix64(unsaid);
  return own && create_own(*own, before, piece.hashes[0], unsaid, name, 1) ? 1 : 0;
}

// A new block with that common name, which the holder calls otherwise. False: there is no memory.
bool ChainIndex::create_own(const At& own, const Before& before, BlockHash hash, uint64_t common,
                            uint64_t name, uint8_t copies) {
  NumberMap& names = own.holder.own;
  OwnName meaning(kNone);
  meaning.in(own.tier) = copies;
  if (!names.insert(name, meaning.packed())) return false;
  if (create(own, before, {{&hash, 1}, {&common, 1}}) == 0) {
    names.erase(name);
    return false;
  }
  meaning.place = runs_.find_name(common);
  *names.find(name) = meaning.packed();
  return true;
}

// Makes as many of the blocks as there is room for, until one is in a run already, or is called
// what the holder calls something else. Answers how many. Precondition: the first is not.
size_t ChainIndex::create(const At& at, const Before& before, const Piece& piece) {
  bool extends = false;
  const BlockSpace::Stretch places = take_places(at, before, piece.hashes.size(), extends);
  BlockSpace& space = runs_.space();
  uint32_t count = 0;
  for (; count < places.count; ++count) {
    const uint64_t name = piece.names[count];
    const BlockHash hash = piece.hashes[count];
    if (count + kPrefetchStored < places.count) {
      runs_.prefetch_name(piece.names[count + kPrefetchStored]);
      runs_.prefetch_hash(piece.hashes[count + kPrefetchStored]);
    }
    if (count > 0 && (runs_.find(hash) != kNone || runs_.find_name(name) != kNone ||
                      (at.holder.own.size() > 0 && at.holder.own.find(name) != nullptr))) {
      break;
    }
    space.set(places.first + count, hash, name);
    if (!runs_.add_name(name, places.first + count)) break;
  }
  uint32_t run = kNone;
  uint32_t from = 0;
  if (extends && count > 0) {
    run = space.run(before.place);
    from = runs_.length(run);
    runs_.extend(run, count, at.seat);
  } else if (count > 0) {
    run = runs_.create({places.first, count}, before.hash, at.seat);
  }
  if (run == kNone) {
    runs_.forget_names(places.first, count);
    space.release(places.first, places.count);
    return 0;
  }
  space.release(places.first + count, places.count - count);
  runs_.set_swept(run, seats_.epoch());
  runs_.set_stored(run, now_);
  if (is_at(before)) runs_.set_stored(space.run(before.place), now_);  // the parent was used
  count_change(at, run, from, from + count, true);
  remember(piece.names[count - 1], places.first + count - 1);
  return count;
}

// Places right after the block before, if the run that ends there can go on; or anywhere.
BlockSpace::Stretch ChainIndex::take_places(const At& at, const Before& before, size_t count,
                                            bool& extends) {
  BlockSpace& space = runs_.space();
  const uint32_t wanted = static_cast<uint32_t>(std::min<size_t>(count, BlockSpace::kStretchMax));
  if (is_at(before)) {
    const uint32_t run = space.run(before.place);
    const uint32_t length = runs_.length(run);
    if (runs_.offset_of(before.place) + 1 == length && runs_.covered(run, at.seat) == length) {
      const uint32_t room = std::min(wanted, BlockSpace::kStretchMax - length);
      const uint32_t got = space.take_at(before.place + 1, room);
      extends = got > 0;
      if (extends) return {before.place + 1, got};
    }
  }
  return space.take(wanted);
}

// The holder has the block there by a name of its own. False: there is no memory.
bool ChainIndex::hold_own(const At& own, uint32_t place, uint64_t name, uint32_t copies) {
  NumberMap& names = own.holder.own;
  if (uint64_t* const packed = names.find(name)) {
    OwnName meaning(*packed);
    uint8_t& count = meaning.in(own.tier);
    if (count > 0) {
      if (options_.count_copies) {
        count = static_cast<uint8_t>(std::min(count + copies, BlockIndexOptions::kCopiesMax));
      }
      runs_.set_stored(runs_.space().run(place), now_);
    } else {
      if (!cover(own, found_at(place), 1, 1)) return false;
      count = static_cast<uint8_t>(options_.count_copies ? copies : 1);
    }
    *names.find(name) = meaning.packed();
    return true;
  }
  OwnName meaning(place);
  meaning.in(own.tier) = static_cast<uint8_t>(options_.count_copies ? copies : 1);
  if (!names.insert(name, meaning.packed())) return false;
  if (cover(own, found_at(place), 1, 1)) return true;
  names.erase(name);
  return false;
}

// If the holder calls another block so, it does not have that any more under this name.
bool ChainIndex::drop_other(Holder& holder, uint64_t name, BlockHash hash) {
  const uint64_t* const own = holder.own.find(name);
  const uint32_t place = own != nullptr ? OwnName(*own).place : find_common(name);
  if (place == kNone || runs_.hash(place) == hash) return false;
  drop_name(holder, name, place);
  return true;
}

void ChainIndex::drop_name(Holder& holder, uint64_t name, uint32_t place) {
  if (const uint64_t* const packed = holder.own.find(name)) {
    OwnName own(*packed);
    holder.own.erase(name);
    settle(runs_.space().run(place));
    for (size_t i = 0; i < kCacheTiers; ++i) {
      const auto tier = static_cast<CacheTier>(i);
      if (own.in(tier) == 0) continue;
      const At at = *this->at(holder, Naming::kOwn, tier);
      if (!drop_copy(at, place)) uncover(at, found_at(place));
    }
    return;
  }
  for (size_t i = 0; i < kCacheTiers && runs_.find_name(name) == place; ++i) {
    const auto tier = static_cast<CacheTier>(i);
    if (!holder.seat(Naming::kCommon, tier)) continue;
    const At at = *this->at(holder, Naming::kCommon, tier);
    const Found found = found_at(place);
    if (runs_.covered(found.run, at.seat) <= found.offset) continue;
    forget_copies(at.seat, place, 1);
    uncover(at, found);
  }
}

size_t ChainIndex::attach(HolderId id, CacheTier tier, std::span<const uint64_t> names) {
  Holder& holder = holder_of(id);
  size_t known = 0;
  for (const uint64_t name : names) {
    const std::optional<uint32_t> place = find_place(holder, name);
    if (!place) continue;
    ++known;
    const bool own = holder.own.find(name) != nullptr;
    const std::optional<At> at = this->at(holder, own ? Naming::kOwn : Naming::kCommon, tier);
    if (!at) continue;
    if (own) {
      hold_own(*at, *place, name, 1);
    } else {
      cover(*at, found_at(*place), 1, 1);
    }
  }
  return known;
}

size_t ChainIndex::remove(HolderId id, CacheTier tier, std::span<const uint64_t> names) {
  Holder& holder = holder_of(id);
  size_t had = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (i + kPrefetchRemoved < names.size()) {
      runs_.prefetch_name(names[i + kPrefetchRemoved]);
    }
    had += remove_one(holder, tier, names[i]);
  }
  return had;
}

size_t ChainIndex::remove_one(Holder& holder, CacheTier tier, uint64_t name) {
  if (holder.own.size() > 0) {
    if (uint64_t* const packed = holder.own.find(name)) {
      OwnName own(*packed);
      if (own.in(tier) == 0) return 0;
      --own.in(tier);
      *packed = own.packed();
      const bool is_last = own.in(tier) == 0;
      if (own.copies == decltype(own.copies){}) holder.own.erase(name);
      const At at = *this->at(holder, Naming::kOwn, tier);
      settle(runs_.space().run(own.place));
      if (is_last && !drop_copy(at, own.place)) uncover(at, found_at(own.place));
      return 1;
    }
  }
  const std::optional<Seat> seat = holder.seat(Naming::kCommon, tier);
  if (!seat) return 0;
  const uint32_t guess = guess_removed(holder, name);
  const uint32_t place = guess == kNone ? find_common(name) : settled(guess, name);
  if (place == kNone) return 0;
  if (guess == kNone) holder.removed_before = holder.removed_last;
  holder.removed_last = place;
  const Found found = found_at(place);
  if (runs_.covered(found.run, *seat) <= found.offset) return 0;
  const At at{holder, Naming::kCommon, tier, *seat};
  if (!drop_copy(at, place)) uncover(at, found);
  return 1;
}

// Where the block is if the holder goes on towards the beginning of a sequence, past a hole or
// none, perhaps after one block elsewhere. kNone: it is none of these.
uint32_t ChainIndex::guess_removed(const Holder& holder, uint64_t name) const {
  for (const uint32_t place : {holder.removed_last - 1, holder.removed_last - 2,
                               holder.removed_before - 1, holder.removed_before - 2}) {
    if (runs_.is_block(place) && runs_.space().name(place) == name) return place;
  }
  return kNone;
}

// nullopt: there are no seats left, even after those that were left are free again.
std::optional<ChainIndex::At> ChainIndex::at(Holder& holder, Naming naming, CacheTier tier) {
  std::optional<Seat>& seat = holder.seat(naming, tier);
  if (!seat) {
    seat = seats_.take({holder.id, tier});
    if (!seat && seats_.any_left()) {
      while (tidy()) {
      }
      seat = seats_.take({holder.id, tier});
    }
    if (!seat) return std::nullopt;
    ++holder.seats_taken;
  }
  return At{holder, naming, tier, *seat};
}

// What the holder means by it, or somebody.
std::optional<uint32_t> ChainIndex::find_place(Holder& holder, uint64_t name) {
  if (holder.own.size() > 0) {
    if (const uint64_t* const own = holder.own.find(name)) {
      const uint32_t place = OwnName(*own).place;
      settle(runs_.space().run(place));
      return place;
    }
  }
  const uint32_t recent = recent_[recent_place(name)];
  const bool known = runs_.is_block(recent) && runs_.space().name(recent) == name;
  const uint32_t place = known ? settled(recent, name) : find_common(name);
  return place == kNone ? std::nullopt : std::optional(place);
}

// The block with that common name. Its run is settled.
uint32_t ChainIndex::find_common(uint64_t name) {
  const uint32_t place = runs_.find_name(name);
  return place == kNone ? kNone : settled(place, name);
}

// The place of the block after its run was settled, which may be the end of it.
uint32_t ChainIndex::settled(uint32_t place, uint64_t name) {
  const uint32_t run = runs_.space().run(place);
  if (runs_[run].swept == seats_.epoch()) return place;
  settle(run);
  return runs_.find_name(name);
}

ChainIndex::Found ChainIndex::found_at(uint32_t place) const {
  const uint32_t run = runs_.space().run(place);
  return {run, place - runs_.first(run)};
}

// The block before is where it was thought to be.
bool ChainIndex::is_at(const Before& before) const {
  return runs_.is_block(before.place) && runs_.hash(before.place) == before.hash;
}

// A block that comes after `before`, if it is in a run; that is settled then.
ChainIndex::Found ChainIndex::locate(const Before& before, BlockHash hash) {
  if (is_at(before)) {
    const Found found = found_at(before.place);
    if (found.offset + 1 < runs_.length(found.run) && runs_.hash(before.place + 1) == hash) {
      return {found.run, found.offset + 1};
    }
  }
  const uint32_t run = runs_.find(hash);
  return run != kNone && settle(run) ? Found{run, 0} : Found{};
}

void ChainIndex::visit(Visitor& visitor) const {
  for (uint32_t id = 0; id < runs_.runs_end(); ++id) {
    const Run& run = runs_[id];
    const uint32_t place = runs_.first(id);
    for (uint32_t i = 0; i < run.members.load(std::memory_order_relaxed); ++i) {
      const RunMember member = runs_.member(run, i);
      const std::optional<ChainSeats::Sitter> sitter = seats_.sitter(member.seat());
      if (!sitter) continue;
      Holder& holder = *holders_[index_of(sitter->holder)];
      if (holder.seat(Naming::kCommon, sitter->tier) != member.seat()) continue;
      for (uint32_t k = 0; k < member.covered(); ++k) {
        const uint64_t* const copies = copies_.find(copies_key(member.seat(), place + k));
        const uint64_t name = runs_.space().name(place + k);
        visitor.on_block(
            {sitter->holder, sitter->tier, copies == nullptr ? 1 : static_cast<uint32_t>(*copies),
             k == 0 ? run.parent : runs_.hash(place + k - 1), runs_.hash(place + k), name, name});
      }
    }
  }
  for (const std::unique_ptr<Holder>& holder : holders_) {
    if (holder == nullptr) continue;
    holder->own.for_each([&](uint64_t name, uint64_t packed) {
      OwnName own(packed);
      const Found found = found_at(own.place);
      for (size_t i = 0; i < kCacheTiers; ++i) {
        const auto tier = static_cast<CacheTier>(i);
        if (own.in(tier) == 0) continue;
        visitor.on_block({holder->id, tier, own.in(tier),
                          found.offset == 0 ? runs_[found.run].parent : runs_.hash(own.place - 1),
                          runs_.hash(own.place), name, runs_.space().name(own.place)});
      }
    });
  }
}

StoreOutcome ChainIndex::restore(const KnownBlock& block) {
  Holder& holder = holder_of(block.holder);
  const Naming naming = block.engine_hash == block.common_name ? Naming::kCommon : Naming::kOwn;
  const std::optional<At> at = this->at(holder, naming, block.tier);
  if (!at || block.copies == 0) return StoreOutcome::kFull;
  drop_other(holder, block.engine_hash, block.hash);
  const uint32_t place = find_common(block.common_name);
  if (place == kNone ? runs_.find(block.hash) != kNone : runs_.hash(place) != block.hash) {
    return StoreOutcome::kUnknownParent;
  }
  const uint32_t copies =
      options_.count_copies ? std::min(block.copies, BlockIndexOptions::kCopiesMax) : 1;
  const Before before{restored_.hash == block.parent ? restored_.place : kNone, block.parent};
  bool done = false;
  if (place == kNone && naming == Naming::kOwn) {
    done = create_own(*at, before, block.hash, block.common_name, block.engine_hash,
                      static_cast<uint8_t>(copies));
  } else if (place == kNone) {
    done = create(*at, before, {{&block.hash, 1}, {&block.common_name, 1}}) > 0;
    if (done && copies > 1) add_copies(*at, runs_.find_name(block.common_name), copies - 1);
  } else if (naming == Naming::kOwn) {
    done = hold_own(*at, place, block.engine_hash, copies);
  } else {
    done = cover(*at, found_at(place), 1, copies);
  }
  if (!done) return StoreOutcome::kFull;
  restored_ = {runs_.find_name(block.common_name), block.hash};
  return StoreOutcome::kStored;
}

}  // namespace kvasir
