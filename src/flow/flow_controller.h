// Holds requests until the pool has room, and decides who goes first.
//
//   priority band (strict, highest first) -> FairnessPolicy between its flows -> OrderingPolicy
//   inside a flow
//
// A cycle sends as many as the pool takes: each is scheduled and booked at once
// (FlowItem::dispatch), then the saturation is read again. The first band with somebody in it
// decides: while it is over its ceiling nobody goes (head of line). What cannot be held is refused;
// what waited too long is given up. While the pool is empty the waiting room's own limit applies,
// and time spent there does not count against the ordinary one.
//
// Thread-safe, with no thread, timer or I/O of its own: its owner calls run() when something may
// have changed (a release, a change of the fleet), and not later than the time that run()
// named. enqueue() and ended() run a cycle themselves.
//
// Source: endpoint_picker.md §6. Unlike upstream a cycle dispatches more than one, and pick and
// booking are one step.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <vector>

#include "base/clock.h"
#include "flow/eviction_list.h"
#include "flow/flow_item.h"
#include "flow/flow_stats.h"
#include "flow/priority_band.h"

namespace kvasir {

class FlowController {
 public:
  static constexpr Duration kPollInterval =
      std::chrono::milliseconds(10);              // of a saturation that may change unseen
  static constexpr size_t kDispatchesMost = 256;  // of one cycle
  static constexpr size_t kBandsMost =
      64;  // with those made at run time; other priorities fall back to band 0

  // `saturation` is called under the mutex; it must not call the controller. `probe` may be null.
  // All must outlive it.
  FlowController(const Clock& clock, FlowSettings settings,
                 std::function<PoolSaturation()> saturation, FlowProbe* probe = nullptr);
  ~FlowController();

  // What became of it at once; nullopt: it is held, and finished() will tell.
  std::optional<FlowOutcome> enqueue(const std::shared_ptr<FlowItem>& item);
  // Its client left. True: it was held and is no longer, finished() is not called. False: it is not
  // held (any more), and when it was dispatched its booking stands: the caller releases that.
  bool cancel(FlowItem& item);
  // A dispatched item left its endpoint: once, after its booking was released. Tokens may be 0 when
  // they are not known. For an item that was never dispatched it does nothing.
  void ended(FlowItem& item, uint64_t prompt_tokens, uint64_t output_tokens);

  // Gives up and dispatches. Answers when it must be called again at the latest; nullopt: nobody
  // waits.
  std::optional<TimePoint> run();
  // Whether run() has nothing to do. Cheap: for whoever would call it at each release.
  bool idle() const { return held_.load(std::memory_order_acquire) == 0; }

  // Gives up all that is held, and refuses what comes (kShuttingDown).
  void drain();
  // From now on by these settings; what is held stays held, in the new bands.
  void reconfigure(FlowSettings settings);
  // Priorities that may come beyond the configured bands, each of which gets a band by its
  // template.
  void set_priorities(const std::vector<int32_t>& priorities);

  FlowStats stats() const;

 private:
  using Item = std::shared_ptr<FlowItem>;
  // What is told once the mutex is free.
  struct Told {
    std::vector<std::pair<Item, FlowOutcome>> finished;
    std::vector<std::pair<Item, FlowOutcome>> evicted;
    std::optional<FlowOutcome> take(const Item& item);
  };
  struct ByDeadline {
    bool operator()(const Item& a, const Item& b) const {
      return a->place().deadline != b->place().deadline ? a->place().deadline < b->place().deadline
                                                        : a->place().sequence < b->place().sequence;
    }
  };

  void rebuild();
  void make_bands();
  void add_band(const PriorityBandConfig& config);
  int32_t band_of(int32_t priority) const;
  bool is_open(int32_t band);
  TimePoint deadline_of(const FlowItem& item) const;

  std::optional<FlowOutcome> refuse(FlowItem& item, TimePoint now);
  void hold(const Item& item);
  void unhold(const Item& item);
  std::optional<FlowOutcome> dispatch(const Item& item, TimePoint now);
  FlowOutcome over(FlowItem& item, FlowOutcome outcome, TimePoint now);

  void cycle(Told& told);
  void read_saturation(TimePoint now);
  void give_up(TimePoint now, Told& told);
  void dispatch_all(TimePoint now, Told& told);
  void evict_for(const PriorityBand& band, int32_t priority, TimePoint now, Told& told);
  // When run() must be called at the latest; nullopt: nobody waits.
  std::optional<TimePoint> next_run(TimePoint now) const;
  static void tell(const Told& told);

  const Clock& clock_;
  const std::function<PoolSaturation()> read_saturation_;
  FlowProbe* const probe_;
  std::atomic<uint64_t> held_{0};
  mutable std::mutex mutex_;
  // All below under the mutex.
  FlowSettings settings_;
  std::vector<int32_t> run_time_priorities_;
  std::map<int32_t, PriorityBand, std::greater<int32_t>> bands_;
  std::vector<int32_t> priorities_;  // of the bands, highest first
  std::set<Item, ByDeadline> by_deadline_;
  uint64_t bytes_ = 0;
  uint64_t last_sequence_ = 0;
  PoolSaturation saturation_;
  bool all_stale_ = false;  // as told to probe_
  bool pool_empty_ = false;
  TimePoint pool_filled_at_ = TimePoint::min();
  TimePoint pool_emptied_at_ = TimePoint::min();
  EvictionList evictions_;
  bool more_to_dispatch_ = false;  // the last cycle ended at kDispatchesMost
  bool draining_ = false;
};

}  // namespace kvasir
