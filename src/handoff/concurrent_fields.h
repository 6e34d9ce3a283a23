// What both legs of a request are told when they are sent at once, and the workers find each other
// by it.
#pragma once

#include <array>
#include <cstdint>
#include <string>

#include "wire/kv_transfer/leg_bodies.h"

namespace kvasir {

struct PrefillCandidate;

class ConcurrentFields {
 public:
  // kSglang: bootstrap_host, bootstrap_port and a bootstrap_room of 63 bits.
  // kOffloading: kv_transfer_params.remote_decoder and .remote_prefiller with one kv_request_id.
  ConcurrentFields(KvDialect dialect, const PrefillCandidate& prefiller, uint64_t unique);

  LegFields prefill() const;
  LegFields decode() const;

 private:
  const KvDialect dialect_;
  std::string host_, port_, room_;
  std::string prefill_params_, decode_params_;
  std::array<JsonEdit, 3> room_members_;
};

}  // namespace kvasir
