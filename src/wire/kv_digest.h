// By which two KV-cache managers compare what they know: GET /api/v1/cache/digest.
//
//   {"pods": {"pod-1": {"digest": "00f1...", "blocks": 3, "stamp": 1764240000.5}}}
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

struct KvDigest {
  uint64_t digest = 0;  // of what the pod has, in no order
  uint64_t blocks = 0;
  double stamp = 0;  // timestamps of its last events, by the engine's clock; 0: none came

  bool operator==(const KvDigest&) const = default;
};
using KvDigests = std::map<std::string, KvDigest>;

std::string write_kv_digests(const KvDigests& pods);
// The error says what is wrong. Unknown members are skipped.
Result<KvDigests> read_kv_digests(std::string_view text);

}  // namespace kvasir
