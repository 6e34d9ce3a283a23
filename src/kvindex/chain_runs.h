// Runs: stretches of consecutive blocks of one chain, and who has how many of each, from its first
// block on. That is how the exact index keeps both short: a membership takes a few bits as long as
// holders come to hold, and lose, what follows each other.
//
// A member of a run is a seat (chain_seats.h) and how many of the run's blocks it covers, at least
// one. The longest member is as long as the run: each block is covered. Whoever covers blocks
// further on but not the first ones is a member of another run that begins there; so a run is split
// where somebody has a hole, and joined again when the hole is filled. A run's first block is found
// by its hash; that is enough, for the hashes of a chain are one way only: whichever block comes
// after the last that matched is the next of the same run, or the first of another.
//
// One thread changes them, each in a short section during which its version is odd; a reader reads
// what it needs and looks whether the version is still the same. All memory that a reader can reach
// stays readable (ReservedArray), whatever it is used for meanwhile.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "kvindex/block_space.h"
#include "kvindex/tag_table.h"

namespace kvasir {

using Seat = uint16_t;

// A member as it is stored.
class RunMember {
 public:
  RunMember(Seat seat, uint32_t covered) : bits_(uint32_t{seat} << 16 | covered) {}
  explicit RunMember(uint32_t bits) : bits_(bits) {}
  Seat seat() const { return static_cast<Seat>(bits_ >> 16); }
  uint32_t covered() const { return bits_ & 0xffff; }
  uint32_t bits() const { return bits_; }

 private:
  uint32_t bits_;
};

// Fields that are atomic are read by readers.
struct alignas(64) Run {
  static constexpr uint32_t kInlineMembers = 6;

  std::atomic<uint32_t> version{0};
  std::atomic<uint32_t> first{0};       // its place
  std::atomic<uint32_t> length{0};      // 0: not in use
  std::atomic<uint32_t> members{0};     // how many
  std::atomic<uint32_t> members_at{0};  // where; 0: inline
  uint32_t room = kInlineMembers;       // for members
  uint32_t swept = 0;                   // see ChainSeats
  uint32_t stored = 0;                  // coarse time
  BlockHash parent = 0;                 // of the first block
  std::atomic<uint32_t> inline_members[kInlineMembers]{};
};

class ChainRuns {
 public:
  static constexpr uint32_t kNone = TagTable::kNone;

  ChainRuns(MemoryBudget& budget, size_t memory_bytes_max);

  // --- Any thread ---
  const Run& operator[](uint32_t run) const { return runs_[run]; }
  RunMember member(const Run& run, uint32_t i) const {
    return RunMember(members_of(run)[i].load(std::memory_order_acquire));
  }
  // The same where `members_at` was read before: it need not be the run's any more.
  RunMember member(const Run& run, uint32_t members_at, uint32_t i) const {
    const std::atomic<uint32_t>* const all =
        members_at == 0 ? run.inline_members : &members_[members_at];
    return RunMember(all[i].load(std::memory_order_acquire));
  }
  BlockHash hash(uint32_t place) const { return space_.hash(place); }
  // The run that begins with that block; kNone: there is none.
  uint32_t find(BlockHash first) const;
  size_t distinct_blocks() const { return distinct_blocks_.load(std::memory_order_relaxed); }

  // --- The writing thread ---
  BlockSpace& space() { return space_; }
  const BlockSpace& space() const { return space_; }
  uint32_t runs_end() const { return runs_end_; }
  bool alive(uint32_t run) const { return length(run) > 0; }
  uint32_t length(uint32_t run) const { return runs_[run].length.load(kRelaxed); }
  uint32_t first(uint32_t run) const { return runs_[run].first.load(kRelaxed); }
  uint32_t offset_of(uint32_t place) const { return place - first(space_.run(place)); }
  void set_swept(uint32_t run, uint32_t epoch) { runs_[run].swept = epoch; }
  void set_stored(uint32_t run, uint32_t time) { runs_[run].stored = time; }

  // The place of the block with that common name; kNone: there is none.
  uint32_t find_name(uint64_t name) const {
    return names_.find(name, [&](uint32_t place) {
      return space_.name(place) == name && space_.run(place) != BlockSpace::kForgotten;
    });
  }
  // There is a block in a run at that place. Any number may be asked for.
  bool is_block(uint32_t place) const {
    if (!space_.exists(place)) return false;
    const uint32_t run = space_.run(place);
    return run < runs_end_ && place - first(run) < length(run);
  }
  void prefetch_name(uint64_t name) const { names_.prefetch(name); }
  void prefetch_hash(BlockHash hash) const { heads_.prefetch(hash); }
  // The names of blocks in no run yet. False: there is no memory.
  bool add_name(uint64_t name, uint32_t place);
  void forget_names(uint32_t place, uint32_t count);

  // How many blocks of the run the seat covers.
  uint32_t covered(uint32_t run, Seat seat) const;
  // Precondition: 0 < blocks <= length. False: there is no memory.
  bool set_covered(uint32_t run, Seat seat, uint32_t blocks);
  // Takes a member out, or shortens it. Blocks that nobody covers any more are forgotten, and
  // the run with the last of them.
  void shorten(uint32_t run, Seat seat, uint32_t blocks);
  // Takes out the members that `is_gone` names. False: the run is gone, too.
  template <class IsGone>
  bool take_out(uint32_t run, IsGone&& is_gone) {
    Run& changed = runs_[run];
    {
      const Change change(changed);
      for (uint32_t i = 0; i < changed.members.load(kRelaxed);) {
        if (is_gone(member(changed, i))) {
          drop_member(changed, i);
        } else {
          ++i;
        }
      }
    }
    trim(run);
    return alive(run);
  }

  // A new run of these blocks, whose hashes and names are set, with one member. kNone: there is
  // no memory, and nothing has changed.
  uint32_t create(BlockSpace::Stretch blocks, BlockHash parent, Seat seat);
  // The run gets `count` more blocks, which stand right after it, and so does the member.
  // Precondition: it covers the whole run.
  void extend(uint32_t run, uint32_t count, Seat seat);
  // The run ends at `at`; what comes after is another run. Precondition: 0 < at < length. kNone:
  // there is no memory, and nothing has changed.
  uint32_t split(uint32_t run, uint32_t at);
  // Joins the run with what stands right after it if both can be told as one.
  void join_next(uint32_t run, uint32_t epoch);

 private:
  static constexpr auto kRelaxed = std::memory_order_relaxed;
  static constexpr auto kRelease = std::memory_order_release;
  static constexpr size_t kForgottenMax = 16;
  static constexpr uint32_t kClasses = 18;  // of stretches of members: 2^class of them

  // While one lives, readers of the run wait or look again.
  class Change {
   public:
    explicit Change(Run& run) : run_(run) {
      run_.version.store(run_.version.load(kRelaxed) + 1, kRelease);
    }
    ~Change() { run_.version.store(run_.version.load(kRelaxed) + 1, kRelease); }
    Change(const Change&) = delete;
    Change& operator=(const Change&) = delete;

   private:
    Run& run_;
  };

  const std::atomic<uint32_t>* members_of(const Run& run) const {
    const uint32_t at = run.members_at.load(std::memory_order_acquire);
    return at == 0 ? run.inline_members : &members_[at];
  }
  std::atomic<uint32_t>* members_of(Run& run) {
    const uint32_t at = run.members_at.load(kRelaxed);
    return at == 0 ? run.inline_members : &members_[at];
  }
  uint32_t find_member(const Run& run, Seat seat) const;
  bool add_member(Run& run, RunMember member);
  void drop_member(Run& run, uint32_t i);
  uint32_t take_members(uint32_t size_class);
  void give_members(uint32_t at, uint32_t size_class);
  uint32_t take_run();
  void give_run(uint32_t run);
  void trim(uint32_t run);
  // One thread writes it, so nothing is to be locked.
  void count_blocks(size_t more) { distinct_blocks_.store(distinct_blocks() + more, kRelaxed); }
  void forget_blocks(uint32_t place, uint32_t count);

  BlockSpace space_;
  ReservedArray<Run> runs_;
  ReservedArray<std::atomic<uint32_t>> members_;
  TagTable names_;
  TagTable heads_;
  uint32_t runs_end_ = 0;
  uint32_t free_run_ = kNone;  // the others after it, by `room`
  uint32_t members_end_ = 0;
  uint32_t free_members_[kClasses];
  std::atomic<size_t> distinct_blocks_{0};
  // Places whose names are yet to be forgotten: the memory that takes is fetched meanwhile.
  uint32_t forgotten_[kForgottenMax];
  size_t forgotten_count_ = 0;
};

}  // namespace kvasir
