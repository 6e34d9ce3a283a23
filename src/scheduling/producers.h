// What producers offer to filters and scorers, request by request. Spans are indexed by EndpointId
// and valid until the next produce().
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

// How much of the request's prompt each endpoint holds in its cache.
class PrefixMatches : public Producer {
 public:
  virtual std::span<const uint32_t> matched_blocks() const = 0;  // leading blocks
  virtual uint32_t total_blocks() const = 0;  // of the prompt; 0: nothing is known
  virtual BlockSize block_size() const = 0;
  virtual uint32_t block_tokens() const = 0;  // about; exactly, when blocks are of tokens

  // Prompt tokens in the endpoint's cache: of the prompt the share that its matched blocks are;
  // when its length in bytes is not known or blocks are of tokens, block_tokens() for each block.
  // Never more than the prompt.
  uint32_t cached_tokens(const Request& request, EndpointId endpoint) const {
    const uint64_t blocks = matched_blocks()[index_of(endpoint)];
    const BlockSize size = block_size();
    const bool by_bytes = size.unit == PromptUnit::kBytes && request.prompt_bytes > 0;
    const uint64_t tokens = by_bytes
                                ? request.prompt_tokens * blocks * size.units / request.prompt_bytes
                                : blocks * block_tokens();
    return static_cast<uint32_t>(std::min<uint64_t>(tokens, request.prompt_tokens));
  }
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
  virtual std::span<const InflightLoad> loads() const = 0;
};

// Which session the request belongs to; nullopt: none.
class SessionIds : public Producer {
 public:
  virtual std::optional<std::string_view> session() const = 0;
};

// Which labels say where an endpoint is, from the nearest place to the widest.
class TopologyLabels : public virtual Plugin {
 public:
  static constexpr size_t kLevels = 4;  // host, rack, zone, region
  virtual const std::string& label(size_t level) const = 0;
};

}  // namespace kvasir
