#include "feeds/metrics_scraper.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <exception>
#include <string>

#include "feeds/scrape_pace.h"
#include "net/http/http_client.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

HttpClientLimits limits_of(const ScrapeSource& source) {
  HttpClientLimits limits;
  limits.connect_timeout = limits.first_byte_timeout = limits.idle_timeout = source.timeout;
  limits.idle_connections = 1;
  return limits;
}

// What it lacks comes from `more`.
void fill(EngineMetrics& all, const EngineMetrics& more) {
  for (const EngineGauge gauge : {&EngineMetrics::waiting, &EngineMetrics::running,
                                  &EngineMetrics::kv_usage, &EngineMetrics::gpu_utilization}) {
    if (!(all.*gauge)) all.*gauge = more.*gauge;
  }
  all.read_at = std::max(all.read_at, more.read_at);
  if (more.shared_details == nullptr) return;
  if (all.shared_details == nullptr) {
    all.shared_details = more.shared_details;
    return;
  }
  auto details = std::make_shared<EngineDetails>(all.details());
  details->attributes.insert(more.details().attributes.begin(), more.details().attributes.end());
  if (details->adapters_max == 0) {
    details->adapters_max = more.details().adapters_max;
    details->running_adapters = more.details().running_adapters;
    details->waiting_adapters = more.details().waiting_adapters;
  }
  all.shared_details = std::move(details);
}

Result<EngineMetrics> run_extractor(const MetricsExtractor& extractor, std::string_view page) {
  try {
    return extractor.extract(page);
  } catch (const std::exception& problem) {
    return Error{problem.what()};
  }
}

// Without numbers that cannot be true, as of an engine's own page.
EngineMetrics credible(EngineMetrics found) {
  const auto keep = [](std::optional<double>& value, double believed_most, double most) {
    if (value && !(*value >= 0 && *value <= believed_most)) value.reset();
    if (value) value = std::min(*value, most);
  };
  keep(found.waiting, kRequestsMax, kRequestsMax);
  keep(found.running, kRequestsMax, kRequestsMax);
  keep(found.kv_usage, kShareMax, 1);
  keep(found.gpu_utilization, kShareMax, 1);
  const auto& attributes = found.details().attributes;
  const auto is_finite = [](const auto& entry) { return std::isfinite(entry.second); };
  if (!std::all_of(attributes.begin(), attributes.end(), is_finite)) {
    auto details = std::make_shared<EngineDetails>(found.details());
    std::erase_if(details->attributes, [&](const auto& entry) { return !is_finite(entry); });
    found.shared_details = std::move(details);
  }
  return found;
}

}  // namespace

// One source: its rounds, and a target for each slot that is taken.
class MetricsScraper::Source {
 public:
  Source(MetricsScraper& scraper, const ScrapeSource& config)
      : scraper_(scraper), config_(config), pace_(config.interval) {
    timer_ = scraper.loop_.after(Duration::zero(), [this] { round(); });
  }
  ~Source();

  const ScrapeSource& config() const { return config_; }
  const Target* target(uint32_t slot) const {
    return slot < targets_.size() ? targets_[slot].get() : nullptr;
  }
  uint32_t slots() const { return static_cast<uint32_t>(targets_.size()); }
  const EnginePage* page(uint32_t slot) const;
  ScrapeCounts counts() const { return counts_; }

 private:
  friend class Target;

  void round();
  void judge_last_round();
  void follow(const Snapshot& fleet);
  void expire();
  void start_waiting();
  void done(Target& target, bool arrived);
  void publish_arrived();

  MetricsScraper& scraper_;
  const ScrapeSource& config_;
  ScrapePace pace_;
  TimerId timer_ = kNoTimer;
  uint64_t generation_ = UINT64_MAX;  // none
  std::vector<std::unique_ptr<Target>> targets_;
  std::deque<uint32_t> waiting_;   // slots whose turn has not come in this round
  std::vector<uint32_t> arrived_;  // slots to be published
  size_t in_flight_ = 0;
  size_t of_this_round_ = 0;  // waiting or in flight, started in this round
  uint64_t number_ = 0;       // of the round
  size_t size_ = 0;           // targets in it
  Duration busy_{};
  ScrapeCounts counts_;
};

// One endpoint's page.
class MetricsScraper::Target final : private HttpCallObserver {
 public:
  Target(Source& source, uint32_t slot, const EndpointState& state, const SocketAddress& address)
      : source_(source),
        slot_(slot),
        joined_(state.joined),
        endpoint_(state.endpoint),
        reader_(source.config_.page_of(*state.endpoint)),
        client_(source.scraper_.loop_, address, limits_of(source.config_)) {
    const uint16_t port = source.config_.port != 0 ? source.config_.port : endpoint_->port;
    request_ = "GET " + source.config_.path +
               " HTTP/1.1\r\nHost: " + to_string(HostPort{endpoint_->host, port}) +
               "\r\nAccept: text/plain\r\n\r\n";
  }

  uint64_t joined() const { return joined_; }
  bool in_flight() const { return call_ != nullptr; }
  uint64_t round() const { return round_; }
  const EnginePage* page() const { return read_ ? &page_ : nullptr; }
  TimePoint read_at() const { return page_.metrics.read_at; }

  void start(uint64_t round) {
    round_ = round;
    started_ = source_.scraper_.clock_.now();
    bytes_ = 0;
    text_.clear();
    reader_.start();
    call_ = &client_.start(request_, {}, *this);
  }
  void give_up_if_late(TimePoint now) {
    if (in_flight() && now - started_ > source_.config_.timeout) give_up("no whole page in time");
  }
  // Whether it has just become too old.
  bool expire(TimePoint now) {
    if (!read_ || now - read_at() <= source_.config_.ttl) return false;
    read_ = false;
    return true;
  }

 private:
  void on_head(const HttpHead& head) override { status_ = head.status(); }
  void on_body(std::string_view bytes) override {
    bytes_ += bytes.size();
    if (bytes_ > kPageBytesMax) return give_up("the page is too long");
    const TimePoint begin = source_.scraper_.loop_.clock().now();
    if (status_ == 200) reader_.feed(bytes);
    if (status_ == 200 && !source_.config_.extractors.empty()) text_.append(bytes);
    source_.busy_ += source_.scraper_.loop_.clock().now() - begin;
  }
  void on_end() override {
    call_ = nullptr;
    EnginePage page = reader_.finish();
    if (status_ != 200) return fail(false, "status " + std::to_string(status_));
    const std::string nothing = extract(page);
    if (!page.any) {
      return fail(true, nothing.empty() ? "the page holds none of the wanted metrics" : nothing);
    }
    page.metrics.read_at = source_.scraper_.clock_.now();
    if (page.kv_capacity_tokens && page.kv_capacity_tokens != page_.kv_capacity_tokens) {
      source_.scraper_.fleet_.set_kv_capacity(EndpointId(slot_), *page.kv_capacity_tokens);
    }
    tell_problem(PageProblem::kMissing, page.missing, page_.missing);
    tell_problem(PageProblem::kRefused, page.refused, page_.refused);
    page_ = std::move(page);
    read_ = true;
    failing_ = false;
    ++source_.counts_.pages;
    source_.done(*this, true);
  }
  void on_failure(const HttpFailure& failure) override {
    call_ = nullptr;
    fail(false, failure.message);
  }
  // Lets the extractors add what they find. Returns what they say who find nothing.
  std::string extract(EnginePage& page) const {
    std::string nothing;
    for (const NamedExtractor& one : source_.config_.extractors) {
      const Result<EngineMetrics> found = run_extractor(*one.extractor, text_);
      if (found) {
        fill(page.metrics, credible(*found));
        page.any = true;
      } else {
        nothing.append(nothing.empty() ? "" : "; ").append(one.name).append(": ");
        nothing.append(found.error().message);
      }
    }
    return nothing;
  }
  // Once, not with every page.
  void tell_problem(PageProblem kind, const std::string& now, const std::string& before) {
    if (now.empty() || now == before) return;
    source_.scraper_.probe_.on_page_problem(*endpoint_, kind, now);
  }
  void give_up(std::string_view why) {
    call_->cancel();
    call_ = nullptr;
    fail(false, why);
  }
  void fail(bool extract, std::string_view why) {
    ++(extract ? source_.counts_.extract_errors : source_.counts_.poll_errors);
    source_.scraper_.probe_.on_scrape_failed(*endpoint_, source_.config_.type, extract, why,
                                             !std::exchange(failing_, true));
    source_.done(*this, false);
  }

  friend class Source;
  Source& source_;
  const uint32_t slot_;
  const uint64_t joined_;
  const std::shared_ptr<const Endpoint> endpoint_;
  EnginePageReader reader_;
  HttpClient client_;
  std::string request_;
  HttpCall* call_ = nullptr;
  uint64_t round_ = 0;
  TimePoint started_{};
  size_t bytes_ = 0;
  std::string text_;  // of the page, while extractors want it
  int status_ = 0;
  bool failing_ = false;
  bool read_ = false;  // page_ holds something that is not too old
  EnginePage page_;
};

const EnginePage* MetricsScraper::Source::page(uint32_t slot) const {
  const Target* found = target(slot);
  return found != nullptr ? found->page() : nullptr;
}

MetricsScraper::Source::~Source() {
  scraper_.loop_.cancel(timer_);
}

void MetricsScraper::Source::round() {
  const TimePoint begin = scraper_.loop_.clock().now();
  judge_last_round();
  waiting_.clear();
  publish_arrived();
  const std::shared_ptr<const Snapshot> fleet = scraper_.fleet_.snapshot();
  if (fleet->generation != generation_) follow(*fleet);
  expire();
  ++number_;
  size_ = 0;
  for (uint32_t slot = 0; slot < targets_.size(); ++slot) {
    if (targets_[slot] == nullptr) continue;
    ++size_;
    if (!targets_[slot]->in_flight()) waiting_.push_back(slot);
  }
  of_this_round_ = waiting_.size();
  start_waiting();
  busy_ = scraper_.loop_.clock().now() - begin;
  timer_ = scraper_.loop_.after(pace_.interval(), [this] { round(); });
}

// A few laggards do not slow the others' rounds down.
void MetricsScraper::Source::judge_last_round() {
  if (number_ == 0) return;
  const bool in_time = of_this_round_ <= std::max<size_t>(1, size_ / 10);
  if (!pace_.round_done(in_time, busy_)) return;
  scraper_.probe_.on_scrape_pace(config_.type, pace_.interval(), pace_.stretched());
}

void MetricsScraper::Source::follow(const Snapshot& fleet) {
  generation_ = fleet.generation;
  targets_.resize(fleet.endpoints.size());
  for (uint32_t slot = 0; slot < targets_.size(); ++slot) {
    const EndpointState& state = fleet.endpoints[slot];
    std::unique_ptr<Target>& target = targets_[slot];
    if (target != nullptr && state.present && target->joined() == state.joined &&
        target->endpoint_->labels == state.endpoint->labels) {
      continue;
    }
    if (target != nullptr && target->in_flight()) --in_flight_;
    target.reset();
    if (!state.present) continue;
    const uint16_t port = config_.port != 0 ? config_.port : state.endpoint->port;
    const auto address = scraper_.addresses_.find(state.endpoint->host, port);
    if (address) target = std::make_unique<Target>(*this, slot, state, *address);
  }
}

void MetricsScraper::Source::expire() {
  const TimePoint now = scraper_.clock_.now();
  for (uint32_t slot = 0; slot < targets_.size(); ++slot) {
    if (targets_[slot] == nullptr) continue;
    targets_[slot]->give_up_if_late(now);
    if (targets_[slot]->expire(now)) arrived_.push_back(slot);
  }
  publish_arrived();
}

void MetricsScraper::Source::start_waiting() {
  while (!waiting_.empty() && in_flight_ < kAtOnceMax) {
    Target& target = *targets_[waiting_.front()];
    waiting_.pop_front();
    ++in_flight_;
    target.start(number_);
  }
}

void MetricsScraper::Source::done(Target& target, bool arrived) {
  const TimePoint begin = scraper_.loop_.clock().now();
  --in_flight_;
  if (arrived) arrived_.push_back(target.slot_);
  if (target.round() == number_) --of_this_round_;
  if (of_this_round_ == 0) publish_arrived();
  start_waiting();
  busy_ += scraper_.loop_.clock().now() - begin;
}

void MetricsScraper::Source::publish_arrived() {
  if (arrived_.empty()) return;
  scraper_.publish(arrived_);
  arrived_.clear();
}

MetricsScraper::MetricsScraper(EventLoop& loop, Fleet& fleet, const AddressBook& addresses,
                               ScrapeProbe& probe, const Clock& clock, ScrapePlan plan)
    : loop_(loop),
      fleet_(fleet),
      addresses_(addresses),
      probe_(probe),
      clock_(clock),
      plan_(std::move(plan)) {
  for (const ScrapeSource& source : plan_.sources) {
    sources_.push_back(std::make_unique<Source>(*this, source));
  }
}

MetricsScraper::~MetricsScraper() = default;

ScrapeCounts MetricsScraper::counts(size_t source) const {
  return sources_[source]->counts();
}

EngineMetrics MetricsScraper::merged(uint32_t slot) const {
  EngineMetrics all;
  for (const auto& source : sources_) {
    if (const EnginePage* page = source->page(slot)) fill(all, page->metrics);
  }
  return all;
}

// Over the pages that have it.
std::optional<double> MetricsScraper::mean(EngineGauge gauge) const {
  double sum = 0;
  size_t pages = 0;
  for (const auto& source : sources_) {
    for (uint32_t slot = 0; slot < source->slots(); ++slot) {
      const EnginePage* page = source->page(slot);
      if (page == nullptr || !(page->metrics.*gauge)) continue;
      sum += *(page->metrics.*gauge);
      ++pages;
    }
  }
  return pages > 0 ? std::optional(sum / static_cast<double>(pages)) : std::nullopt;
}

// A number whose value cannot be true is missing. Scorers take a missing one for 0, so that engines
// which never report it count as idle; an engine that reports nonsense would draw all requests. It
// counts as an average one instead.
void MetricsScraper::fill_doubted(std::vector<std::pair<EndpointId, EngineMetrics>>& round) const {
  std::vector<std::pair<EngineGauge, std::optional<double>>> means;
  const auto mean_of = [&](EngineGauge gauge) {
    for (const auto& known : means) {
      if (known.first == gauge) return known.second;
    }
    return means.emplace_back(gauge, mean(gauge)).second;
  };
  for (auto& entry : round) {
    EngineMetrics& metrics = entry.second;
    for (const auto& source : sources_) {
      const EnginePage* page = source->page(index_of(entry.first));
      if (page == nullptr) continue;
      for (const EngineGauge gauge : page->doubted) {
        if (!(metrics.*gauge)) metrics.*gauge = mean_of(gauge);
      }
    }
  }
}

void MetricsScraper::publish(const std::vector<uint32_t>& slots) {
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  std::vector<std::pair<EndpointId, EngineMetrics>> round;
  round.reserve(slots.size());
  for (const uint32_t slot : slots) {
    const bool same = std::any_of(sources_.begin(), sources_.end(), [&](const auto& source) {
      const Target* target = source->target(slot);
      return target != nullptr && target->joined() == fleet->endpoints[slot].joined;
    });
    if (same) round.emplace_back(EndpointId(slot), merged(slot));
  }
  fill_doubted(round);
  fleet_.set_metrics(std::move(round));
}

}  // namespace kvasir
