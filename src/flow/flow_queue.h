// The held requests of one flow, in the order of their ranks. Private to flow/; under the
// controller's mutex.
#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "flow/flow_item.h"

namespace kvasir {

class FlowQueue {
 public:
  // Ranks that change are asked for again for so many, the first in the old order: it bounds what a
  // decision costs.
  static constexpr size_t kRanksRefreshedMost = 128;

  void insert(std::shared_ptr<FlowItem> item, OrderingPolicy& ordering);
  void erase(const FlowItem& item);
  void refresh_ranks(OrderingPolicy& ordering);

  // Who goes next: who is urgent, nearest deadline first, else the smallest rank. Precondition: not
  // empty.
  FlowHead head(const OrderingPolicy& ordering, TimePoint now) const;
  const std::shared_ptr<FlowItem>& next(const OrderingPolicy& ordering, TimePoint now) const;

  bool empty() const { return by_rank_.empty(); }
  size_t requests() const { return by_rank_.size(); }
  uint64_t bytes() const { return bytes_; }

 private:
  using Item = std::shared_ptr<FlowItem>;
  struct Key {
    int64_t order = 0;  // rank or deadline
    uint64_t sequence = 0;
    bool operator<(const Key& other) const {
      return order != other.order ? order < other.order : sequence < other.sequence;
    }
  };
  struct Entry {
    Key key;
    Item item;
    bool operator<(const Entry& other) const { return key < other.key; }
  };
  static Key rank_key(const FlowItem& item) {
    return {item.place().rank.count(), item.place().sequence};
  }
  static Key deadline_key(const FlowItem& item) {
    return {item.place().deadline.time_since_epoch().count(), item.place().sequence};
  }
  static HeldRequest view_of(FlowItem& item, const OrderingPolicy& ordering) {
    return HeldRequest{
        item.request(), item.place().received, item.place().deadline,
        ordering.reads_predicted_prefill() ? item.predicted_prefill() : Duration::zero()};
  }
  bool is_urgent(const FlowItem& item, const OrderingPolicy& ordering, TimePoint now) const;

  std::set<Entry> by_rank_;
  std::set<Entry> by_deadline_;
  uint64_t bytes_ = 0;
  std::vector<Item> refreshed_;  // scratch
};

}  // namespace kvasir
