// What a request finds out about the endpoints that it is sent to, one after another, and who is
// told: the health checks, the outlier ejection, and the scheduler, which avoids for a moment
// whoever failed. Lives on the request's thread.
#pragma once

#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"

namespace kvasir {

class Pool;

class EndpointConduct {
 public:
  // `pool` must outlive it.
  explicit EndpointConduct(Pool& pool) : pool_(pool) {}

  // All below is about this endpoint until the next call.
  void sent_to(EndpointId endpoint) { endpoint_ = endpoint; }

  // It answered well.
  void good();
  // It took the request for one too many: no fault of its.
  void full();
  // It failed, and by its own fault.
  void faulty();
  // It failed, or the request did: the next endpoint's answer tells.
  void blame();
  // It answered badly, and the client gets that. Several who did: the fault is the request's.
  void bad();
  // The client gets an answer that is not bad: whoever was blamed failed what others can do.
  void answered();
  // Nobody answers. Several who were blamed: the fault is the request's. One alone: it is its own.
  void unanswered();

  // It takes no connections; it closed one on the request.
  void not_connected();
  void closed();

 private:
  void faulty(EndpointId endpoint);
  void avoid(EndpointId endpoint, Duration pause);

  Pool& pool_;
  EndpointId endpoint_{};
  std::vector<EndpointId> blamed_;  // nobody has answered yet what they failed
};

}  // namespace kvasir
