#include "wire/kv_events/kv_event_fields.h"

namespace kvasir {

KvField kv_field(std::string_view name) {
  struct NamedField {
    std::string_view name;
    KvField field;
  };
  static constexpr std::array<NamedField, 11> kNames = {{
      {"block_hashes", KvField::kBlockHashes},
      {"parent_block_hash", KvField::kParent},
      {"token_ids", KvField::kTokens},
      {"block_size", KvField::kBlockSize},
      {"lora_id", KvField::kLoraId},
      {"medium", KvField::kMedium},
      {"lora_name", KvField::kLoraName},
      {"extra_keys", KvField::kExtraKeys},
      {"group_idx", KvField::kGroup},
      {"kv_cache_spec_kind", KvField::kSpecKind},
      {"cache_salt", KvField::kCacheSalt},
  }};
  for (const NamedField& each : kNames) {
    if (each.name == name) return each.field;
  }
  return KvField::kUnknown;
}

KvEventType kv_event_type(std::string_view name) {
  if (name == "BlockStored") return KvEventType::kStored;
  if (name == "BlockRemoved") return KvEventType::kRemoved;
  if (name == "AllBlocksCleared") return KvEventType::kAllCleared;
  return KvEventType::kUnknown;
}

}  // namespace kvasir
