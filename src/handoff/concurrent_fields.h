// What both legs of a request are told when they are sent at once, and the workers find each other
// by it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "wire/kv_transfer/bootstrap_engines.h"
#include "wire/kv_transfer/leg_bodies.h"

namespace kvasir {

// Where a prefill leg can go.
struct PrefillCandidate {
  std::string host;
  uint16_t port = 0;
  uint16_t side_port = 0;  // kSglang, kMooncake: bootstrap; kOffloading: of its connector
};

// {"kv_request_id":...,"remote_host":...,"remote_port":...}: where the offloading connector finds
// blocks of that request.
std::string offloading_peer(uint64_t unique, const PrefillCandidate& worker);

class ConcurrentFields {
 public:
  struct Request {
    uint64_t unique = 0;
    size_t attempt = 0;                        // which prefiller of this request it is
    std::optional<size_t> prompts = {};        // of a list of them
    PrefillEngine engine = {};                 // kMooncake
    const PrefillCandidate* source = nullptr;  // kOffloading: who has KV to pull
  };
  // kSglang: bootstrap_host, bootstrap_port and a bootstrap_room of 63 bits; of a list of prompts
  // lists of them. kMooncake: kv_transfer_params with one transfer_id. kOffloading: the same with
  // remote_decoder and remote_prefiller, and one kv_request_id.
  ConcurrentFields(KvDialect dialect, const PrefillCandidate& prefiller, const Request& request);

  LegFields prefill() const;
  LegFields decode() const;

 private:
  void write_rooms(const PrefillCandidate& prefiller, const Request& request);
  void write_mooncake(const PrefillCandidate& prefiller, const Request& request);
  void write_offloading(const PrefillCandidate& prefiller, const Request& request);

  std::string host_, port_, room_;
  std::string prefill_params_, decode_params_;
  std::array<JsonEdit, 3> room_members_;
  bool has_rooms_ = false;
};

}  // namespace kvasir
