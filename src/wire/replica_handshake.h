// How a stream between replicas begins, as bytes: protobuf messages of our own.
//
//   message Hello { fixed32 version = 1; fixed64 origin = 2; bytes nonce = 3; }      speaker
//   message Challenge { fixed32 version = 1; bytes nonce = 2; bytes proof = 3; }     listener
//
// What follows is a seal of 32 bytes, then a ReplicaMessage (wire/replica_sync.h). What is proven
// and sealed: replicas/replica_session.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

// 1 had no handshake.
inline constexpr uint32_t kReplicaHandshakeVersion = 2;
inline constexpr size_t kReplicaNonceBytes = 32;
inline constexpr size_t kReplicaHandshakeBytes = 1024;  // of one message; a longer one is refused

struct ReplicaHello {
  uint64_t origin = 0;  // of the process that speaks; never 0
  std::string nonce;
};

struct ReplicaChallenge {
  std::string nonce;
  std::string proof;
};

std::string write_replica_hello(const ReplicaHello& hello);
Result<ReplicaHello> read_replica_hello(std::string_view bytes);
std::string write_replica_challenge(const ReplicaChallenge& challenge);
Result<ReplicaChallenge> read_replica_challenge(std::string_view bytes);

}  // namespace kvasir
