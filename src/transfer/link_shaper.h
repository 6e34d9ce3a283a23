// The link of a worker, on a machine that has none: says when bytes would be through a real one.
// What is under way at one time shares it in turns, so a transfer takes the link for a piece at a
// time (piece_bytes()), waits, and goes on.
//
//   const TimePoint through = link.take(executor.now(), piece.size());
//   executor.after(through - executor.now(), [...] { next_piece(); });
//
// Thread-safe: all transfers of a worker share one.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"
#include "base/guarded.h"
#include "transfer/kv_transfer_config.h"

namespace kvasir {

class LinkShaper {
 public:
  // Bytes count `scale` times (KvLayout::scale).
  LinkShaper(const LinkShape& shape, uint32_t scale) : shape_(shape), scale_(scale) {}

  // False: as fast as it goes, and take() gives `now`.
  bool limits_rate() const { return shape_.gb_per_s > 0; }
  // Of each transfer, once, by the side that asked for it.
  Duration latency() const { return shape_.latency; }

  // Takes the link for `bytes`, from `now` on or as soon as it is free: when they are through.
  TimePoint take(TimePoint now, uint64_t bytes);
  // Of the next piece of a transfer whose last one was through at `last`: timers of a busy machine
  // are late, and a link is not. What was late by more than that was so for another reason.
  TimePoint take_next(TimePoint last, TimePoint now, uint64_t bytes) {
    return take(now - last < kLatenessMost ? std::min(last, now) : now, bytes);
  }

  // How many bytes one transfer takes the link for at one time, so that the others' turns come
  // soon: what goes through in kTurn; at most `bytes_most`, at least one.
  size_t piece_bytes(size_t bytes_most) const;

  static constexpr Duration kTurn = std::chrono::milliseconds(2);
  static constexpr Duration kLatenessMost = std::chrono::milliseconds(50);

 private:
  Duration time_of(uint64_t bytes) const;

  const LinkShape shape_;
  const uint32_t scale_;
  Guarded<TimePoint> free_at_;
};

}  // namespace kvasir
