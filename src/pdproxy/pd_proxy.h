// The proxy before prefill and decode workers as a whole, as the tutorial's vllm-fs-proxy and
// vllm-p2p-proxy: it chooses the pair, names it in the request id, has the prompt prefilled by the
// one and the answer decoded by the other. One PdProxyThread for each thread.
#pragma once

#include <functional>
#include <memory>

#include "base/result.h"
#include "net/http/body_budget.h"
#include "net/io/system_resolver.h"
#include "pdproxy/pd_proxy_options.h"
#include "pdproxy/pd_proxy_probe.h"
#include "pdproxy/pd_registrations.h"
#include "pdproxy/pd_workers.h"
#include "pdproxy/prefill_rooms.h"
#include "serving/server_threads.h"

namespace kvasir {

class PdProxyThread;

class PdProxy {
 public:
  // Binds the ports. `loop` is the calling thread's and runs the first thread's connections. All
  // must outlive the proxy.
  static Result<std::unique_ptr<PdProxy>> create(EventLoop& loop, const PdProxyOptions& options,
                                                 PdProxyProbe& probe);
  ~PdProxy();

  uint16_t port() const { return threads_->port(); }
  uint16_t registration_port() const;  // 0: workers do not register
  // Takes no more connections and lets running requests end, for drain_timeout at most; then calls
  // `drained` on the loop's thread.
  void drain(std::function<void()> drained);

  // For its threads.
  const PdProxyOptions& options() const { return options_; }
  PdProxyProbe& probe() { return probe_; }
  PdWorkers& workers() { return workers_; }
  PrefillRooms& rooms() { return rooms_; }
  Resolver& resolver() { return resolver_; }
  BodyBudget& bodies() { return bodies_; }

 private:
  PdProxy(const PdProxyOptions& options, PdProxyProbe& probe);

  const PdProxyOptions options_;
  PdProxyProbe& probe_;
  PdWorkers workers_;
  PrefillRooms rooms_;
  SystemResolver resolver_;
  BodyBudget bodies_;
  std::unique_ptr<PdRegistrations> registrations_;
  std::unique_ptr<ServerThreads<PdProxyThread>> threads_;
};

}  // namespace kvasir
