// Which batches of a source were applied lately, by what was in them: tells a batch that comes
// twice from another one under its number, which only an engine that restarted publishes.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvasir {

// By which batches are told apart (KvStreamPosition::hash).
uint64_t hash_of_batch(std::string_view batch);

class BatchMemory {
 public:
  static constexpr size_t kBatches = 64;

  enum class Recall : uint8_t { kUnknown, kSame, kOther };

  // Answers the hash of the batch.
  uint64_t remember(uint64_t number, std::string_view batch);
  void remember_hash(uint64_t number, uint64_t hash);
  // What was under that number; kUnknown: it was long ago, or never.
  Recall recall(uint64_t number, std::string_view batch) const;
  void forget() { places_ = {}; }

 private:
  struct Place {
    bool used = false;
    uint64_t number = 0;
    uint64_t hash = 0;
  };
  std::array<Place, kBatches> places_{};
};

}  // namespace kvasir
