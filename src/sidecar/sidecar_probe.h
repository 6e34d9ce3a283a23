// What a sidecar tells of its requests, for metrics and logs.
#pragma once

#include <string_view>

#include "base/clock.h"
#include "handoff/two_legs.h"

namespace kvasir {

struct SidecarReport {
  std::string_view request_id;
  std::string_view path;
  int status = 0;                          // as the client saw it; 499: it left before
  bool is_cut = false;                     // the answer had begun and could not be completed
  Duration time{};                         // from the request's last byte to its end
  const HandoffReport* handoff = nullptr;  // null: it went to the decoder as it came
  std::string_view prefiller;              // HOST:PORT whose handoff was used; empty: none
  std::string_view why;                    // of an error that the sidecar itself answered with
};

// Called on the threads of the sidecar.
class SidecarProbe {
 public:
  virtual ~SidecarProbe() = default;
  virtual void on_done(const SidecarReport& report) = 0;
  // Answered here, without a worker.
  virtual void on_refused(int status, std::string_view why) = 0;
};

}  // namespace kvasir
