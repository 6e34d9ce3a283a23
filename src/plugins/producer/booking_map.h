// BookingMap<Booking>: what a policy remembers of each request in flight.
//
// Open addressing with linear probing. It grows with the most requests ever in flight and allocates
// nothing after that. Not thread-safe.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "base/assert.h"
#include "base/random.h"
#include "model/request.h"

namespace kvasir {

template <class Booking>
class BookingMap {
 public:
  BookingMap() : slots_(kSmallestTable) {}

  size_t size() const { return size_; }

  // Precondition: `request` is not 0 and not booked.
  void insert(RequestId request, Booking booking) {
    KVASIR_ASSERT(request != 0, "0 is no request");
    if (2 * (size_ + 1) > slots_.size()) grow();
    Slot& slot = slots_[find_slot(request)];
    KVASIR_ASSERT(slot.request == 0, "a request is booked once");
    slot = Slot{request, std::move(booking)};
    ++size_;
  }

  // nullptr when not booked. Valid until the next insert or erase.
  const Booking* find(RequestId request) const {
    const Slot& slot = slots_[find_slot(request)];
    return request != 0 && slot.request == request ? &slot.booking : nullptr;
  }
  Booking* find(RequestId request) {
    return const_cast<Booking*>(static_cast<const BookingMap&>(*this).find(request));
  }

  // Precondition: booked.
  void erase(RequestId request) {
    size_t gap = find_slot(request);
    KVASIR_ASSERT(request != 0 && slots_[gap].request == request,
                  "only a booked request is erased");
    for (size_t at = next(gap); slots_[at].request != 0; at = next(at)) {
      const size_t from_home = (at - home(slots_[at].request)) & mask();
      if (from_home < ((at - gap) & mask())) continue;
      slots_[gap] = std::move(slots_[at]);
      gap = at;
    }
    slots_[gap] = Slot{};
    --size_;
  }

 private:
  static constexpr size_t kSmallestTable = 64;

  struct Slot {
    RequestId request = 0;  // 0: empty
    Booking booking{};
  };

  size_t mask() const { return slots_.size() - 1; }
  size_t home(RequestId request) const { return mix64(request) & mask(); }
  size_t next(size_t slot) const { return (slot + 1) & mask(); }

  size_t find_slot(RequestId request) const {
    size_t slot = home(request);
    while (slots_[slot].request != 0 && slots_[slot].request != request) slot = next(slot);
    return slot;
  }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    for (Slot& slot : old) {
      if (slot.request != 0) slots_[find_slot(slot.request)] = std::move(slot);
    }
  }

  std::vector<Slot> slots_;  // a power of two, at most half full
  size_t size_ = 0;
};

}  // namespace kvasir
