#include "epp/epp.h"

#include <utility>

#include "epp/epp_thread.h"
#include "net/io/event_loop.h"
#include "net/io/flag_address.h"
#include "replicas/replicas.h"

namespace kvasir {
namespace {

// Services of the health check, as upstream's picker names them.
constexpr std::string_view kLiveness = "liveness";
constexpr std::string_view kReadiness = "readiness";
constexpr std::string_view kExtProc = "envoy.service.ext_proc.v3.ExternalProcessor";

}  // namespace

// GET /metrics, and health for whoever asks by HTTP.
class Epp::MetricsPage final : public HttpHandler {
 public:
  MetricsPage(const Epp& epp, std::function<std::string()> page)
      : epp_(epp), page_(std::move(page)) {}

  void on_request(HttpExchange& exchange) override {
    const std::string_view path = exchange.head().path();
    if (path == "/metrics") return show(exchange);
    constexpr std::string_view kText = "Content-Type: text/plain\r\n";
    if (path == "/healthz") return exchange.respond(200, kText, "ok\n");
    if (path == "/readyz") {
      const bool ready = epp_.ready();
      return exchange.respond(ready ? 200 : 503, kText, ready ? "ok\n" : epp_.unready_because());
    }
    exchange.respond(404, "Content-Type: text/plain\r\n",
                     "there is /metrics, /healthz and /readyz\n");
  }
  Refusal on_refused(int, std::string_view reason) override {
    return {"Content-Type: text/plain\r\n", std::string(reason) + "\n"};
  }

 private:
  // Waits for the word on whether its page may be read.
  struct Reader final : HttpExchange::Observer {
    explicit Reader(HttpExchange& asked) : exchange(&asked) {}
    void on_client_gone() override { exchange = nullptr; }
    HttpExchange* exchange;  // null: it left
  };

  void show(HttpExchange& exchange) {
    const auto& authorize = epp_.options().authorize_metrics;
    if (!authorize) return answer(exchange, 200);
    const auto reader = std::make_shared<Reader>(exchange);
    exchange.set_observer(reader.get());
    authorize(exchange.head().find("authorization").value_or(""), [this, reader](int status) {
      if (reader->exchange == nullptr) return;
      reader->exchange->set_observer(nullptr);
      answer(*reader->exchange, status);
    });
  }
  void answer(HttpExchange& exchange, int status) {
    if (status == 200) {
      return exchange.respond(200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
                              page_());
    }
    std::string fields = "Content-Type: text/plain\r\n";
    if (status == 401) fields += "WWW-Authenticate: Bearer\r\n";
    exchange.respond(status, fields,
                     status == 401   ? "a bearer token that the cluster knows is needed\n"
                     : status == 403 ? "this account may not get /metrics\n"
                                     : "the API server cannot say who may read this\n");
  }

  const Epp& epp_;
  const std::function<std::string()> page_;
};

Result<std::unique_ptr<Epp>> Epp::create(EventLoop& loop, const EppOptions& options,
                                         EppProbe& probe,
                                         std::function<std::string()> metrics_page) {
  std::unique_ptr<Epp> epp(new Epp(loop, options, probe));
  if (Result<void> started = epp->start(std::move(metrics_page)); !started) return started.error();
  return epp;
}

Epp::Epp(EventLoop& loop, const EppOptions& options, EppProbe& probe)
    : loop_(loop),
      options_(options),
      probe_(probe),
      bodies_(options.bodies_bytes_max),
      health_service_([this](std::string_view service) { return health(service); }) {}

Epp::~Epp() = default;

Result<void> Epp::start(std::function<std::string()> metrics_page) {
  PoolOptions options = options_.pool;
  options.journey.trace = true;
  // As upstream, unless endpoints that fail are left out.
  if (!options.feeds.eject_outliers) {
    options.journey.failure_pause = options.journey.fault_pause = {};
  }
  Result<std::unique_ptr<Pool>> pool = Pool::open(loop_, std::move(options), probe_);
  if (!pool) return pool.error();
  pool_ = std::move(*pool);
  if (Result<void> fed = pool_->feed(loop_); !fed) return fed.error();
  if (shares(options_.replicas)) {
    replicas_ = std::make_unique<Replicas>(loop_, pool_->resolver(), pool_->fleet(),
                                           pool_->scheduler(), loop_.clock(), probe_,
                                           options_.replicas);
  }
  if (Result<void> secured = secure(); !secured) return secured.error();
  if (Result<void> serving = serve_health(); !serving) return serving.error();
  if (Result<void> serving = serve_metrics(std::move(metrics_page)); !serving) {
    return serving.error();
  }
  return serve_streams();
}

Result<void> Epp::secure() {
  if (!options_.secure) return {};
  Result<std::unique_ptr<TlsContext>> context =
      options_.certificate_path.empty()
          ? TlsContext::self_signed(options_.tls)
          : TlsContext::from_folder(options_.certificate_path, options_.tls);
  if (!context) return Error{"--cert-path: " + context.error().message};
  tls_ = std::move(*context);
  if (!options_.certificate_reload || options_.certificate_path.empty()) return {};
  tls_reload_ = std::make_unique<TlsReload>(
      loop_, *tls_, kTlsReloadInterval, [this](const Result<bool>& renewed) {
        probe_.on_certificate_read(renewed ? "" : renewed.error().message);
      });
  return {};
}

// Plain, whatever the ext_proc port speaks: Kubernetes' gRPC probes know no TLS.
Result<void> Epp::serve_health() {
  Result<Descriptor> port =
      listen_on_flag("--grpc-health-port", options_.host, options_.health_port, false);
  if (!port) return port.error();
  health_server_ = std::make_unique<GrpcServer>(loop_, std::move(*port), health_service_.routes(),
                                                GrpcServerLimits{});
  return {};
}

Result<void> Epp::serve_metrics(std::function<std::string()> page) {
  Result<Descriptor> port =
      listen_on_flag("--metrics-port", options_.host, options_.metrics_port, false);
  if (!port) return port.error();
  metrics_page_ = std::make_unique<MetricsPage>(*this, std::move(page));
  metrics_server_ = std::make_unique<HttpServer>(loop_, std::move(*port), *metrics_page_);
  return {};
}

Result<void> Epp::serve_streams() {
  auto threads = ServerThreads<EppThread>::start(
      loop_,
      {options_.host, options_.grpc_port, "--grpc-port", options_.threads, options_.drain_timeout},
      [this](EventLoop& loop, Descriptor listener, uint32_t index) {
        return std::make_unique<EppThread>(*this, loop, std::move(listener), index);
      });
  if (!threads) return threads.error();
  threads_ = std::move(*threads);
  return {};
}

GrpcService& Epp::service() {
  return threads_->first();
}

// Liveness is nobody's business but this process's: whoever is told that it is not alive restarts
// it, which mends neither a missing pool nor a lost election. Other names are told apart under
// leader election only, as by upstream's picker.
GrpcHealth Epp::health(std::string_view service) const {
  if (service == kLiveness) return GrpcHealth::kServing;
  const bool known = service.empty() || service == kReadiness || service == kExtProc;
  if (options_.leads && !known) return GrpcHealth::kServiceUnknown;
  return ready() ? GrpcHealth::kServing : GrpcHealth::kNotServing;
}

bool Epp::ready() const {
  return unready_because().empty();
}

std::string_view Epp::unready_because() const {
  if (draining_) return "stopping\n";
  if (options_.leads && !options_.leads()) return "another replica leads\n";
  if (!pool_->feeds()->settled()) return "the endpoints are not known yet\n";
  return {};
}

void Epp::drain(std::function<void()> drained) {
  draining_ = true;
  drained_ = std::move(drained);
  if (options_.drain_delay == Duration::zero()) return stop_taking();
  loop_.after(options_.drain_delay, lifeline_.guard([this] { stop_taking(); }));
}

void Epp::stop_taking() {
  pool_->drain();
  threads_->drain(std::move(drained_));
}

}  // namespace kvasir
