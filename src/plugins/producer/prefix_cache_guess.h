// How much of a prompt each endpoint holds, for the producers that say so: as its engine says it
// (Request::cached), else guessed from what was sent there. Private to producer/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/parameters.h"
#include "scheduling/plugin.h"
#include "scheduling/pool_knowledge.h"
#include "scheduling/producers.h"
#include "scheduling/registry.h"

namespace kvasir {

struct PrefixCacheGuessSettings {
  static constexpr uint32_t kBlockTokensLeast = 64;

  bool auto_tune = true;
  uint32_t block_tokens = kBlockTokensLeast;
  size_t capacity_blocks = 31'250;
  size_t prefix_blocks_max = 2048;
  uint64_t assumed_tokens = 0;  // of an endpoint that does not report its cache; 0: not known
};

class PrefixCacheGuess {
 public:
  // The index is shared: whoever has the same block size sees what was sent, too.
  PrefixCacheGuess(PrefixCacheGuessSettings settings, PluginContext& context);

  const PrefixMatch& match() const { return match_; }
  // Of exact tokens, by the tier that they are in.
  void set_weights(double gpu, double slower) {
    match_.gpu_weight = gpu;
    match_.slower_weight = slower;
  }

  void produce(const Cycle& cycle);
  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles);
  void add_readings(std::vector<PluginReading>& readings) const;
  void endpoint_replaced(EndpointId endpoint);

 private:
  PromptView head_of(const Request& request) const;
  size_t capacity_of(EndpointId endpoint, const Snapshot& fleet) const;

  const PrefixCacheGuessSettings settings_;
  const SharedPrefixIndex& index_;
  std::vector<uint32_t> matched_;
  PrefixMatch match_;
};

}  // namespace kvasir
