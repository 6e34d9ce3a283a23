// The names that engines themselves give to blocks of KV cache, computed as they compute them,
// where that can be known: for finding a tokenizer or a seed that differs, and blocks that events
// name without their tokens.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

enum class EngineHashScheme : uint8_t {
  // vLLM's --prefix-caching-hash-algo.
  kVllmSha256,  // over Python's pickle
  kVllmSha256Cbor,
  kVllmXxhash,
  kVllmXxhashCbor,
  kSglang,
  // The request keys of llm-d (hashAlgorithm), which no engine has.
  kLlmdCborFnv,
  kLlmdXxh64,
  kStandard  // of Dynamo, SMG and Mooncake
};

// By the names that their flags have, vllm- before vLLM's: "vllm-sha256_cbor", "sglang",
// "cbor-fnv", "xxh64", "standard".
std::optional<EngineHashScheme> engine_hash_scheme(std::string_view name);

// vLLM's seed when PYTHONHASHSEED is not set (its xxhash schemes then have one that nobody knows;
// versions before have none for any).
inline constexpr std::string_view kVllmDefaultSeed = "vllm-none-hash";

struct EngineHashOptions {
  EngineHashScheme scheme = EngineHashScheme::kVllmSha256Cbor;
  std::string seed = {};   // vLLM: PYTHONHASHSEED; llm-d: hashSeed
  std::string model = {};  // llm-d; the adapter's name, if there is one
  std::string lora_name = {};
  std::string lora_path = {};   // vLLM
  std::string cache_salt = {};  // not of SGLang
  // vLLM before it told adapters, salts and images apart by a word before each (0.32.0 does).
  bool bare_keys = false;
};

// Something else than tokens that lies in a block, in part at least.
struct EngineImage {
  std::string_view identifier;
  int64_t offset = 0;  // of its beginning from the block's
};

// One sequence. Not thread-safe.
class EngineHashes {
 public:
  explicit EngineHashes(const EngineHashOptions& options);

  // Of the next block, as an event names it.
  uint64_t next(std::span<const uint32_t> tokens, std::span<const EngineImage> images = {});
  // The next block is the first of a sequence.
  void restart();
  // What stands for the latest block in the name of the next one; and the next block follows the
  // one of which that was said.
  std::string_view parent() const { return parent_; }
  void continue_after(std::string_view parent);
  // vLLM's NONE_HASH, or what the others begin with, as bytes.
  std::string_view root() const { return root_; }

 private:
  uint64_t next_of_vllm(std::span<const uint32_t> tokens, std::span<const EngineImage> images);
  uint64_t next_of_sglang(std::span<const uint32_t> tokens);
  uint64_t next_of_llmd(std::span<const uint32_t> tokens, std::span<const EngineImage> images);
  uint64_t next_of_standard(std::span<const uint32_t> tokens, std::span<const EngineImage> images);
  std::string digest(std::string_view bytes) const;

  const EngineHashOptions options_;
  std::string root_;
  std::string parent_;  // the whole digest, or eight bytes
  bool first_ = true;
  std::string preimage_;  // used again
};

}  // namespace kvasir
