// What a worker with vLLM's P2pNcclConnector tells its proxy every 3 seconds over ZeroMQ: a msgpack
// map
//
//   {"type": "P" or "D", "http_address": "HOST:PORT", "zmq_address": "HOST:PORT"}
//
// Members that are not known are skipped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

enum class P2pRole : uint8_t { kPrefill, kDecode };

struct P2pRegistration {
  P2pRole role = P2pRole::kPrefill;
  std::string http_address;  // where requests go
  std::string zmq_address;   // as it stands in request ids
  bool operator==(const P2pRegistration&) const = default;
};

inline constexpr size_t kP2pAddressBytesMax = 262;  // a name of 253 bytes, brackets, colon and port
inline constexpr size_t kP2pRegistrationBytesMax = 4096;

// An error says what is wrong with it. Addresses are bounded in size, and not looked at further.
Result<P2pRegistration> read_p2p_registration(std::string_view message);
std::string write_p2p_registration(const P2pRegistration& registration);

}  // namespace kvasir
