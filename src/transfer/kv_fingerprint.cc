#include "transfer/kv_fingerprint.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {

uint64_t kv_fingerprint(const std::string& model, const KvLayout& layout, bool packed) {
  // The model comes last: no name can imitate another's numbers.
  const std::string text = "kvasir " + std::to_string(kKvBytesVersion) +
                           (packed ? " int8 " : " float16 ") + std::to_string(layout.block_size) +
                           " " + std::to_string(layout.layers) + " " +
                           std::to_string(layout.bytes_per_token) + " " + model;
  return XXH3_64bits(text.data(), text.size());
}

uint64_t kv_checksum(std::span<const std::byte> bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t kv_checksum(std::string_view bytes) {
  return XXH3_64bits(bytes.data(), bytes.size());
}

uint64_t kv_checksum(std::span<const std::span<const std::byte>> pieces) {
  if (pieces.size() == 1) return kv_checksum(pieces.front());
  XXH3_state_t state;
  XXH3_INITSTATE(&state);
  XXH3_64bits_reset(&state);
  for (const std::span<const std::byte> piece : pieces) {
    XXH3_64bits_update(&state, piece.data(), piece.size());
  }
  return XXH3_64bits_digest(&state);
}

struct KvChecksum::State {
  XXH3_state_t xxh3;
};

KvChecksum::KvChecksum() : state_(std::make_unique<State>()) {
  XXH3_INITSTATE(&state_->xxh3);
  XXH3_64bits_reset(&state_->xxh3);
}

KvChecksum::~KvChecksum() = default;

void KvChecksum::add(std::span<const std::byte> piece) {
  XXH3_64bits_update(&state_->xxh3, piece.data(), piece.size());
}

uint64_t KvChecksum::take() {
  const uint64_t value = XXH3_64bits_digest(&state_->xxh3);
  XXH3_64bits_reset(&state_->xxh3);
  return value;
}

}  // namespace kvasir
