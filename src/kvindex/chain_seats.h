// Seats: by what runs know who covers them. A holder has one for each tier, and by which names it
// has its blocks (the common ones or its own); it gets it when it first needs it.
//
// When a holder is cleared, it leaves its seats at once: from then on nobody sits there, and
// whatever runs say of that seat means nothing. A seat is given out again only after all runs were
// swept. `epoch` counts the clears: what was swept in this one, has no seat that was left.
//
// sitter() may be called on any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kvindex/block_index.h"
#include "kvindex/chain_runs.h"

namespace kvasir {

class ChainSeats {
 public:
  static constexpr size_t kSeatsMax = 65536;

  struct Sitter {
    HolderId holder{};
    CacheTier tier{};
  };

  explicit ChainSeats(MemoryBudget& budget) : sitters_(kSeatsMax, budget) {}

  std::optional<Sitter> sitter(Seat seat) const {
    const uint32_t bits = sitters_[seat].load(std::memory_order_acquire);
    if (bits == 0) return std::nullopt;
    return Sitter{HolderId{(bits >> 2) - 1}, static_cast<CacheTier>(bits & 3)};
  }

  // nullopt: all are taken, or there is no memory.
  std::optional<Seat> take(const Sitter& sitter) {
    if (free_.empty()) {
      if (end_ == kSeatsMax || !sitters_.reach(end_ + 1)) return std::nullopt;
      free_.push_back(static_cast<Seat>(end_++));
    }
    const Seat seat = free_.back();
    free_.pop_back();
    sitters_[seat].store((index_of(sitter.holder) + 1) << 2 | static_cast<uint32_t>(sitter.tier),
                         std::memory_order_release);
    return seat;
  }
  // Nobody sits there from now on.
  void leave(Seat seat) {
    sitters_[seat].store(0, std::memory_order_release);
    left_.push_back({seat, ++epoch_});
  }
  uint32_t epoch() const { return epoch_; }
  bool any_left() const { return !left_.empty(); }
  // All runs were swept since that epoch.
  void swept(uint32_t epoch) {
    std::erase_if(left_, [&](const Left& left) {
      if (left.epoch > epoch) return false;
      free_.push_back(left.seat);
      return true;
    });
  }

 private:
  struct Left {
    Seat seat = 0;
    uint32_t epoch = 0;
  };

  ReservedArray<std::atomic<uint32_t>> sitters_;
  size_t end_ = 0;
  std::vector<Seat> free_;
  std::vector<Left> left_;
  uint32_t epoch_ = 0;
};

}  // namespace kvasir
