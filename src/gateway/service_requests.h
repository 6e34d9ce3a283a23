// Requests of routes to Services, on one thread: whom of the members each goes to, how often it is
// tried, and who is told what became of it. Private to gateway/.
//
// Lives on its loop's thread.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "gateway/retry_budget.h"
#include "gateway/service_attempts.h"
#include "legs/legs_relays.h"
#include "legs/worker_clients.h"
#include "routes/route_rule.h"

namespace kvasir {

class GatewayThread;
class HttpExchange;

class ServiceRequests {
 public:
  // `thread` outlives it.
  explicit ServiceRequests(GatewayThread& thread);
  ~ServiceRequests();
  ServiceRequests(const ServiceRequests&) = delete;
  ServiceRequests& operator=(const ServiceRequests&) = delete;

  // `members`: of the target; at least one.
  void send(HttpExchange& exchange, std::shared_ptr<const RouteRule> rule,
            const RouteTarget& target, const std::vector<HostPort>& members);
  // A copy, whose answer nobody reads.
  void send_mirror(HttpExchange& exchange, const RouteRule& rule,
                   const std::vector<HostPort>& members);

 private:
  // In the order in which they are asked: the one whose turn it is first.
  std::vector<HostPort> in_turn(const std::vector<HostPort>& members, size_t most);
  LegsRoute route_of(const RouteRule& rule, std::string request_id) const;
  void send_attempt(ServiceAttempts& attempts, const HostPort& member,
                    std::shared_ptr<AttemptOutcome> outcome);

  GatewayThread& thread_;
  WorkerClients clients_;
  LegsRelays relays_;
  RetryBudget budget_;
  const AttemptsHost host_;
  std::unordered_map<const ServiceAttempts*, std::unique_ptr<ServiceAttempts>> attempts_;
  uint64_t turns_ = 0;  // among the members of a Service
};

}  // namespace kvasir
