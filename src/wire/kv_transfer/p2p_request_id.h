// The request id by which vLLM's P2pNcclConnector finds the two workers of a request, and the form
// without ports that the tutorial's filesystem proxy uses for its logs.
//
//   ___prefill_addr_HOST:PORT___decode_addr_HOST:PORT_UUID
//
// Sent as X-Request-Id to both workers; an engine puts "cmpl-" or "chatcmpl-" before it and a
// suffix behind it. HOST:PORT is where the worker's ZeroMQ socket listens. The prefiller reads the
// second address, the decoder the first, by the patterns `___decode_addr_(.*):(\d+)` and
// `___prefill_addr_(.*):(\d+)___`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

struct P2pAddress {
  std::string host;
  uint16_t port = 0;
  bool operator==(const P2pAddress&) const = default;
};

// `prefill`, `decode`: HOST:PORT, or names without a port. `unique`: 32 hexadecimal digits.
std::string p2p_request_id(std::string_view prefill, std::string_view decode,
                           std::string_view unique);

// A longer id names nobody.
inline constexpr size_t kP2pRequestIdBytesMax = 2048;

// What the engines' patterns find in an id, or in what an engine made of it. nullopt: nothing, as
// in ids of names without ports.
std::optional<P2pAddress> p2p_prefill_address(std::string_view id);
std::optional<P2pAddress> p2p_decode_address(std::string_view id);

// What stands between the marks, with or without a port; for logs and reports. nullopt: it is no
// id of this form.
struct P2pPair {
  std::string_view prefill, decode, unique;
};
std::optional<P2pPair> p2p_pair(std::string_view id);

// The part of an id that both workers see alike, whatever their engines put before and behind it:
// up to the end of its UUID, with dashes or without, or of the letters and digits in a UUID's
// place.
std::optional<std::string_view> p2p_request_key(std::string_view id);

}  // namespace kvasir
