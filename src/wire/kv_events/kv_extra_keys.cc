#include "wire/kv_events/kv_extra_keys.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {
namespace {

void add_extra(uint64_t& extra, std::string_view key) {
  const uint64_t hash = XXH3_64bits_withSeed(key.data(), key.size(), extra);
  extra = hash != 0 ? hash : 1;
}

// A text in the first block of a sequence is an image's name or the salt, which comes last.
struct SaltCandidate {
  bool possible = false;
  std::string_view text = {};
};

// False: it is not an array of keys.
bool read_keys_of_block(MsgpackReader& reader, std::string_view lora_name, SaltCandidate& salt,
                        uint64_t& extra) {
  const MsgpackItem keys = reader.next();
  if (keys.kind == MsgpackKind::kNil) return true;
  if (keys.kind != MsgpackKind::kArray) return false;
  for (uint64_t i = 0; i < keys.number; ++i) {
    const std::string_view from = reader.rest();
    const MsgpackItem key = reader.next();
    if (!reader.skip(values_inside(key))) return false;
    const bool text = key.kind == MsgpackKind::kText;
    if (i == 0 && text && !lora_name.empty() && key.bytes == lora_name) continue;
    if (text && salt.possible) {
      if (!salt.text.empty()) add_extra(extra, salt.text);
      salt.text = key.bytes;
    } else {
      const size_t bytes = from.size() - reader.rest().size();
      add_extra(extra, text ? key.bytes : from.substr(0, bytes));
    }
  }
  return true;
}

}  // namespace

KvExtraKeys read_kv_extra_keys(MsgpackReader& reader, const KvExtraKeysOf& event,
                               std::span<uint64_t> extras) {
  const MsgpackItem blocks = reader.next();
  if (blocks.kind == MsgpackKind::kNil) return {};
  if (blocks.kind != MsgpackKind::kArray || (blocks.number != 0 && blocks.number != event.blocks)) {
    return {.unusable = "extra_keys are not one for each block"};
  }
  KvExtraKeys read;
  for (size_t i = 0; i < blocks.number; ++i) {
    SaltCandidate salt = {.possible = i == 0 && event.begins_sequence};
    extras[i] = 0;
    if (!read_keys_of_block(reader, event.lora_name, salt, extras[i])) {
      return {.unusable = "the extra keys of a block are not an array"};
    }
    if (i == 0) read.cache_salt = salt.text;
    read.has_extras = read.has_extras || extras[i] != 0;
  }
  return read;
}

}  // namespace kvasir
