// Live batches of one source that wait until a replay has brought what is missing before them.
// Bounded: by itself, and by what all sources of a thread may keep together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

namespace kvasir {

// Of all sources of one thread. Plain: one thread uses it.
struct WaitingBudget {
  size_t bytes_max = size_t{256} << 20;
  size_t bytes = 0;
};

class WaitingBatches {
 public:
  struct Batch {
    uint64_t number = 0;
    std::string bytes;
  };
  // What a batch takes beside its bytes.
  static constexpr size_t kOverhead = 64;

  // `budget` must outlive it.
  WaitingBatches(size_t bytes_max, WaitingBudget& budget)
      : bytes_max_(bytes_max), budget_(budget) {}
  ~WaitingBatches() { clear(); }
  WaitingBatches(const WaitingBatches&) = delete;
  WaitingBatches& operator=(const WaitingBatches&) = delete;

  bool empty() const { return batches_.empty(); }
  const Batch& front() const { return batches_.front(); }
  // False: there is no room, and so none for what follows it until they are empty.
  bool push(uint64_t number, std::string_view batch);
  void pop();
  void clear();

 private:
  const size_t bytes_max_;
  WaitingBudget& budget_;
  std::deque<Batch> batches_;
  size_t bytes_ = 0;
  bool full_ = false;
};

}  // namespace kvasir
