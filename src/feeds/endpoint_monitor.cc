#include "feeds/endpoint_monitor.h"

#include <utility>

#include "feeds/engine_metrics.h"
#include "fleet/fleet.h"
#include "net/event_loop.h"

namespace kvasir {
namespace {

// A metrics page of vLLM is about 60 kB; a longer one is not read to its end.
constexpr size_t kMetricsPageBytesMax = 4 * 1024 * 1024;

HttpClientLimits limits_of(const MonitorOptions& options) {
  HttpClientLimits limits;
  limits.connect_timeout = limits.first_byte_timeout = limits.idle_timeout = options.timeout;
  limits.idle_connections = 1;
  return limits;
}

}  // namespace

// One endpoint: a check is under way, or a timer runs towards the next.
class EndpointMonitor::Watched final : private HttpCallObserver {
 public:
  Watched(EndpointMonitor& monitor, EndpointId id, const EndpointState& state,
          const SocketAddress& address)
      : monitor_(monitor),
        id_(id),
        endpoint_(*state.endpoint),
        joined_(state.joined),
        client_(monitor.loop_, address, limits_of(monitor.options_)) {
    const std::string rest =
        " HTTP/1.1\r\nHost: " + to_string(HostPort{endpoint_.host, endpoint_.port}) + "\r\n\r\n";
    health_request_ = "GET /health" + rest;
    metrics_request_ = "GET /metrics" + rest;
    ++monitor.unasked_;
    check();
  }
  ~Watched() override {
    monitor_.loop_.cancel(timer_);
    if (!asked_) --monitor_.unasked_;
    if (healthy_) monitor_.probe_.on_health_changed(endpoint_, false);
  }

  uint64_t joined() const { return joined_; }
  void forget_health() { healthy_ = false; }

  void count_failure() {
    successes_ = 0;
    if (++failures_ >= monitor_.options_.unhealthy_threshold) set_healthy(false);
  }

 private:
  void check() {
    timer_ = kNoTimer;
    reading_metrics_ = false;
    client_.start(health_request_, {}, *this);
  }

  void read_metrics() {
    reading_metrics_ = true;
    page_.clear();
    client_.start(metrics_request_, {}, *this);
  }

  void on_head(const HttpHead& head) override { status_ = head.status(); }
  void on_body(std::string_view bytes) override {
    if (reading_metrics_ && page_.size() < kMetricsPageBytesMax) page_.append(bytes);
  }
  void on_end() override {
    if (reading_metrics_) {
      take_page();
      count_success();
    } else if (status_ != 200) {
      count_failure();
    } else if (!healthy_) {
      return read_metrics();  // the capacity is known before the first request is routed
    } else {
      count_success();
    }
    schedule_next();
  }
  void on_failure(const HttpFailure&) override {
    // A worker without /metrics is healthy all the same.
    reading_metrics_ ? count_success() : count_failure();
    schedule_next();
  }

  void take_page() {
    const EnginePage page = read_engine_page(page_, *find_engine_metric_specs("vllm"));
    if (page.kv_capacity_tokens) monitor_.fleet_.set_kv_capacity(id_, *page.kv_capacity_tokens);
    page_.clear();
  }

  void count_success() {
    failures_ = 0;
    if (++successes_ >= monitor_.options_.healthy_threshold) set_healthy(true);
  }

  void set_healthy(bool healthy) {
    if (healthy == healthy_) return;
    healthy_ = healthy;
    was_healthy_ = was_healthy_ || healthy;
    monitor_.fleet_.set_healthy(id_, healthy);
    monitor_.probe_.on_health_changed(endpoint_, healthy);
  }

  void schedule_next() {
    if (!std::exchange(asked_, true)) --monitor_.unasked_;
    const MonitorOptions& options = monitor_.options_;
    timer_ = monitor_.loop_.after(was_healthy_ ? options.interval : options.first_interval,
                                  [this] { check(); });
  }

  EndpointMonitor& monitor_;
  const EndpointId id_;
  const Endpoint endpoint_;
  const uint64_t joined_;
  HttpClient client_;
  std::string health_request_;
  std::string metrics_request_;
  std::string page_;
  TimerId timer_ = kNoTimer;
  int status_ = 0;
  bool asked_ = false;  // and answered, or not in time
  bool reading_metrics_ = false;
  bool healthy_ = false;
  bool was_healthy_ = false;
  uint32_t successes_ = 0;
  uint32_t failures_ = 0;
};

EndpointMonitor::EndpointMonitor(EventLoop& loop, Fleet& fleet, const AddressBook& addresses,
                                 MonitorProbe& probe, MonitorOptions options)
    : loop_(loop),
      fleet_(fleet),
      addresses_(addresses),
      probe_(probe),
      options_(options),
      watched_(fleet.size()) {
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

void EndpointMonitor::report_failure(EndpointId endpoint) {
  loop_.post([this, endpoint] {
    Watched* watched = watched_[index_of(endpoint)].get();
    if (watched != nullptr) watched->count_failure();
  });
}

}  // namespace kvasir
