#include "feeds/endpoint_monitor.h"

#include <algorithm>
#include <utility>

#include "feeds/engine_metrics.h"
#include "fleet/fleet.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// A metrics page of vLLM is about 60 kB; a longer one is not read to its end.
constexpr size_t kMetricsPageBytesMax = 4 * 1024 * 1024;

HttpClientLimits limits_of(const MonitorOptions& options) {
  HttpClientLimits limits;
  const Duration longest = options.rules.lateness_max * options.rules.timeout;
  limits.connect_timeout = limits.first_byte_timeout = limits.idle_timeout = longest;
  limits.idle_connections = 1;
  return limits;
}

constexpr bool is_good(int status) {
  return status >= 200 && status < 300;
}

}  // namespace

const std::string& MonitorOptions::path_of(const Endpoint& endpoint) const {
  const std::string* engine = engine_of(endpoint, engine_label);
  const auto found = engine != nullptr ? engine_paths.find(*engine) : engine_paths.end();
  return found != engine_paths.end() ? found->second : path;
}

// One endpoint: a check is under way, or a timer runs towards the next.
class EndpointMonitor::Watched final : private HttpCallObserver {
 public:
  Watched(EndpointMonitor& monitor, EndpointId id, const EndpointState& state,
          const SocketAddress& address)
      : monitor_(monitor),
        id_(id),
        endpoint_(*state.endpoint),
        joined_(state.joined),
        path_(monitor.options_.path_of(endpoint_)),
        health_(monitor.options_.rules),
        client_(monitor.loop_, address, limits_of(monitor.options_)) {
    const std::string rest =
        " HTTP/1.1\r\nHost: " + to_string(HostPort{endpoint_.host, endpoint_.port}) + "\r\n\r\n";
    health_request_ = "GET " + path_ + rest;
    metrics_request_ = "GET /metrics" + rest;
    ++monitor.unasked_;
    news().served = false;
    news().is_down = true;
    check();
  }
  ~Watched() override {
    monitor_.loop_.cancel(timer_);
    if (!asked_) --monitor_.unasked_;
    if (shown_healthy_) monitor_.probe_.on_unwatched(endpoint_);
  }

  uint64_t joined() const { return joined_; }
  void forget_health() { shown_healthy_ = false; }

  void request_served() {
    health_.request_served();
    show_health();
  }
  void connect_failed() {
    health_.connect_failed();
    show_health();
    check_soon();
  }
  void connection_closed() {
    health_.connection_closed();
    check_soon();
  }

 private:
  News& news() { return monitor_.news_[index_of(id_)]; }

  void check() {
    news().served = false;
    late_ = reading_metrics_ = false;
    began_ = last_check_ = monitor_.loop_.now();
    call_ = &client_.start(health_request_, {}, *this);
    asked_ ? wait_for_answer() : look_soon();
  }

  // An endpoint that is slow from the beginning may be tried before it is late.
  void look_soon() {
    timer_ = monitor_.loop_.after(monitor_.options_.first_interval, [this] {
      set_reachable(call_->connected());
      wait_for_answer();
    });
  }

  // For a request had trouble. A check that is under way may have been answered before that.
  void check_soon() {
    if (call_ != nullptr) {
      again_ = true;
      return;
    }
    if (!health_.suspected()) return;
    const Duration pause = last_check_ + monitor_.options_.first_interval - monitor_.loop_.now();
    check_after(std::max(pause, Duration::zero()));
  }

  void check_after(Duration pause) {
    monitor_.loop_.cancel(timer_);
    timer_ = monitor_.loop_.after(pause, [this] { check(); });
  }

  void wait_for_answer() {
    timer_ = monitor_.loop_.after(health_.patience(), [this] { on_late(); });
  }

  // The answer is waited for nevertheless: it would show that the endpoint lives.
  void on_late() {
    note_unanswered(call_->connected(), "no answer in time");
    late_ = true;
    wait_for_answer();
  }

  void read_metrics() {
    reading_metrics_ = true;
    page_.clear();
    call_ = &client_.start(metrics_request_, {}, *this);
    monitor_.loop_.cancel(timer_);
    timer_ = monitor_.loop_.after(monitor_.options_.rules.timeout, [this] {
      std::exchange(call_, nullptr)->cancel();
      note_passed();
    });
  }

  void on_head(const HttpHead& head) override { status_ = head.status(); }
  void on_body(std::string_view bytes) override {
    if (reading_metrics_ && page_.size() < kMetricsPageBytesMax) page_.append(bytes);
  }
  void on_end() override {
    call_ = nullptr;
    if (reading_metrics_) {
      take_page();
      return note_passed();
    }
    took_ = monitor_.loop_.now() - began_;
    set_reachable(true);
    if (!is_good(status_)) return note_says_unhealthy();
    // The capacity is known before the first request is routed.
    if (!shown_healthy_) return read_metrics();
    note_passed();
  }
  void on_failure(const HttpFailure& failure) override {
    call_ = nullptr;
    // A worker without /metrics is healthy all the same.
    if (reading_metrics_) return note_passed();
    const bool reachable = failure.kind != HttpFailure::Kind::kConnect;
    // That it is late was counted already.
    if (!late_) note_unanswered(reachable, failure.message);
    set_reachable(reachable);
    check_next();
  }

  void take_page() {
    const std::string* engine = engine_of(endpoint_, monitor_.options_.engine_label);
    const EngineMetricSpecs* specs =
        engine != nullptr ? find_engine_metric_specs(*engine) : nullptr;
    const EnginePage page = specs != nullptr ? read_engine_page(page_, *specs)
                                             : read_engine_page(page_, every_engine_page());
    if (page.kv_capacity_tokens) monitor_.fleet_.set_kv_capacity(id_, *page.kv_capacity_tokens);
    if (!page.refused_capacity.empty()) {
      monitor_.probe_.on_page_problem(endpoint_, PageProblem::kRefused, page.refused_capacity);
    }
    page_.clear();
  }

  void note_passed() {
    failing_ = false;
    health_.check_passed(took_);
    show_health();
    check_next();
  }
  void note_says_unhealthy() {
    note_failing("status " + std::to_string(status_));
    health_.check_says_unhealthy();
    show_health();
    tell_if_down();
    check_next();
  }
  void note_unanswered(bool reachable, std::string_view why) {
    const bool served = news().served.exchange(false);
    set_reachable(reachable);
    if (!served) note_failing(why);
    health_.check_unanswered(served);
    note_asked();
    show_health();
    tell_if_down();
  }
  void note_failing(std::string_view why) {
    if (!std::exchange(failing_, true)) monitor_.probe_.on_check_failed(endpoint_, path_, why);
  }
  void note_asked() {
    if (!std::exchange(asked_, true)) --monitor_.unasked_;
  }

  void set_reachable(bool reachable) {
    if (monitor_.options_.try_unhealthy) monitor_.fleet_.set_reachable(id_, reachable);
  }

  void show_health() {
    if (health_.healthy() == shown_healthy_) return;
    shown_healthy_ = health_.healthy();
    news().is_down = !shown_healthy_;
    monitor_.fleet_.set_healthy(id_, shown_healthy_);
    monitor_.probe_.on_health_changed(endpoint_, shown_healthy_);
  }
  void tell_if_down() {
    if (!shown_healthy_ && health_.was_healthy() && monitor_.still_down_) monitor_.still_down_(id_);
  }

  void check_next() {
    note_asked();
    const MonitorOptions& options = monitor_.options_;
    const bool soon = !health_.was_healthy() || health_.suspected() || again_;
    again_ = false;
    check_after(soon ? std::min(options.first_interval, options.interval) : options.interval);
  }

  EndpointMonitor& monitor_;
  const EndpointId id_;
  const Endpoint endpoint_;
  const uint64_t joined_;
  const std::string path_;
  EndpointHealth health_;
  HttpClient client_;
  std::string health_request_;
  std::string metrics_request_;
  std::string page_;
  HttpCall* call_ = nullptr;  // null: no check is under way
  TimerId timer_ = kNoTimer;  // to the next check, or to when this one is late (again)
  TimePoint began_{};
  TimePoint last_check_ = TimePoint::min();
  Duration took_{};
  int status_ = 0;
  bool asked_ = false;  // and answered, or not in time
  bool again_ = false;  // check soon after this one
  bool reading_metrics_ = false;
  bool late_ = false;
  bool failing_ = false;
  bool shown_healthy_ = false;  // what the fleet knows
};

EndpointMonitor::EndpointMonitor(EventLoop& loop, Fleet& fleet, const AddressBook& addresses,
                                 MonitorProbe& probe, MonitorOptions options,
                                 std::function<void(EndpointId)> still_down)
    : loop_(loop),
      fleet_(fleet),
      addresses_(addresses),
      probe_(probe),
      options_(std::move(options)),
      still_down_(std::move(still_down)),
      news_(fleet.size()),
      watched_(fleet.size()),
      tell_(lifeline_.posting(loop, [this](EndpointId endpoint, void (Watched::*news)()) {
        Watched* watched = watched_[index_of(endpoint)].get();
        if (watched != nullptr) (watched->*news)();
      })) {
  follow_fleet();
}

// A gateway that shuts down makes no endpoint unhealthy.
EndpointMonitor::~EndpointMonitor() {
  for (auto& watched : watched_) {
    if (watched != nullptr) watched->forget_health();
  }
}

void EndpointMonitor::follow_fleet() {
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  for (uint32_t slot = 0; slot < watched_.size(); ++slot) {
    const EndpointState& state = fleet->endpoints[slot];
    std::unique_ptr<Watched>& watched = watched_[slot];
    if (watched != nullptr && state.present && watched->joined() == state.joined) continue;
    watched.reset();
    if (!state.present) continue;
    const auto address = addresses_.find(state.endpoint->host, state.endpoint->port);
    if (address) watched = std::make_unique<Watched>(*this, EndpointId(slot), state, *address);
  }
}

void EndpointMonitor::report_served(EndpointId endpoint) {
  News& news = news_[index_of(endpoint)];
  if (!news.served.load(std::memory_order_relaxed)) news.served = true;
  if (news.is_down.load(std::memory_order_relaxed)) tell_(endpoint, &Watched::request_served);
}

void EndpointMonitor::report_connect_failure(EndpointId endpoint) {
  tell_(endpoint, &Watched::connect_failed);
}

void EndpointMonitor::report_closed(EndpointId endpoint) {
  tell_(endpoint, &Watched::connection_closed);
}

}  // namespace kvasir
