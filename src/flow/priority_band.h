// The held requests of one priority: flows by tenant, and the limits of all of them together.
// Private to flow/; under the controller's mutex.
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "flow/flow_queue.h"
#include "flow/flow_stats.h"

namespace kvasir {

class PriorityBand {
 public:
  // The policies must outlive it.
  PriorityBand(const PriorityBandConfig& config, FairnessPolicy& fairness, OrderingPolicy& ordering)
      : config_(config), fairness_(&fairness), ordering_(&ordering) {}

  bool has_room_for(const FlowItem& item) const {
    return requests_ < config_.requests_most && bytes_ + item.bytes() <= config_.bytes_most;
  }
  void insert(std::shared_ptr<FlowItem> item);
  void erase(const FlowItem& item);
  // Who goes next. Precondition: not empty.
  std::shared_ptr<FlowItem> next(TimePoint now);

  bool empty() const { return requests_ == 0; }
  bool full() const { return requests_ >= config_.requests_most || bytes_ >= config_.bytes_most; }
  FairnessPolicy& fairness() const { return *fairness_; }
  // How long its requests may wait for room: its own limit shortens the one of all bands.
  Duration request_ttl(Duration of_all) const {
    const Duration own = config_.default_request_ttl;
    return own > Duration::zero() ? std::min(own, of_all) : of_all;
  }
  FlowBandStats stats() const;

 private:
  PriorityBandConfig config_;
  FairnessPolicy* fairness_;
  OrderingPolicy* ordering_;
  std::map<std::string, FlowQueue, std::less<>> flows_;  // none is empty
  uint64_t requests_ = 0;
  uint64_t bytes_ = 0;
  std::vector<FlowHead> heads_;  // scratch
};

}  // namespace kvasir
