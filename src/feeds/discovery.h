// Which endpoints are in the fleet: each source gives full lists, for Fleet::replace_all(); one
// that knows what changed may give only that afterwards, for Fleet::apply().
//
// A source lives on one loop's thread and calls its listener there. What it cannot read keeps the
// old list.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "fleet/fleet.h"
#include "model/endpoint.h"
#include "net/io/socket.h"

namespace kvasir {

class EventLoop;
class Executor;
class Resolver;

class DiscoveryListener {
 public:
  virtual ~DiscoveryListener() = default;
  // The fleet is these from now on. May be called again with the list before.
  virtual void on_endpoints(std::vector<Endpoint> endpoints) = 0;
  // The fleet is the list that was given, with all changes since then, and these.
  virtual void on_endpoint_changes(EndpointChanges changes) = 0;
  // The list could not be had; told once, until it can be had again.
  virtual void on_discovery_failed(std::string_view source, std::string_view why) = 0;
};

class Discovery {
 public:
  virtual ~Discovery() = default;
  // The first list was given, or could not be had. Thread-safe.
  virtual bool settled() const { return true; }
};

// The endpoints of a file as upstream's file-discovery has them (YAML or JSON):
//   endpoints:
//   - name: vllm-0          # NAMESPACE/NAME is the endpoint's name; without a namespace the name
//   alone
//     namespace: default
//     address: 10.0.0.1     # a literal
//     port: 8000            # or "8000"
//     labels: {llm-d.ai/role: decode}
// All or nothing: every problem, one a line, as NAME:LINE: TEXT.
// A file may be as long as `endpoints_most` of them can be, with some twenty labels each.
inline constexpr size_t kEndpointsMost = 1024;
Result<std::vector<Endpoint>> read_endpoints_file(std::string_view text, std::string_view name,
                                                  size_t endpoints_most = kEndpointsMost);

// Looks at the file at every interval and reads it again, on a thread of its own, when it changed.
// The first list is given before this returns; a file that cannot be read then is an error. An
// interval of zero: it is never looked at again.
Result<std::unique_ptr<Discovery>> watch_endpoints_file(EventLoop& loop, const std::string& path,
                                                        Duration interval,
                                                        DiscoveryListener& listener,
                                                        size_t endpoints_most = kEndpointsMost);

// Looks the name up at every interval. A name without addresses is an empty fleet; a look-up that
// failed keeps the old one. `resolver` must outlive it.
std::unique_ptr<Discovery> watch_dns(Executor& executor, Resolver& resolver, const HostPort& name,
                                     Duration interval, DiscoveryListener& listener);

}  // namespace kvasir
