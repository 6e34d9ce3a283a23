#include "transfer/link_shaper.h"

#include <algorithm>

namespace kvasir {

Duration LinkShaper::time_of(uint64_t bytes) const {
  // 1e9 bytes a second are one a nanosecond.
  return from_nanoseconds(static_cast<double>(bytes) * scale_ / shape_.gb_per_s);
}

TimePoint LinkShaper::take(TimePoint now, uint64_t bytes) {
  if (!limits_rate()) return now;
  const Duration time = time_of(bytes);
  return free_at_.with([&](TimePoint& free_at) {
    free_at = time_after(std::max(free_at, now), time);
    return free_at;
  });
}

size_t LinkShaper::piece_bytes(size_t bytes_most) const {
  if (!limits_rate()) return bytes_most;
  const double bytes = to_seconds(kTurn) * 1e9 * shape_.gb_per_s / scale_;
  return bytes >= static_cast<double>(bytes_most) ? bytes_most
                                                  : std::max<size_t>(static_cast<size_t>(bytes), 1);
}

}  // namespace kvasir
