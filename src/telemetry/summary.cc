#include "telemetry/summary.h"

#include <bit>
#include <cmath>
#include <limits>

namespace kvasir {
namespace {

int64_t slice_number(TimePoint now) {
  return now.time_since_epoch() / Summary::kSlice;
}

}  // namespace

Summary::Summary(const Clock& clock)
    : clock_(clock), slices_(std::make_unique<std::array<Slice, kSlices>>()) {}

// The exponent and the first four bits of the fraction, as they stand in the double.
size_t Summary::bucket_of(double value) {
  const double smallest = std::ldexp(1.0, kOctaveMin);
  if (!(value > smallest)) return 0;
  constexpr uint64_t kFirst = static_cast<uint64_t>(1023 + kOctaveMin) * kPerOctave;
  const uint64_t bucket = (std::bit_cast<uint64_t>(value) >> 48) - kFirst;
  return bucket < kBuckets ? bucket : kBuckets - 1;
}

double Summary::middle_of(size_t bucket) {
  const int octave = kOctaveMin + static_cast<int>(bucket / kPerOctave);
  const double step = static_cast<double>(bucket % kPerOctave) + 0.5;
  return std::ldexp(1 + step / kPerOctave, octave);
}

void Summary::begin(Slice& slice, int64_t number) {
  std::lock_guard<std::mutex> lock(beginning_);
  if (slice.number.load(std::memory_order_relaxed) >= number) return;
  for (std::atomic<uint32_t>& count : slice.counts) count.store(0, std::memory_order_relaxed);
  slice.number.store(number, std::memory_order_release);
}

void Summary::observe(double value, TimePoint now) {
  const int64_t number = slice_number(now);
  Slice& slice = (*slices_)[static_cast<size_t>(number) % kSlices];
  if (slice.number.load(std::memory_order_acquire) < number) begin(slice, number);
  slice.counts[bucket_of(value)].fetch_add(1, std::memory_order_relaxed);
  double old = sum_.load(std::memory_order_relaxed);
  while (!sum_.compare_exchange_weak(old, old + value, std::memory_order_relaxed)) {
  }
  count_.fetch_add(1, std::memory_order_relaxed);
}

std::vector<double> Summary::quantiles(std::span<const double> quantiles) const {
  const int64_t oldest = slice_number(clock_.now()) - static_cast<int64_t>(kSlices) + 1;
  std::vector<uint64_t> counts(kBuckets);
  uint64_t total = 0;
  for (const Slice& slice : *slices_) {
    if (slice.number.load(std::memory_order_acquire) < oldest) continue;
    for (size_t i = 0; i < kBuckets; ++i) {
      const uint64_t count = slice.counts[i].load(std::memory_order_relaxed);
      counts[i] += count;
      total += count;
    }
  }
  std::vector<double> values;
  for (const double quantile : quantiles) {
    const auto rank = static_cast<uint64_t>(std::ceil(quantile * static_cast<double>(total)));
    double value = std::numeric_limits<double>::quiet_NaN();
    uint64_t seen = 0;
    for (size_t i = 0; i < kBuckets && total > 0; ++i) {
      seen += counts[i];
      if (seen < rank || seen == 0) continue;
      value = middle_of(i);
      break;
    }
    values.push_back(value);
  }
  return values;
}

}  // namespace kvasir
