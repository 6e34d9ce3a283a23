// The visits of one thread. Private to gateway/.
//
// Lives on its loop's thread.
#pragma once

#include <memory>
#include <unordered_map>

#include "base/executor.h"
#include "gateway/probe.h"

namespace kvasir {

class HttpExchange;
class Visit;

class Visits {
 public:
  // Both must outlive it.
  Visits(Executor& executor, GatewayProbe& probe);
  // Those that are not over end as they are.
  ~Visits();
  Visits(const Visits&) = delete;
  Visits& operator=(const Visits&) = delete;

  // What takes the place of the exchange from now on.
  Visit& begin(HttpExchange& exchange);

  // For the visits.
  TimePoint now() const { return executor_.now(); }
  GatewayProbe& probe() { return probe_; }
  void remove(Visit& visit);

 private:
  Executor& executor_;
  GatewayProbe& probe_;
  std::unordered_map<Visit*, std::unique_ptr<Visit>> visits_;
};

}  // namespace kvasir
