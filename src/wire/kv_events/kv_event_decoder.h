// Batches of KV events in msgpack, as vLLM, SGLang and TensorRT-LLM publish them over ZeroMQ
// (the third frame of a message).
//
// A batch is an array [timestamp, events, rank] or a map of those names; each event is an array
// that begins with its type (vLLM up to 0.23, SGLang) or a map with the key "type" (vLLM from 0.24
// on, SGLang from September 2026 on). Fleets in the middle of an upgrade send both, so it is
// decided event by event. Unknown fields and further items are skipped.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/kv_events/kv_event.h"

namespace kvasir {

struct KvEventLimits {
  size_t batch_bytes_max = 64 * 1024 * 1024;
  uint32_t blocks_max = 1024 * 1024;       // of one event
  uint32_t tokens_max = 16 * 1024 * 1024;  // of one event
  uint32_t block_size_max = 64 * 1024;     // tokens
};

// Reads in place and keeps its buffers: no allocation once they are large enough. One for each
// thread.
class KvEventDecoder {
 public:
  explicit KvEventDecoder(KvEventLimits limits = {}) : limits_(limits) {}

  // The error says what is wrong and at which byte; events before it were told, those behind it are
  // lost. A length that lies costs no memory.
  Result<KvBatchHead> decode(std::string_view batch, KvEventSink& sink);

 private:
  class Reader;

  const KvEventLimits limits_;
  std::vector<uint64_t> hashes_;
  std::vector<uint32_t> tokens_;
  std::vector<uint64_t> extras_;
};

// The data-parallel rank that a batch says, without its events; nullopt: none, or not a batch.
std::optional<uint32_t> data_parallel_rank(std::string_view batch);

}  // namespace kvasir
