// The routing sidecar as a whole: it stands beside a decode worker, has a request's prompt
// prefilled where the picker says, and gives everything else to its worker as it comes. One
// SidecarThread for each thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"
#include "net/http/body_budget.h"
#include "net/io/system_resolver.h"
#include "net/io/tls_context.h"
#include "net/io/tls_reload.h"
#include "serving/server_threads.h"
#include "sidecar/sidecar_options.h"
#include "sidecar/sidecar_probe.h"

namespace kvasir {

class SidecarThread;

class Sidecar {
 public:
  // Binds the port and looks the decoder's name up. `loop` is the calling thread's and runs the
  // first thread's connections. All must outlive the sidecar.
  static Result<std::unique_ptr<Sidecar>> create(EventLoop& loop, const SidecarOptions& options,
                                                 SidecarProbe& probe);
  ~Sidecar();

  uint16_t port() const { return ranks_.front()->port(); }
  uint16_t metrics_port() const;  // 0: there is none
  // Takes no more connections and lets running requests end, for drain_timeout at most; then calls
  // `drained` on the loop's thread.
  void drain(std::function<void()> drained);

  // For its threads.
  const SidecarOptions& options() const { return options_; }
  SidecarProbe& probe() { return probe_; }
  Resolver& resolver() { return resolver_; }
  BodyBudget& bodies() { return bodies_; }
  SocketAddress decoder(uint32_t rank) const {
    return with_port(decoder_, static_cast<uint16_t>(options_.decoder.port + rank));
  }
  // Null: plain.
  const TlsContext* tls() const { return tls_.get(); }
  const TlsClientContext* prefiller_tls() const { return prefiller_tls_.get(); }
  TlsPeer decoder_tls() const { return {decoder_tls_.get(), options_.decoder.host}; }
  // Our metrics, behind the decoder's. Any thread.
  std::string metrics_page(std::string_view engine_page) const;

 private:
  class MetricsPort;

  Sidecar(const SidecarOptions& options, SidecarProbe& probe);
  Result<void> secure(EventLoop& loop);
  Result<void> start_rank(EventLoop& loop, uint32_t rank);

  const SidecarOptions options_;
  SidecarProbe& probe_;
  SystemResolver resolver_;
  BodyBudget bodies_;
  SocketAddress decoder_;
  std::unique_ptr<TlsContext> tls_;
  std::unique_ptr<TlsReload> tls_reload_;
  std::unique_ptr<TlsClientContext> prefiller_tls_, decoder_tls_;
  Guarded<std::vector<const SidecarThread*>> parts_;  // of all ranks
  size_t undrained_ = 0;
  std::vector<std::unique_ptr<ServerThreads<SidecarThread>>> ranks_;
  std::unique_ptr<MetricsPort> metrics_port_;
};

}  // namespace kvasir
