// KV events as JSON, as the tutorial of llm-d writes them: one block each, for each layer if the
// publisher says layers. They name the pod, and no predecessor: the order of blocks is known only
// to who asks for a prompt's blocks.
//
//   {"event_type": "BLOCK_CREATED", "pod_id": "vllm-decode-pod-3", "block_hash":
//   "sha256:abc123...",
//    "block_tokens": ["Hello", "world", "!"], "num_tokens": 64, "timestamp":
//    "2025-10-26T10:30:45Z", "layer_id": 0, "cache_size_bytes": 262144}
//
// A text is one event or an array of them. Comments as in JavaScript, which the tutorial has in it,
// are left out; unknown members are skipped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct KvJsonEvent {
  enum class Type : uint8_t {
    kCreated,  // BLOCK_CREATED
    kEvicted,  // BLOCK_EVICTED
    kUpdated   // BLOCK_UPDATED: only times and sizes changed
  };

  Type type = Type::kCreated;
  std::string pod_id = {};  // empty: the message's topic says it
  std::string block_hash = {};
  std::optional<uint32_t> layer_id = {};
  std::optional<uint32_t> num_tokens = {};
  std::optional<uint64_t> cache_size_bytes = {};
  std::optional<double> timestamp = {};  // seconds since 1970
  bool operator==(const KvJsonEvent&) const = default;
};

struct KvJsonEvents {
  std::vector<KvJsonEvent> events;
  std::vector<std::string> skipped;  // why, for each of the others
};

inline constexpr size_t kKvJsonBytesMax = 1024 * 1024;

// The error is of the text as a whole: it is not JSON, or too long.
Result<KvJsonEvents> read_kv_json_events(std::string_view text);

// 64 bits for a block's hash as text, the same wherever it comes from. Of 64 hexadecimal digits,
// with "sha256:" before them or not, the last eight bytes, as an engine shortens its digests.
uint64_t kv_block_name(std::string_view block_hash);

}  // namespace kvasir
