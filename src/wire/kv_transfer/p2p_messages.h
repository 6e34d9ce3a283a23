// The control messages of vLLM's P2pNcclConnector, between two workers and from a worker to the
// proxy that pairs them: one msgpack map each, over ZeroMQ (DEALER to ROUTER).
//
//   {"cmd": "NEW", "unique_id": bytes}                       a connection for data
//   {"cmd": "PUT", "tensor_id", "shape", "dtype"}            answered by 0 (send it) or 1 (no room)
//   {"cmd": "GET", "tensor_id"}                              answered by {"ret": 0} (it comes) or
//   {"ret": 1}
//
// Where vLLM goes on over NCCL, which needs cards, these workers go on over TCP. What that takes
// are further members, and a NEW is answered ({"ret": 0, "port", "token"}). DROP, which is ours,
// ends what GET began, or what is yet to be offered: nobody wants more of it. A PUT of such is
// answered by 2, which is no failure. Workers that speak NCCL know none of them, and are refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

inline constexpr size_t kP2pMessageBytesMost = 4096;

struct P2pCommand {
  enum class Kind : uint8_t { kNew, kPut, kGet, kDrop };
  Kind kind = Kind::kNew;
  std::string unique_id;                        // NEW: kP2pUniqueId
  std::string tensor_id;                        // the others
  uint64_t fingerprint = 0;                     // NEW: see transfer/kv_fingerprint.h
  uint64_t number = 0;                          // PUT, GET: of the frame that brings it
  uint64_t last_block = 0;                      // PUT, GET: BlockHash of its last block
  uint64_t blocks = 0, layers = 0, values = 0;  // PUT: "shape"
  std::string dtype;                            // PUT, GET
};

// What NEW says here instead of the name of an NCCL communicator.
inline constexpr std::string_view kP2pUniqueId = "kvasir tcp 1";
inline constexpr std::string_view kP2pDtype = "float16";
inline constexpr std::string_view kP2pPackedDtype = "int8";  // with scales: transfer/packed_block.h

struct P2pReply {
  static constexpr uint64_t kDone = 0;
  static constexpr uint64_t kNotThere = 1;
  static constexpr uint64_t kRefused = 2;  // and will be

  uint64_t ret = kNotThere;
  uint64_t port = 0;  // NEW
  std::string token;  // NEW: says at the port who it is; 16 bytes
};

// Blocks of one request, as tensor ids name them: "<request>#blocks.<first>-<last>".
struct P2pTensorId {
  std::string_view request;  // a view of what it was read from
  uint32_t first = 0, count = 0;
};

std::string p2p_tensor_id(std::string_view request, uint32_t first, uint32_t count);
std::optional<P2pTensorId> read_p2p_tensor_id(std::string_view id);

std::string write_p2p_command(const P2pCommand& command);
// Members that are not known are passed over; the error: not a map, not a known command, or a
// member that it must have is missing or of another type.
Result<P2pCommand> read_p2p_command(std::string_view message);

// Of NEW and GET. PUT and DROP are answered by one digit.
std::string write_p2p_reply(const P2pReply& reply);
Result<P2pReply> read_p2p_reply(std::string_view message);

}  // namespace kvasir
