// What a proxy tells of its requests and workers, for metrics and logs.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "legs/legs_relays.h"
#include "pdproxy/pd_workers.h"

namespace kvasir {

struct PdReport {
  const LegsReport& legs;
  std::string_view method;
  std::string_view leg_id;  // the X-Request-Id of the decode leg, or of the last one that was sent
  bool is_long = false;     // the prompt was too long to be transferred
};

// Called on the threads of the proxy.
class PdProxyProbe {
 public:
  virtual ~PdProxyProbe() = default;
  virtual void on_done(const PdReport& report) = 0;
  // Answered here, without a worker.
  virtual void on_refused(int status, std::string_view why) = 0;
  virtual void on_prefill_ended(const PdWorker& worker, LegsObserver::End end) = 0;
  virtual void on_decoder_failed(const PdWorker& worker) = 0;
  virtual void on_heard(PdWorkers::Heard what, const P2pRegistration& registration) = 0;
  virtual void on_malformed(std::string_view why) = 0;  // a registration
  virtual void on_expired(const PdWorker& worker) = 0;
  // The page of our own metrics. `waiting`: requests that wait for room at the prefill workers.
  virtual std::string page(const PdWorkers& workers, size_t waiting, TimePoint now) = 0;
};

}  // namespace kvasir
