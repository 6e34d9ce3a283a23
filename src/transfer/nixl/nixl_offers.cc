#include "transfer/nixl/nixl_offers.h"

#include <algorithm>

#include "base/assert.h"

namespace kvasir {

NixlOffers::~NixlOffers() {
  for (auto& [id, offer] : offers_) executor_.cancel(offer.timer);
}

void NixlOffers::add(std::string id, KvRequestId request, std::vector<uint32_t> blocks,
                     std::vector<BlockHash> chain) {
  KVASIR_ASSERT(blocks.size() == chain.size(), "each block has its hash");
  const TimePoint now = executor_.now();
  Offer offer{request, std::move(blocks), std::move(chain), now, time_after(now, lease_)};
  const auto [at, is_new] = offers_.emplace(std::move(id), std::move(offer));
  KVASIR_ASSERT(is_new, "ids are used once");
  wait(at->first, at->second);
}

void NixlOffers::wait(const std::string& id, Offer& offer) {
  offer.timer = executor_.after(offer.ends - executor_.now(), [this, id] { on_time(id); });
}

// A heartbeat moves the end and not the timer: there are many heartbeats, and few ends.
void NixlOffers::on_time(const std::string& id) {
  const auto offer = offers_.find(id);
  if (executor_.now() < offer->second.ends) return wait(id, offer->second);
  over(offer, true);
}

void NixlOffers::over(Offers::iterator offer, bool expired) {
  executor_.cancel(offer->second.timer);
  const Over told{offer->first, offer->second.request, offer->second.blocks.size(), expired};
  offers_.erase(offer);
  on_over_(told);
}

Result<void> NixlOffers::check(const NixlRead& read) const {
  const auto found = offers_.find(read.request_id);
  if (found == offers_.end()) {
    return Error{"nothing is offered as " + read.request_id +
                 ": its lease has ended, it was read, or it was never there"};
  }
  const Offer& offer = found->second;
  const auto first = std::find(offer.blocks.begin(), offer.blocks.end(), read.blocks.front());
  const auto left = static_cast<size_t>(offer.blocks.end() - first);
  if (read.blocks.size() > left || !std::equal(read.blocks.begin(), read.blocks.end(), first)) {
    return Error{"the blocks are not those that are offered as " + read.request_id};
  }
  const size_t last = offer.blocks.size() - left + read.blocks.size() - 1;
  if (offer.chain[last] != read.chain) {
    return Error{"what is offered as " + read.request_id + " is of another prompt"};
  }
  return {};
}

void NixlOffers::beat(std::string_view id) {
  const auto found = offers_.find(id);
  if (found == offers_.end()) return;
  Offer& offer = found->second;
  const TimePoint extended = time_after(executor_.now(), lease_ * 2 / 3);
  offer.ends = std::min(std::max(offer.ends, extended), time_after(offer.begun, total_max_));
}

bool NixlOffers::done(std::string_view id) {
  const auto found = offers_.find(id);
  if (found == offers_.end()) return false;
  over(found, false);
  return true;
}

}  // namespace kvasir
