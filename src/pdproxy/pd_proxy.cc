#include "pdproxy/pd_proxy.h"

#include <utility>

#include "pdproxy/pd_proxy_thread.h"

namespace kvasir {

Result<std::unique_ptr<PdProxy>> PdProxy::create(EventLoop& loop, const PdProxyOptions& options,
                                                 PdProxyProbe& probe) {
  std::unique_ptr<PdProxy> proxy(new PdProxy(options, probe));
  if (options.registration_port != 0) {
    auto registrations = PdRegistrations::listen(loop, options.host, options.registration_port,
                                                 proxy->workers_, probe);
    if (!registrations) return registrations.error();
    proxy->registrations_ = std::move(*registrations);
  }
  auto threads = ServerThreads<PdProxyThread>::start(
      loop, {options.host, options.port, "--port", options.threads, options.drain_timeout},
      [&proxy = *proxy](EventLoop& own, Descriptor listener, uint32_t) {
        return std::make_unique<PdProxyThread>(proxy, own, std::move(listener));
      });
  if (!threads) return threads.error();
  proxy->threads_ = std::move(*threads);
  return proxy;
}

PdProxy::PdProxy(const PdProxyOptions& options, PdProxyProbe& probe)
    : options_(options),
      probe_(probe),
      workers_(options),
      rooms_(workers_, options_),
      bodies_(options.bodies_bytes_max) {}

PdProxy::~PdProxy() = default;

uint16_t PdProxy::registration_port() const {
  return registrations_ == nullptr ? uint16_t{0} : registrations_->port();
}

void PdProxy::drain(std::function<void()> drained) {
  threads_->drain(std::move(drained));
}

}  // namespace kvasir
