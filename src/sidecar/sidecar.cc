#include "sidecar/sidecar.h"

#include <utility>

#include "net/http/http_server.h"
#include "net/http/http_status.h"
#include "net/io/flag_address.h"
#include "sidecar/sidecar_thread.h"

namespace kvasir {

// GET /metrics on a port of its own, without the decoder's part. Lives on the first loop.
class Sidecar::MetricsPort final : private HttpHandler {
 public:
  MetricsPort(const Sidecar& sidecar, EventLoop& loop, Descriptor listener)
      : sidecar_(sidecar), server_(loop, std::move(listener), *this) {}
  uint16_t port() const { return server_.port(); }

 private:
  void on_request(HttpExchange& exchange) override {
    const std::string_view method = exchange.head().method();
    if (method != "GET" && method != "HEAD")
      return exchange.respond(405, "Allow: GET, HEAD\r\n", "");
    if (exchange.head().path() == "/health") return exchange.respond(kHttpOk, "", "");
    if (exchange.head().path() != "/metrics") return exchange.respond(kHttpNotFound, "", "");
    exchange.respond(kHttpOk, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
                     sidecar_.metrics_page(""));
  }
  Refusal on_refused(int, std::string_view) override { return {}; }

  const Sidecar& sidecar_;
  HttpServer server_;
};

Result<std::unique_ptr<Sidecar>> Sidecar::create(EventLoop& loop, const SidecarOptions& options,
                                                 SidecarProbe& probe) {
  std::unique_ptr<Sidecar> sidecar(new Sidecar(options, probe));
  Result<SocketAddress> decoder = look_up_first(loop, sidecar->resolver_, options.decoder);
  if (!decoder) return decoder.error();
  sidecar->decoder_ = *decoder;
  if (Result<void> secured = sidecar->secure(loop); !secured) return secured.error();
  for (uint32_t rank = 0; rank < options.data_parallel_size; ++rank) {
    if (Result<void> started = sidecar->start_rank(loop, rank); !started) return started.error();
  }
  if (options.metrics_port == 0) return sidecar;
  Result<Descriptor> listener =
      listen_on_flag("--metrics-port", options.host, options.metrics_port, false);
  if (!listener) return listener.error();
  sidecar->metrics_port_ = std::make_unique<MetricsPort>(*sidecar, loop, std::move(*listener));
  return sidecar;
}

Result<void> Sidecar::secure(EventLoop& loop) {
  const SidecarTlsOptions& tls = options_.tls;
  if (tls.serves) {
    TlsOptions served;
    served.protocol = TlsProtocol::kHttp1;
    const bool self_signed = tls.certificate_folder.empty();
    Result<std::unique_ptr<TlsContext>> context =
        self_signed ? TlsContext::self_signed(served)
                    : TlsContext::from_folder(tls.certificate_folder, served);
    if (!context) return Error{"--cert-path: " + context.error().message};
    tls_ = std::move(*context);
    if (!self_signed) {
      tls_reload_ = std::make_unique<TlsReload>(
          loop, *tls_, kTlsReloadInterval, [this](const Result<bool>& renewed) {
            probe_.on_certificate_read(renewed ? "" : renewed.error().message);
          });
    }
  }
  const auto client = [&tls](bool wanted, bool checks, std::unique_ptr<TlsClientContext>& context) {
    if (!wanted) return Result<void>();
    TlsClientOptions options;
    options.check_server = checks;
    options.ca_file = tls.ca_file;
    Result<std::unique_ptr<TlsClientContext>> created = TlsClientContext::create(options);
    if (!created) return Result<void>(Error{"--tls-ca-file: " + created.error().message});
    context = std::move(*created);
    return Result<void>();
  };
  if (auto made = client(tls.to_prefillers, tls.checks_prefillers, prefiller_tls_); !made) {
    return made;
  }
  return client(tls.to_decoder, tls.checks_decoder, decoder_tls_);
}

Result<void> Sidecar::start_rank(EventLoop& loop, uint32_t rank) {
  const uint16_t port =
      options_.port == 0 ? uint16_t{0} : static_cast<uint16_t>(options_.port + rank);
  auto threads = ServerThreads<SidecarThread>::start(
      loop, {options_.host, port, "--port", options_.threads, options_.drain_timeout},
      [this, rank](EventLoop& own, Descriptor listener, uint32_t index) {
        auto part = std::make_unique<SidecarThread>(*this, own, std::move(listener),
                                                    SidecarThread::Place{rank, index});
        parts_.with([&part](auto& parts) { parts.push_back(part.get()); });
        return part;
      });
  if (!threads) return threads.error();
  ranks_.push_back(std::move(*threads));
  return {};
}

Sidecar::Sidecar(const SidecarOptions& options, SidecarProbe& probe)
    : options_(options), probe_(probe), bodies_(options.bodies_bytes_max) {}

Sidecar::~Sidecar() = default;

uint16_t Sidecar::metrics_port() const {
  return metrics_port_ == nullptr ? 0 : metrics_port_->port();
}

std::string Sidecar::metrics_page(std::string_view engine_page) const {
  if (!options_.metrics_page) return "";
  SidecarState state{engine_page, 0};
  if (options_.allowlist != nullptr) state.allowed = options_.allowlist->size();
  parts_.with([&state](const auto& parts) {
    for (const SidecarThread* part : parts) state.connections += part->connections();
  });
  return options_.metrics_page(state);
}

void Sidecar::drain(std::function<void()> drained) {
  undrained_ = ranks_.size();
  for (const auto& rank : ranks_) {
    rank->drain([this, drained] {
      if (--undrained_ == 0) drained();
    });
  }
}

}  // namespace kvasir
