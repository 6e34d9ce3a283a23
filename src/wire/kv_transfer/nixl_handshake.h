// What a decoder asks a prefiller over the side channel of vLLM's NixlConnector, and what it is
// answered, both in msgpack.
//
// The question is ["get_meta_msg", rank], since late 2025 ["get_meta_msg", pp rank, tp rank]; the
// answer a map of compatibility_hash, 64 hexadecimal digits, and agent_metadata_bytes, which mean
// something to engines of the same hash only. Those of a simulated worker are a map, too, with a
// member that no other engine has.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

struct NixlQuestion {
  uint64_t pipeline_rank = 0, tensor_rank = 0;
};
std::string write_nixl_question(const NixlQuestion& question);
// The error: it is neither form.
Result<NixlQuestion> read_nixl_question(std::string_view message);

// Of a simulated worker: where its blocks are, and what they are like.
struct NixlAgent {
  std::string engine_id;  // another one at each start
  std::string model;
  std::string version;  // of what the workers speak with each other
  uint16_t data_port = 0;
  uint64_t blocks = 0, block_bytes = 0, block_size = 0, layers = 0;
  uint64_t lease_ms = 0;
  // For decoders on the same machine: its memory's name, and which machine that is. Empty: it can
  // be had over TCP only.
  std::string shared_name, machine;

  bool operator==(const NixlAgent&) const = default;
};

struct NixlHandshake {
  std::string compatibility_hash;
  std::optional<NixlAgent> agent;  // nullopt: it is another engine's
};
std::string write_nixl_handshake(const NixlHandshake& handshake);
// The error says what is no handshake. Bytes behind the map are not looked at.
Result<NixlHandshake> read_nixl_handshake(std::string_view message);

}  // namespace kvasir
