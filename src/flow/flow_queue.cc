#include "flow/flow_queue.h"

#include <utility>

#include "base/assert.h"

namespace kvasir {

void FlowQueue::insert(std::shared_ptr<FlowItem> item, OrderingPolicy& ordering) {
  item->place().rank = ordering.rank(view_of(*item, ordering));
  bytes_ += item->bytes();
  by_deadline_.insert({deadline_key(*item), item});
  const Key key = rank_key(*item);
  by_rank_.insert({key, std::move(item)});
}

void FlowQueue::erase(const FlowItem& item) {
  bytes_ -= item.bytes();
  const Key deadline = deadline_key(item);
  const Key rank = rank_key(item);
  const size_t erased = by_deadline_.erase({deadline, nullptr}) + by_rank_.erase({rank, nullptr});
  KVASIR_ASSERT(erased == 2, "a held item is in both orders");
}

void FlowQueue::refresh_ranks(OrderingPolicy& ordering) {
  refreshed_.clear();
  for (auto at = by_rank_.begin(); at != by_rank_.end() && refreshed_.size() < kRanksRefreshedMost;
       ++at) {
    refreshed_.push_back(at->item);
  }
  for (Item& item : refreshed_) {
    const Duration rank = ordering.rank(view_of(*item, ordering));
    if (rank == item->place().rank) continue;
    by_rank_.erase({rank_key(*item), nullptr});
    item->place().rank = rank;
    by_rank_.insert({rank_key(*item), item});
  }
  refreshed_.clear();
}

bool FlowQueue::is_urgent(const FlowItem& item, const OrderingPolicy& ordering,
                          TimePoint now) const {
  const Duration urgent = ordering.urgent_before_deadline();
  return urgent > Duration::zero() && item.place().deadline - now <= urgent;
}

const std::shared_ptr<FlowItem>& FlowQueue::next(const OrderingPolicy& ordering,
                                                 TimePoint now) const {
  KVASIR_ASSERT(!empty(), "somebody waits");
  const Item& nearest = by_deadline_.begin()->item;
  return is_urgent(*nearest, ordering, now) ? nearest : by_rank_.begin()->item;
}

FlowHead FlowQueue::head(const OrderingPolicy& ordering, TimePoint now) const {
  const FlowItem& item = *next(ordering, now);
  const bool urgent = is_urgent(item, ordering, now);
  return FlowHead{item.request().fairness_id, item.place().received,
                  urgent ? Duration::min() : item.place().rank, item.place().sequence};
}

}  // namespace kvasir
