// The heads that the gateway writes: a client's request as it goes to a worker, a worker's answer as it goes
// back. Fields that belong to one connection (RFC 9110 §7.6.1, those that Connection names included) stay behind; all
// others pass in order.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "net/http/http_head.h"

namespace kvasir {

// What a sidecar before the worker is told: who prefills.
struct SidecarFields {
  std::string_view prefiller = {};  // HOST:PORT; empty: it is told nothing
  bool keeps_clients = false;       // what a client says of that; else it stays behind
};

// The client's Host stays, so that a worker's redirects lead back here; `host`, the worker's HOST:PORT, stands in for
// a missing one. `request_id` replaces the client's.
std::string upstream_request_head(const HttpHead& request, size_t body_bytes, std::string_view host,
                                  std::string_view request_id, const SidecarFields& sidecar = {});

struct RelayFields {
  std::string_view request_id;
  std::string_view selected_pod;
  double scheduling_ms = 0;
  uint32_t cache_prefix_tokens = 0;
  bool cache_is_known = false;  // its engine says so; else that is guessed
  // Of a request with two legs, whole lines; a worker's own fields about legs are dropped then.
  std::string_view of_legs = {};
  // What plugins add; a worker's own fields of these names are dropped.
  std::span<const std::pair<std::string, std::string>> of_plugins = {};
};

// The field lines of an answer to be relayed, without those of framing and connection.
std::string relayed_fields(const HttpHead& answer, const RelayFields& added);

// The whole head of an answer whose body is relayed as it is framed.
std::string relayed_head(const HttpHead& answer, const RelayFields& added, bool keep_alive);

}  // namespace kvasir
