// The names and the order of an event's fields. Private to wire/.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace kvasir {

enum class KvField : uint8_t {
  kBlockHashes,
  kParent,
  kTokens,
  kBlockSize,
  kLoraId,
  kMedium,
  kLoraName,  // in its place SGLang has a map of further fields
  kExtraKeys,
  kGroup,
  kSpecKind,
  kCacheSalt,
  kUnknown
};

// What follows the type when an event is an array.
inline constexpr std::array kStoredOrder = {
    KvField::kBlockHashes, KvField::kParent,  KvField::kTokens,   KvField::kBlockSize,
    KvField::kLoraId,      KvField::kMedium,  KvField::kLoraName, KvField::kExtraKeys,
    KvField::kGroup,       KvField::kSpecKind};
inline constexpr std::array kRemovedOrder = {KvField::kBlockHashes, KvField::kMedium,
                                             KvField::kGroup};

KvField kv_field(std::string_view name);

enum class KvEventType : uint8_t { kStored, kRemoved, kAllCleared, kUnknown };

KvEventType kv_event_type(std::string_view name);

}  // namespace kvasir
