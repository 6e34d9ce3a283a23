// Whether the gateway's subset hint (envoy.lb.subset_hint) lets an endpoint be picked. Pure
// functions.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace kvasir {

enum class SubsetMode : uint8_t {
  kAddress,  // upstream's: the port is cut off, so that every rank of a pod matches
  kPort,     // an entry with a port wants that very port; one without any
  kIgnored,  // upstream's --disable-endpoint-subset-filter: everything matches
};

// `host` is an address without brackets. An entry is "1.2.3.4:80", "[fd00::1]:80", either without
// the port, or several of them with commas between. No entries match nothing.
bool subset_match(std::span<const std::string_view> entries, std::string_view host, uint16_t port,
                  SubsetMode mode);

}  // namespace kvasir
