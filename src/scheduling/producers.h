// What the built-in producers offer to filters and scorers, request by request. Spans are indexed
// by EndpointId and valid until the next produce(). Each class is a kind that plugins ask for by
// PluginContext::find(); others may stand in any header (registry.h says how).
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "model/endpoint.h"
#include "scheduling/plugin.h"

namespace kvasir {

// How much of the request's prompt each endpoint holds in its cache: as its engine says, else as it
// is guessed from what was sent there.
struct PrefixMatch {
  std::span<const uint32_t> blocks;  // guessed: leading ones, by EndpointId
  uint32_t total_blocks = 0;         // of the prompt; 0: nothing can be guessed
  BlockSize block{};
  uint32_t block_tokens = 0;  // about; exactly, when blocks are of tokens
  // As engines say, by EndpointId (Request::cached); those that are known count in place of the
  // guess. Empty: none.
  std::span<const CachedPrefix> exact = {};
  // What an exact token is worth in share(): in the GPU's tier, and in a slower one.
  double gpu_weight = 1;
  double slower_weight = 1;

  // Null: it is guessed.
  const CachedPrefix* exactly(EndpointId endpoint) const {
    const uint32_t index = index_of(endpoint);
    return index < exact.size() && exact[index].known ? &exact[index] : nullptr;
  }

  // Prompt tokens that need not be computed there. Exact ones are those that the engine will use.
  // Guessed ones are of the prompt the share that its matched blocks are; when its length in bytes
  // is not known or blocks are of tokens, block_tokens for each block. Never more than the prompt.
  uint32_t cached_tokens(const Request& request, EndpointId endpoint) const {
    if (const CachedPrefix* known = exactly(endpoint)) {
      return known->usable_tokens(request.prompt_tokens);
    }
    const uint64_t matched = blocks[index_of(endpoint)];
    const bool by_bytes = block.unit == PromptUnit::kBytes && request.prompt_bytes > 0;
    const uint64_t tokens =
        by_bytes ? request.prompt_tokens * matched * block.units / request.prompt_bytes
                 : matched * block_tokens;
    return static_cast<uint32_t>(std::min<uint64_t>(tokens, request.prompt_tokens));
  }

  // Of the prompt's full blocks, the share that is held there: from 0 to 1.
  double share(const Request& request, EndpointId endpoint) const {
    if (const CachedPrefix* known = exactly(endpoint)) return share_of(*known, request);
    return total_blocks == 0 ? 0 : blocks[index_of(endpoint)] * (1.0 / total_blocks);
  }

  // Tokens in the prompt's full blocks that are held there.
  uint64_t matched_tokens(EndpointId endpoint) const {
    if (const CachedPrefix* known = exactly(endpoint)) return known->tokens;
    return uint64_t{blocks[index_of(endpoint)]} * block_tokens;
  }

 private:
  double share_of(const CachedPrefix& known, const Request& request) const {
    const uint32_t block_size = std::max(known.block_tokens, 1u);
    const uint32_t whole = request.prompt_tokens / block_size * block_size;
    if (whole == 0) return 0;
    const double worth =
        gpu_weight * known.gpu_tokens + slower_weight * (known.tokens - known.gpu_tokens);
    return std::min(1.0, worth / whole);
  }
};
class PrefixMatches : public Producer {
 public:
  static constexpr std::string_view kKind = "prefix-matches";
  static constexpr std::string_view kDefaultType = "approx-prefix-cache-producer";

  // Of the request in hand; the same object always.
  virtual const PrefixMatch& match() const = 0;
};

// What is in flight on each endpoint, as booked by this process and, when they share it, by the
// other replicas of it.
struct InflightLoad {
  uint32_t requests = 0;
  uint64_t tokens =
      0;  // prompt tokens, not cached there, whose first answer byte has not been seen
};
class InflightLoads : public Producer {
 public:
  static constexpr std::string_view kKind = "inflight-loads";
  static constexpr std::string_view kDefaultType = "inflight-load-producer";

  virtual std::span<const InflightLoad> loads() const = 0;
};

// Which session the request belongs to; nullopt: none.
class SessionIds : public Producer {
 public:
  static constexpr std::string_view kKind = "session-ids";
  static constexpr std::string_view kDefaultType = "session-id-producer";

  virtual std::optional<std::string_view> session() const = 0;
};

// Which labels say where an endpoint is, from the nearest place to the widest.
class TopologyLabels : public virtual Plugin {
 public:
  static constexpr std::string_view kKind = "topology-labels";
  static constexpr std::string_view kDefaultType = "topology-extractor";

  static constexpr size_t kLevels = 4;  // host, rack, zone, region
  virtual const std::string& label(size_t level) const = 0;
};

}  // namespace kvasir
