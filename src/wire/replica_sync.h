// What replicas of an endpoint picker tell each other, as bytes: a protobuf message of our own.
//
//   message ReplicaMessage {            message Plugin {
//     fixed32 version = 1;                string name = 1;
//     fixed64 origin = 2;                 repeated Load loads = 2;
//     uint64 sequence = 3;                repeated Binding bindings = 3;
//     repeated string endpoints = 4;    }
//     repeated Plugin plugins = 5;      message Load { uint32 endpoint = 1;
//   }                                       uint64 requests = 2; uint64 tokens = 3; }
//   message Binding { uint32 endpoint = 1; fixed64 session = 2; uint64 age_ms = 3; }
//
// Unknown fields are skipped; a change that old readers would misunderstand gets another version,
// which they refuse. Nothing in a message is trusted: every count and size has a limit below.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

inline constexpr uint32_t kReplicaSyncVersion = 1;

// Beyond any of them a message is refused.
struct ReplicaMessageLimits {
  static constexpr size_t kMessageBytes = 4 * 1024 * 1024;
  static constexpr size_t kEndpoints = 16 * 1024;
  static constexpr size_t kEndpointNameBytes = 256;
  static constexpr size_t kPlugins = 64;
  static constexpr size_t kPluginNameBytes = 256;
  static constexpr size_t kBindings = 16 * 1024;     // of one plugin
  static constexpr uint64_t kRequests = 1'000'000;   // in flight on one endpoint
  static constexpr uint64_t kTokens = 1ull << 40;    // the same
  static constexpr uint64_t kAgeMs = 1'000'000'000;  // of a binding
};

struct ReplicaLoad {
  uint32_t endpoint = 0;  // its place in ReplicaMessage::endpoints, here and below
  uint32_t requests = 0;
  uint64_t tokens = 0;
  bool operator==(const ReplicaLoad&) const = default;
};

struct ReplicaBinding {
  uint32_t endpoint = 0;
  uint64_t session = 0;  // a hash
  uint64_t age_ms = 0;   // since its last use
  bool operator==(const ReplicaBinding&) const = default;
};

struct ReplicaPlugin {
  std::string name;
  // All that the origin has in flight; an endpoint that is not named has nothing. At most one entry
  // for each.
  std::vector<ReplicaLoad> loads = {};
  std::vector<ReplicaBinding> bindings = {};  // some of those it knows
  bool operator==(const ReplicaPlugin&) const = default;
};

struct ReplicaMessage {
  uint64_t origin = 0;    // a random number of the process that speaks; never 0
  uint64_t sequence = 0;  // grows with each message of an origin
  std::vector<std::string> endpoints = {};
  std::vector<ReplicaPlugin> plugins = {};
  bool operator==(const ReplicaMessage&) const = default;
};

std::string write_replica_message(const ReplicaMessage& message);
// Every place named in what it returns lies inside `endpoints`.
Result<ReplicaMessage> read_replica_message(std::string_view bytes);

}  // namespace kvasir
