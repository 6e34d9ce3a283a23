// What else than tokens is in the blocks of an event: extra_keys. Private to wire/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "wire/msgpack/msgpack_reader.h"

namespace kvasir {

// The event that they belong to.
struct KvExtraKeysOf {
  size_t blocks = 0;
  std::string_view lora_name = {};
  bool begins_sequence = false;  // its first block has no predecessor
};

struct KvExtraKeys {
  std::string_view cache_salt = {};
  bool has_extras = false;
  const char* unusable = nullptr;  // why they are not what they should be
};

// Reads one value: nil, or of each block nil or an array of the adapter's name (if it has one),
// what tells of images (pairs of a name and a place; up to vLLM 0.18 names alone), the cache salt
// (in the first block of a sequence), and digests of embeddings. Hashes what is neither adapter nor
// salt into `extras`, which has a place for each block; 0: nothing.
KvExtraKeys read_kv_extra_keys(MsgpackReader& reader, const KvExtraKeysOf& event,
                               std::span<uint64_t> extras);

}  // namespace kvasir
