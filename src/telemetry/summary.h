// Quantiles of what was observed during the last ten minutes or so, at the cost of a counter.
//
// Values from 2^-30 to 2^10 (a nanosecond to 17 minutes, in seconds) are counted in buckets of a
// sixteenth of an octave: a quantile is off by 1/32 (3.2 %) of its value at most. Smaller and
// larger ones count as the nearest of those. The window is five slices of two minutes, the youngest
// one partly filled: between 8 and 10 minutes. Sum and count are of all time, as Prometheus wants
// them. Thread-safe. When a slice begins, observations of other threads may be lost in that moment.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/clock.h"

namespace kvasir {

class Summary {
 public:
  // Which quantiles are exposed.
  static constexpr std::array<double, 3> kQuantiles = {0.5, 0.9, 0.99};
  static constexpr size_t kSlices = 5;
  static constexpr Duration kSlice = std::chrono::minutes(2);

  // `clock` must outlive it.
  explicit Summary(const Clock& clock);

  void observe(double value) { observe(value, clock_.now()); }
  // For whoever knows what time it is.
  void observe(double value, TimePoint now);

  // `quantiles[i]` of the window; NaN when it is empty.
  std::vector<double> quantiles(std::span<const double> quantiles) const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }
  uint64_t count() const { return count_.load(std::memory_order_relaxed); }

 private:
  static constexpr int kOctaveMin = -30;
  static constexpr int kOctaveMax = 10;
  static constexpr size_t kPerOctave = 16;
  static constexpr size_t kBuckets = (kOctaveMax - kOctaveMin) * kPerOctave;
  struct Slice {
    std::atomic<int64_t> number{-1};  // since the clock's zero
    std::array<std::atomic<uint32_t>, kBuckets> counts{};
  };

  static size_t bucket_of(double value);
  static double middle_of(size_t bucket);
  void begin(Slice& slice, int64_t number);

  const Clock& clock_;
  std::mutex beginning_;
  std::unique_ptr<std::array<Slice, kSlices>> slices_;
  std::atomic<double> sum_{0};
  std::atomic<uint64_t> count_{0};
};

}  // namespace kvasir
