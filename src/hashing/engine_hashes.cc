#include "hashing/engine_hashes.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "base/assert.h"
#include "base/big_endian.h"
#include "base/text.h"
#include "hashing/cbor_writer.h"
#include "hashing/vllm_preimage.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {
namespace {

constexpr uint64_t kStandardSeed = 1337;

std::string little_endian_bytes(uint64_t value) {
  std::string bytes;
  for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

uint64_t from_little_endian(std::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i > 0; --i) value = value << 8 | static_cast<uint8_t>(bytes[i - 1]);
  return value;
}

void append_tokens(std::span<const uint32_t> tokens, std::string& out) {
  static_assert(std::endian::native == std::endian::little,
                "tokens are hashed as they lie in memory");
  out.append(reinterpret_cast<const char*>(tokens.data()), tokens.size_bytes());
}

std::string sha256(std::string_view bytes) {
  static const EVP_MD* const kind = EVP_sha256();
  std::string digest(32, '\0');
  const int done =
      EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(digest.data()),
                 nullptr, kind, nullptr);
  KVASIR_ASSERT(done == 1, "SHA-256 is there");
  return digest;
}

std::string xxh3_128(std::string_view bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  return {reinterpret_cast<const char*>(canonical.digest), sizeof canonical.digest};
}

uint64_t fnv1a(std::string_view bytes) {
  uint64_t hash = 14695981039346656037u;
  for (const char byte : bytes) hash = (hash ^ static_cast<uint8_t>(byte)) * 1099511628211u;
  return hash;
}

bool is_vllm(EngineHashScheme scheme) {
  return scheme <= EngineHashScheme::kVllmXxhashCbor;
}
bool is_cbor(EngineHashScheme scheme) {
  return scheme == EngineHashScheme::kVllmSha256Cbor || scheme == EngineHashScheme::kVllmXxhashCbor;
}

// One block of llm-d's cbor-fnv: the hash of [parent, tokens, extra].
uint64_t cbor_fnv(uint64_t parent, std::span<const uint32_t> tokens, bool has_tokens,
                  std::string_view model, std::span<const std::string_view> extras,
                  std::string& preimage) {
  preimage.clear();
  put_cbor_head(preimage, CborMajor::kArray, 3);
  put_cbor_head(preimage, CborMajor::kUnsigned, parent);
  if (has_tokens) {
    put_cbor_head(preimage, CborMajor::kArray, tokens.size());
    for (const uint32_t token : tokens) put_cbor_head(preimage, CborMajor::kUnsigned, token);
  } else {
    put_cbor_null(preimage);
  }
  if (!has_tokens) {
    put_cbor_text(preimage, model);
  } else if (extras.empty()) {
    put_cbor_null(preimage);
  } else {
    put_cbor_head(preimage, CborMajor::kArray, extras.size());
    for (const std::string_view extra : extras) {
      put_cbor_head(preimage, CborMajor::kMap, 1);
      put_cbor_text(preimage, "Hash");
      put_cbor_text(preimage, extra);
    }
  }
  return fnv1a(preimage);
}

uint64_t llmd_xxh64(uint64_t parent, std::span<const uint32_t> tokens,
                    std::span<const std::string_view> extras, std::string& preimage) {
  preimage = little_endian_bytes(parent);
  append_tokens(tokens, preimage);
  for (const std::string_view extra : extras)
    preimage.append(little_endian_bytes(extra.size())).append(extra);
  return XXH64(preimage.data(), preimage.size(), 0);
}

// An image's identifier of 64 hexadecimal digits counts by its first 16.
uint64_t standard_image(std::string_view identifier) {
  const auto is_hex = [](char digit) { return hex_value(digit) >= 0; };
  if (identifier.size() != 64 || !std::all_of(identifier.begin(), identifier.end(), is_hex)) {
    return XXH3_64bits(identifier.data(), identifier.size());
  }
  uint64_t value = 0;
  for (const char digit : identifier.substr(0, 16))
    value = value << 4 | static_cast<uint64_t>(hex_value(digit));
  return value;
}

uint64_t standard_seed(const EngineHashOptions& options) {
  uint64_t seed = kStandardSeed;
  if (!options.lora_name.empty())
    seed += XXH3_64bits_withSeed(options.lora_name.data(), options.lora_name.size(), 0);
  if (!options.cache_salt.empty())
    seed += XXH3_64bits_withSeed(options.cache_salt.data(), options.cache_salt.size(), 1);
  return seed;
}

// What a sequence begins with.
std::string root_of(const EngineHashOptions& options) {
  std::string preimage;
  const std::string& model = options.lora_name.empty() ? options.model : options.lora_name;
  switch (options.scheme) {
    case EngineHashScheme::kVllmSha256:
    case EngineHashScheme::kVllmXxhash:
      append_pickle(std::string_view(options.seed), preimage);
      break;
    case EngineHashScheme::kVllmSha256Cbor:
    case EngineHashScheme::kVllmXxhashCbor:
      append_cbor(std::string_view(options.seed), preimage);
      break;
    case EngineHashScheme::kLlmdCborFnv:
      return little_endian_bytes(cbor_fnv(fnv1a(options.seed), {}, false, model, {}, preimage));
    case EngineHashScheme::kLlmdXxh64: {
      const std::string_view extra = model;
      return little_endian_bytes(llmd_xxh64(XXH64(options.seed.data(), options.seed.size(), 0), {},
                                            {&extra, 1}, preimage));
    }
    case EngineHashScheme::kSglang:
    case EngineHashScheme::kStandard:
      return {};
  }
  const bool sha = options.scheme == EngineHashScheme::kVllmSha256 ||
                   options.scheme == EngineHashScheme::kVllmSha256Cbor;
  return sha ? sha256(preimage) : xxh3_128(preimage);
}

// In the order in which vLLM adds them to a block.
std::vector<VllmExtraKey> vllm_keys(const EngineHashOptions& options, bool first,
                                    std::span<const EngineImage> images) {
  std::vector<VllmExtraKey> keys;
  const bool bare = options.bare_keys;
  const std::string_view lora = options.lora_name;
  const std::string_view path = options.lora_path;
  const std::string_view salt = options.cache_salt;
  if (!lora.empty() && bare) keys.push_back({.parts = {lora}, .is_tuple = false});
  if (!lora.empty() && !bare) keys.push_back({.tag = "lora", .parts = {lora, path}});
  for (const EngineImage& image : images) {
    keys.push_back({.tag = bare ? "" : "mm", .parts = {image.identifier, image.offset}});
  }
  if (first && !salt.empty() && bare) keys.push_back({.parts = {salt}, .is_tuple = false});
  if (first && !salt.empty() && !bare) keys.push_back({.tag = "cache_salt", .parts = {salt}});
  return keys;
}

}  // namespace

std::optional<EngineHashScheme> engine_hash_scheme(std::string_view name) {
  constexpr std::array<std::string_view, 8> kNames = {
      "vllm-sha256", "vllm-sha256_cbor", "vllm-xxhash", "vllm-xxhash_cbor",
      "sglang",      "cbor-fnv",         "xxh64",       "standard"};
  const auto* const found = std::find(kNames.begin(), kNames.end(), name);
  if (found == kNames.end()) return std::nullopt;
  return static_cast<EngineHashScheme>(found - kNames.begin());
}

EngineHashes::EngineHashes(const EngineHashOptions& options)
    : options_(options), root_(root_of(options)), parent_(root_) {}

void EngineHashes::restart() {
  parent_ = root_;
  first_ = true;
}

void EngineHashes::continue_after(std::string_view parent) {
  parent_ = parent;
  first_ = false;
}

std::string EngineHashes::digest(std::string_view bytes) const {
  const bool xxhash = options_.scheme == EngineHashScheme::kVllmXxhash ||
                      options_.scheme == EngineHashScheme::kVllmXxhashCbor;
  return xxhash ? xxh3_128(bytes) : sha256(bytes);
}

uint64_t EngineHashes::next(std::span<const uint32_t> tokens, std::span<const EngineImage> images) {
  uint64_t hash = 0;
  if (is_vllm(options_.scheme)) {
    hash = next_of_vllm(tokens, images);
  } else if (options_.scheme == EngineHashScheme::kSglang) {
    hash = next_of_sglang(tokens);
  } else if (options_.scheme == EngineHashScheme::kStandard) {
    hash = next_of_standard(tokens, images);
  } else {
    hash = next_of_llmd(tokens, images);
  }
  first_ = false;
  return hash;
}

uint64_t EngineHashes::next_of_vllm(std::span<const uint32_t> tokens,
                                    std::span<const EngineImage> images) {
  const std::vector<VllmExtraKey> keys = vllm_keys(options_, first_, images);
  const VllmBlock block = {.parent = parent_, .tokens = tokens, .keys = keys};
  preimage_.clear();
  if (is_cbor(options_.scheme)) {
    append_cbor(block, preimage_);
  } else {
    append_pickle(block, preimage_);
  }
  parent_ = digest(preimage_);
  return from_big_endian(std::string_view(parent_).substr(parent_.size() - 8));
}

uint64_t EngineHashes::next_of_sglang(std::span<const uint32_t> tokens) {
  preimage_ = parent_;  // nothing before the first
  append_tokens(tokens, preimage_);
  parent_ = digest(preimage_);
  return from_big_endian(std::string_view(parent_).substr(0, 8));
}

uint64_t EngineHashes::next_of_llmd(std::span<const uint32_t> tokens,
                                    std::span<const EngineImage> images) {
  std::vector<std::string_view> extras;
  for (const EngineImage& image : images) extras.push_back(image.identifier);
  if (first_ && !options_.cache_salt.empty()) extras.push_back(options_.cache_salt);
  const uint64_t parent = from_little_endian(parent_);
  const uint64_t hash = options_.scheme == EngineHashScheme::kLlmdXxh64
                            ? llmd_xxh64(parent, tokens, extras, preimage_)
                            : cbor_fnv(parent, tokens, true, {}, extras, preimage_);
  parent_ = little_endian_bytes(hash);
  return hash;
}

uint64_t EngineHashes::next_of_standard(std::span<const uint32_t> tokens,
                                        std::span<const EngineImage> images) {
  const uint64_t seed = standard_seed(options_);
  preimage_.clear();
  append_tokens(tokens, preimage_);
  std::vector<uint64_t> image_hashes;
  for (const EngineImage& image : images) image_hashes.push_back(standard_image(image.identifier));
  std::sort(image_hashes.begin(), image_hashes.end());
  for (const uint64_t image : image_hashes) preimage_ += little_endian_bytes(image);
  uint64_t hash = XXH3_64bits_withSeed(preimage_.data(), preimage_.size(), seed);
  if (!first_) {
    const std::string pair = parent_ + little_endian_bytes(hash);
    hash = XXH3_64bits_withSeed(pair.data(), pair.size(), seed);
  }
  parent_ = little_endian_bytes(hash);
  return hash;
}

}  // namespace kvasir
