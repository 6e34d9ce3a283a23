// The requests in flight that may be ended for the sake of others, and which of them were asked to.
// Private to flow/; under the controller's mutex.
//
// A decision names at most two victims. The next one comes when both have ended and the saturation
// had time to show it (or when one did not end in time): what was asked for is not asked for twice.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "flow/flow_item.h"
#include "flow/flow_stats.h"

namespace kvasir {

class EvictionList {
 public:
  static constexpr size_t kVictimsMost = 2;
  static constexpr Duration kConfirmationTimeout = std::chrono::seconds(10);

  explicit EvictionList(const FlowPlugins& plugins) : plugins_(plugins) {}

  // The item was dispatched; it is remembered when it may be a victim.
  void add(const std::shared_ptr<FlowItem>& item);
  // It ended. Answers how long after it was asked to; nullopt: it was not.
  std::optional<Duration> remove(const FlowItem& item, TimePoint now);

  // Victims for a request of that priority, now marked as asked; most often none.
  std::vector<std::shared_ptr<FlowItem>> choose(int32_t priority, TimePoint now);
  // When choose() may say something else without anything else happening; nullopt: never.
  std::optional<TimePoint> next_change() const;

  const RevocationStats& stats() const { return stats_; }
  void set_plugins(const FlowPlugins& plugins) { plugins_ = plugins; }

 private:
  void give_up_on_late_ones(TimePoint now);

  FlowPlugins plugins_;
  std::vector<std::shared_ptr<FlowItem>> items_;
  RevocationStats stats_;
  std::optional<TimePoint> quiet_until_;
};

}  // namespace kvasir
