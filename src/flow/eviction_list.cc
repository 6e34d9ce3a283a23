#include "flow/eviction_list.h"

#include <algorithm>

namespace kvasir {

void EvictionList::add(const std::shared_ptr<FlowItem>& item) {
  if (plugins_.eviction_filter != nullptr &&
      plugins_.eviction_filter->may_evict(item->place().in_flight)) {
    items_.push_back(item);
  }
}

std::optional<Duration> EvictionList::remove(const FlowItem& item, TimePoint now) {
  const auto found = std::find_if(items_.begin(), items_.end(),
                                  [&](const auto& candidate) { return candidate.get() == &item; });
  if (found == items_.end()) return std::nullopt;
  const std::optional<TimePoint> revoked_at = item.place().revoked_at;
  *found = std::move(items_.back());
  items_.pop_back();
  if (!revoked_at) return std::nullopt;
  --stats_.pending;
  ++stats_.confirmed;
  quiet_until_ = now + plugins_.settling_time;
  return now - *revoked_at;
}

std::vector<std::shared_ptr<FlowItem>> EvictionList::choose(int32_t priority, TimePoint now) {
  give_up_on_late_ones(now);
  std::vector<std::shared_ptr<FlowItem>> victims;
  if (stats_.pending > 0 || (quiet_until_ && now < *quiet_until_)) return victims;
  quiet_until_.reset();
  for (const auto& item : items_) {
    if (item->place().in_flight.priority < priority) victims.push_back(item);
  }
  const auto before = [this](const auto& a, const auto& b) {
    return plugins_.eviction_order->before(a->place().in_flight, b->place().in_flight);
  };
  const size_t count = std::min(victims.size(), kVictimsMost);
  std::partial_sort(victims.begin(), victims.begin() + static_cast<std::ptrdiff_t>(count),
                    victims.end(), before);
  victims.resize(count);
  for (const auto& victim : victims) victim->place().revoked_at = now;
  stats_.issued += count;
  stats_.pending += count;
  return victims;
}

std::optional<TimePoint> EvictionList::next_change() const {
  std::optional<TimePoint> earliest = quiet_until_;
  for (const auto& item : items_) {
    if (!item->place().revoked_at) continue;
    const TimePoint late = *item->place().revoked_at + kConfirmationTimeout;
    if (!earliest || late < *earliest) earliest = late;
  }
  return earliest;
}

void EvictionList::give_up_on_late_ones(TimePoint now) {
  const auto late = [&](const auto& item) {
    return item->place().revoked_at && now - *item->place().revoked_at >= kConfirmationTimeout;
  };
  const size_t count = std::erase_if(items_, late);
  stats_.timed_out += count;
  stats_.pending -= count;
}

}  // namespace kvasir
