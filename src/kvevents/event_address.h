// ZeroMQ's addresses of engines, and the topics by which they say who they are.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "model/endpoint.h"

namespace kvasir {

// The address of rank `rank` of `endpoint`, of a pattern as in KvEventAddresses: HOST and PORT are
// replaced, and the rank is added to the port, as vLLM does. The error says what is wrong with the
// address.
Result<std::string> event_address(std::string_view pattern, const Endpoint& endpoint,
                                  uint32_t rank);

// What is wrong with the pattern for every endpoint.
Result<void> check_event_pattern(std::string_view pattern);

// Whether the ports of `ranks` ranks are apart: each adds its number to that of its events and to
// that of its replays. Both patterns were checked.
Result<void> check_rank_ports(std::string_view events, std::string_view replay, uint32_t ranks);

// What is wrong with an address to listen on, as tcp://*:5555, as far as its text says it.
Result<void> check_bind_address(std::string_view address);

// Where the engine of that rank publishes, or answers replays, that was told `address`: by vLLM's
// rule the rank is added to the port of tcp://HOST:PORT, and inproc:// gets the suffix _dpRANK.
// With rank 0 and without a port the address stays as it is; PORT may be *, or 0, then.
Result<std::string> publishing_address(const std::string& address, uint32_t rank);

// kv@POD@MODEL or kv@POD:PORT@MODEL, as llm-d's engines call themselves. Views into the topic.
struct EventTopic {
  std::string_view pod;  // a name or an address, without brackets; of another topic: all of it
  std::optional<uint16_t> port;
  std::string_view model;
  std::string_view name;  // POD or POD:PORT as it stands there
};

EventTopic read_event_topic(std::string_view topic);

}  // namespace kvasir
