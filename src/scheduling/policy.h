// A Policy: a named way to route. Among the candidates it names the endpoint that gets the request, and books the
// load there. The built-in ones (src/plugins/*_policy) are whole in themselves; a ConfiguredPolicy is made of the
// filters, scorers and pickers of an EndpointPickerConfig.
#pragma once

#include <optional>
#include <span>
#include <string_view>

#include "base/clock.h"
#include "model/decision.h"
#include "model/request.h"

namespace kvasir {

struct Snapshot;

struct PickContext {
  const Request& request;
  const Snapshot& fleet;
  std::span<const EndpointId> candidates;  // at least one; healthy, not tried before for this request
  TimePoint now{};
};

// The scheduler calls every method under its mutex, so an implementation needs no lock of its own; it must not
// block. pick() books what it needs in the same step; first_token() and ended() release it. For each pick
// ended() is called once; first_token() at most once, before it.
class Policy {
 public:
  virtual ~Policy() = default;

  // nullopt: it refuses every candidate.
  virtual std::optional<Decision> pick(const PickContext& context) = 0;
  virtual void first_token(RequestId request, TimePoint now) = 0;
  virtual void ended(RequestId request, TimePoint now) = 0;

  // The slot belongs to another endpoint from now on: what was learned of the old one is void. Requests that run there
  // still end, each once, so what they booked stays until then.
  virtual void endpoint_replaced(EndpointId endpoint) { static_cast<void>(endpoint); }

  // Bytes of prompt in a block, when the policy wants Request::blocks; 0 when it does not.
  virtual size_t prompt_bytes_per_block() const { return 0; }
};

}  // namespace kvasir
