#include "flow/priority_band.h"

#include <utility>

#include "base/assert.h"

namespace kvasir {

void PriorityBand::insert(std::shared_ptr<FlowItem> item) {
  ++requests_;
  bytes_ += item->bytes();
  const std::string_view id = item->request().fairness_id;
  auto flow = flows_.find(id);
  if (flow == flows_.end()) flow = flows_.emplace(std::string(id), FlowQueue()).first;
  flow->second.insert(std::move(item), *ordering_);
}

void PriorityBand::erase(const FlowItem& item) {
  const auto flow = flows_.find(item.request().fairness_id);
  KVASIR_ASSERT(flow != flows_.end(), "a held item has a flow");
  --requests_;
  bytes_ -= item.bytes();
  flow->second.erase(item);
  if (flow->second.empty()) flows_.erase(flow);
}

std::shared_ptr<FlowItem> PriorityBand::next(TimePoint now) {
  heads_.clear();
  for (auto& [id, flow] : flows_) {
    if (ordering_->ranks_change()) flow.refresh_ranks(*ordering_);
    heads_.push_back(flow.head(*ordering_, now));
  }
  const size_t index = fairness_->next(static_cast<int32_t>(config_.priority), heads_, now);
  KVASIR_ASSERT(index < heads_.size(), "a fairness policy names one of the flows");
  return flows_.find(heads_[index].fairness_id)->second.next(*ordering_, now);
}

FlowBandStats PriorityBand::stats() const {
  FlowBandStats stats{config_.priority,      requests_,          bytes_,
                      config_.requests_most, config_.bytes_most, {}};
  for (const auto& [id, flow] : flows_) stats.flows.push_back({id, flow.requests(), flow.bytes()});
  return stats;
}

}  // namespace kvasir
