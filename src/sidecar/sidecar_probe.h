// What a sidecar tells of its requests, for metrics and logs.
#pragma once

#include <string_view>

#include "legs/legs_relays.h"

namespace kvasir {

// Called on the threads of the sidecar.
class SidecarProbe {
 public:
  virtual ~SidecarProbe() = default;
  virtual void on_started() = 0;
  virtual void on_leg(LegStage stage) = 0;  // is sent
  virtual void on_connection_failed(LegStage stage, std::string_view why) = 0;
  virtual void on_done(const LegsReport& report) = 0;
  // Answered here, without a worker. Of a request that names none that is allowed (403)
  // on_blocked() comes before.
  virtual void on_refused(int status, std::string_view why) = 0;
  // A request named a worker that is not in the allowlist, or what is no worker's address.
  virtual void on_blocked(std::string_view worker) = 0;
  // New files of the certificate were read; `problem`: they could not be used; empty: they are.
  virtual void on_certificate_read(const std::string& problem) = 0;
};

}  // namespace kvasir
