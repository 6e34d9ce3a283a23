// When may one writer free what readers may still look at? Readers announce themselves; what was
// taken out of the structure is freed once everybody who was inside then has left.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <thread>
#include <utility>
#include <vector>

namespace kvasir {

class ReaderEpochs {
 public:
  static constexpr size_t kReadersMost = 64;  // at the same time; one more waits

  // A reader is inside as long as it lives.
  class Inside {
   public:
    explicit Inside(const ReaderEpochs& epochs) : place_(epochs.enter()) {}
    ~Inside() { place_.store(0, std::memory_order_release); }
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;

   private:
    std::atomic<uint64_t>& place_;
  };

  // Of the writer: a point in time after what was taken out so far.
  uint64_t mark() { return epoch_.fetch_add(1, std::memory_order_seq_cst); }
  // Whether everybody who was inside at that point has left.
  bool passed(uint64_t mark) const {
    for (const Place& place : places_) {
      const uint64_t since = place.since.load(std::memory_order_seq_cst);
      if (since != 0 && since <= mark) return false;
    }
    return true;
  }

 private:
  struct alignas(64) Place {
    std::atomic<uint64_t> since{0};  // 0: nobody
  };

  std::atomic<uint64_t>& enter() const {
    const size_t start = std::hash<std::thread::id>()(std::this_thread::get_id());
    for (size_t i = start;; ++i) {
      std::atomic<uint64_t>& place = places_[i % kReadersMost].since;
      uint64_t nobody = 0;
      if (place.compare_exchange_strong(nobody, epoch_.load(std::memory_order_seq_cst),
                                        std::memory_order_seq_cst)) {
        return place;
      }
    }
  }

  mutable std::array<Place, kReadersMost> places_;
  std::atomic<uint64_t> epoch_{1};
};

// Things to free later, freed in batches. Of the writer.
template <class Thing>
class RetiredThings {
 public:
  explicit RetiredThings(ReaderEpochs& epochs) : epochs_(epochs) {}

  template <class Free>
  void add(Thing thing, Free&& free) {
    filling_.push_back(std::move(thing));
    if (filling_.size() < kBatch) return;
    waiting_.emplace_back(epochs_.mark(), std::move(filling_));
    filling_ = {};
    collect(free);
  }
  template <class Free>
  void collect(Free&& free) {
    for (; !waiting_.empty() && epochs_.passed(waiting_.front().first); waiting_.pop_front()) {
      for (Thing& thing : waiting_.front().second) free(thing);
    }
  }
  // Without readers: everything.
  template <class Free>
  void free_all(Free&& free) {
    for (auto& [mark, things] : waiting_) {
      for (Thing& thing : things) free(thing);
    }
    for (Thing& thing : filling_) free(thing);
    waiting_.clear();
    filling_.clear();
  }

 private:
  static constexpr size_t kBatch = 256;

  ReaderEpochs& epochs_;
  std::vector<Thing> filling_;
  std::deque<std::pair<uint64_t, std::vector<Thing>>> waiting_;
};

}  // namespace kvasir
