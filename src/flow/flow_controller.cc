#include "flow/flow_controller.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace kvasir {

FlowController::FlowController(const Clock& clock, FlowSettings settings,
                               std::function<PoolSaturation()> saturation, FlowProbe* probe)
    : clock_(clock),
      read_saturation_(std::move(saturation)),
      probe_(probe),
      settings_(std::move(settings)),
      evictions_(settings_.plugins) {
  make_bands();
}

FlowController::~FlowController() = default;

std::optional<FlowOutcome> FlowController::enqueue(const std::shared_ptr<FlowItem>& item) {
  Told told;
  std::optional<FlowOutcome> outcome;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const TimePoint now = clock_.now();
    KVASIR_ASSERT(item->place().state == FlowPlace::State::kNew, "an item is enqueued once");
    item->place().received = now;
    item->place().sequence = ++last_sequence_;
    item->place().band = band_of(item->request().priority);
    read_saturation(now);
    item->place().deadline = deadline_of(*item);
    outcome = refuse(*item, now);
    // Nobody waits, so there is no order to keep.
    if (!outcome && by_deadline_.empty() && is_open(item->place().band))
      outcome = dispatch(item, now);
    if (!outcome) {
      hold(item);
      cycle(told);
      outcome = told.take(item);
    }
  }
  tell(told);
  return outcome;
}

std::optional<FlowOutcome> FlowController::refuse(FlowItem& item, TimePoint now) {
  if (draining_) return over(item, FlowOutcome::kShuttingDown, now);
  if (pool_empty_ && item.place().deadline <= now)
    return over(item, FlowOutcome::kRejectedNoEndpoints, now);
  const FlowControlConfig& config = settings_.config;
  const bool full = (config.requests_most && by_deadline_.size() >= *config.requests_most) ||
                    (config.bytes_most && bytes_ + item.bytes() > *config.bytes_most) ||
                    !bands_.at(item.place().band).has_room_for(item);
  if (full) return over(item, FlowOutcome::kRejectedCapacity, now);
  return std::nullopt;
}

bool FlowController::cancel(FlowItem& item) {
  std::shared_ptr<FlowItem> held;  // dies without the mutex
  std::lock_guard<std::mutex> lock(mutex_);
  if (item.place().state != FlowPlace::State::kHeld) return false;
  const auto key = std::shared_ptr<FlowItem>(std::shared_ptr<FlowItem>(), &item);
  held = *by_deadline_.find(key);
  unhold(held);
  over(item, FlowOutcome::kEvictedContextCancelled, clock_.now());
  return true;
}

void FlowController::ended(FlowItem& item, uint64_t prompt_tokens, uint64_t output_tokens) {
  Told told;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (item.place().state != FlowPlace::State::kInFlight) return;
    item.place().state = FlowPlace::State::kOver;
    const TimePoint now = clock_.now();
    const std::optional<Duration> revoked = evictions_.remove(item, now);
    if (revoked && probe_ != nullptr) probe_->on_revoked(*revoked);
    const PriorityBand& band = bands_.at(band_of(item.request().priority));
    band.fairness().served(item.request().fairness_id, prompt_tokens, output_tokens, now);
    if (!by_deadline_.empty()) cycle(told);
  }
  tell(told);
}

std::optional<TimePoint> FlowController::run() {
  Told told;
  std::optional<TimePoint> next;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const TimePoint began = clock_.now();
    const bool anybody = !by_deadline_.empty();
    if (anybody) cycle(told);
    const TimePoint now = clock_.now();
    if (probe_ != nullptr && anybody) probe_->on_cycle(now - began);
    next = next_run(now);
  }
  tell(told);
  return next;
}

void FlowController::drain() {
  Told told;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    draining_ = true;
    const TimePoint now = clock_.now();
    while (!by_deadline_.empty()) {
      const Item item = *by_deadline_.begin();
      unhold(item);
      told.finished.emplace_back(item, over(*item, FlowOutcome::kShuttingDown, now));
    }
  }
  tell(told);
}

void FlowController::reconfigure(FlowSettings settings) {
  Told told;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    settings_ = std::move(settings);
    evictions_.set_plugins(settings_.plugins);
    rebuild();
    cycle(told);
  }
  tell(told);
}

void FlowController::set_priorities(const std::vector<int32_t>& priorities) {
  std::lock_guard<std::mutex> lock(mutex_);
  run_time_priorities_ = priorities;
  rebuild();
}

FlowStats FlowController::stats() const {
  std::lock_guard<std::mutex> lock(mutex_);
  FlowStats stats;
  stats.requests = by_deadline_.size();
  stats.bytes = bytes_;
  stats.requests_most = settings_.config.requests_most;
  stats.bytes_most = settings_.config.bytes_most;
  stats.saturation = read_saturation_();
  for (const auto& [priority, band] : bands_) stats.bands.push_back(band.stats());
  stats.revocations = evictions_.stats();
  for (const auto& [priority, band] : bands_) {
    // Bands that share a policy share its tenants.
    if (!stats.tenants) stats.tenants = band.fairness().tenants(clock_.now());
  }
  return stats;
}

// What is held is held anew: by the bands there are now, until the deadlines that hold now.
void FlowController::rebuild() {
  const std::vector<Item> items(by_deadline_.begin(), by_deadline_.end());
  by_deadline_.clear();
  bytes_ = 0;
  make_bands();
  for (const Item& item : items) {
    item->place().band = band_of(item->request().priority);
    item->place().deadline = deadline_of(*item);
    hold(item);
  }
}

void FlowController::make_bands() {
  const FlowControlConfig& config = settings_.config;
  bands_.clear();
  for (const PriorityBandConfig& band : config.bands) add_band(band);
  const auto add_by_template = [&](int32_t priority) {
    PriorityBandConfig band = priority < 0 ? config.default_negative_band : config.default_band;
    band.priority = priority;
    add_band(band);
  };
  add_by_template(0);
  for (const int32_t priority : run_time_priorities_) {
    if (bands_.size() < kBandsMost) add_by_template(priority);
  }
  priorities_.clear();
  for (const auto& [priority, band] : bands_) priorities_.push_back(priority);
}

// A band that is there already stays as it is.
void FlowController::add_band(const PriorityBandConfig& config) {
  const auto fairness = settings_.plugins.fairness.find(config.fairness_policy);
  const auto ordering = settings_.plugins.ordering.find(config.ordering_policy);
  KVASIR_ASSERT(fairness != settings_.plugins.fairness.end(), "a band's fairness policy is there");
  KVASIR_ASSERT(ordering != settings_.plugins.ordering.end(), "a band's ordering policy is there");
  bands_.emplace(static_cast<int32_t>(config.priority),
                 PriorityBand(config, *fairness->second, *ordering->second));
}

int32_t FlowController::band_of(int32_t priority) const {
  return bands_.contains(priority) ? priority : 0;
}

bool FlowController::is_open(int32_t band) {
  UsageLimitPolicy* limit = settings_.plugins.usage_limit;
  const double saturation = saturation_.effective();
  if (limit != nullptr) limit->next_chance(saturation, priorities_);
  const double ceiling = limit == nullptr ? 1 : limit->ceiling(band, priorities_);
  return !pool_empty_ && saturation < ceiling;
}

TimePoint FlowController::deadline_of(const FlowItem& item) const {
  const FlowControlConfig& config = settings_.config;
  if (pool_empty_) return item.place().received + config.no_endpoint_request_ttl;
  const Duration ttl = bands_.at(item.place().band).request_ttl(config.default_request_ttl);
  return std::max(item.place().received, pool_filled_at_) + ttl;
}

void FlowController::hold(const Item& item) {
  item->place().state = FlowPlace::State::kHeld;
  bytes_ += item->bytes();
  by_deadline_.insert(item);
  bands_.at(item->place().band).insert(item);
  held_.store(by_deadline_.size(), std::memory_order_release);
}

void FlowController::unhold(const Item& item) {
  bytes_ -= item->bytes();
  bands_.at(item->place().band).erase(*item);
  by_deadline_.erase(item);
  held_.store(by_deadline_.size(), std::memory_order_release);
}

FlowOutcome FlowController::over(FlowItem& item, FlowOutcome outcome, TimePoint now) {
  item.place().state =
      outcome == FlowOutcome::kDispatched ? FlowPlace::State::kInFlight : FlowPlace::State::kOver;
  item.place().held_for = now - item.place().received;
  if (probe_ != nullptr)
    probe_->on_outcome(item.request(), item.place().band, outcome, item.place().held_for);
  return outcome;
}

// nullopt: it stays where it is, for the pool has just become empty.
std::optional<FlowOutcome> FlowController::dispatch(const Item& item, TimePoint now) {
  const Refusal refusal = item->dispatch();
  if (refusal == Refusal::kNoEndpoints && read_saturation_().endpoints == 0) return std::nullopt;
  if (item->place().state == FlowPlace::State::kHeld) unhold(item);
  const FlowOutcome outcome = over(*item, outcome_of(refusal), now);
  if (outcome == FlowOutcome::kDispatched) {
    item->place().in_flight =
        InFlightRequest{item->request().priority, now, item->place().sequence};
    evictions_.add(item);
    bands_.at(item->place().band)
        .fairness()
        .dispatched(item->request().fairness_id, item->place().held_for, now);
  }
  return outcome;
}

void FlowController::cycle(Told& told) {
  const TimePoint now = clock_.now();
  read_saturation(now);
  give_up(now, told);
  dispatch_all(now, told);
}

void FlowController::read_saturation(TimePoint now) {
  saturation_ = read_saturation_();
  const bool stale = saturation_.endpoints > 0 && saturation_.stale_endpoints == saturation_.endpoints;
  if (std::exchange(all_stale_, stale) != stale && probe_ != nullptr) {
    probe_->on_metrics_stale(stale, saturation_.endpoints);
  }
  const bool empty = saturation_.endpoints == 0;
  if (empty == std::exchange(pool_empty_, empty)) return;
  (empty ? pool_emptied_at_ : pool_filled_at_) = now;
  rebuild();
}

void FlowController::give_up(TimePoint now, Told& told) {
  while (!by_deadline_.empty() && (*by_deadline_.begin())->place().deadline <= now) {
    const Item item = *by_deadline_.begin();
    FlowOutcome outcome = FlowOutcome::kEvictedTtl;
    if (pool_empty_) {
      const bool too_late_at_once = item->place().deadline <= pool_emptied_at_;
      outcome =
          too_late_at_once ? FlowOutcome::kEvictedNoEndpoints : FlowOutcome::kEvictedTtlNoEndpoints;
    }
    unhold(item);
    told.finished.emplace_back(item, over(*item, outcome, now));
  }
}

void FlowController::dispatch_all(TimePoint now, Told& told) {
  more_to_dispatch_ = false;
  for (size_t sent = 0; !by_deadline_.empty(); ++sent) {
    const auto first = std::find_if(bands_.begin(), bands_.end(),
                                    [](const auto& entry) { return !entry.second.empty(); });
    if (!is_open(first->first)) return evict_for(first->second, first->first, now, told);
    if (sent == kDispatchesMost) {
      more_to_dispatch_ = true;
      return;
    }
    const Item item = first->second.next(now);
    const std::optional<FlowOutcome> outcome = dispatch(item, now);
    if (outcome) told.finished.emplace_back(item, *outcome);
    read_saturation(now);
  }
}

void FlowController::evict_for(const PriorityBand& band, int32_t priority, TimePoint now,
                               Told& told) {
  if (pool_empty_) return;
  const FlowOutcome reason =
      band.full() ? FlowOutcome::kEvictedQueuePressure : FlowOutcome::kEvictedPriority;
  for (Item& victim : evictions_.choose(priority, now))
    told.evicted.emplace_back(std::move(victim), reason);
}

std::optional<TimePoint> FlowController::next_run(TimePoint now) const {
  if (by_deadline_.empty()) return std::nullopt;
  if (more_to_dispatch_) return now;
  Duration wait = kPollInterval;
  if (saturation_.falls_in) wait = std::min(wait, *saturation_.falls_in);
  const TimePoint next = std::min(now + wait, (*by_deadline_.begin())->place().deadline);
  const auto change = evictions_.next_change();
  return change && *change > now ? std::min(next, *change) : next;
}

// `item` is taken out: it is told by a return value.
std::optional<FlowOutcome> FlowController::Told::take(const Item& item) {
  const auto found = std::find_if(finished.begin(), finished.end(),
                                  [&](const auto& entry) { return entry.first == item; });
  if (found == finished.end()) return std::nullopt;
  const FlowOutcome outcome = found->second;
  finished.erase(found);
  return outcome;
}

void FlowController::tell(const Told& told) {
  for (const auto& [item, outcome] : told.finished) item->finished(outcome);
  for (const auto& [item, outcome] : told.evicted) item->evicted(outcome);
}

}  // namespace kvasir
