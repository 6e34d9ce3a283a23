// For tests: the owner of a journey that writes down what it hears.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "serving/journey.h"

namespace kvasir {

struct JourneyClient final : Journey::Owner {
  explicit JourneyClient(PoolThread& thread) : journey(thread, *this) {}

  void start(const std::string& prompt = "x") {
    RequestPeek peek;
    peek.kind = PromptKind::kText;
    peek.prompt = prompt;
    journey.start(peek, {{}, prompt.size(), std::nullopt});
  }
  // The same with a prompt whose tokens are known.
  void start(const std::vector<uint32_t>& tokens) {
    RequestPeek peek;
    peek.kind = PromptKind::kRawIds;
    peek.prompt = {reinterpret_cast<const char*>(tokens.data()), tokens.size() * sizeof(uint32_t)};
    Journey::More more;
    more.body_bytes = peek.prompt.size();
    more.tokens = std::make_shared<const std::vector<uint32_t>>(tokens);
    journey.start(peek, std::move(more));
  }
  void on_decided() override { ++decided; }
  void on_refused(const JourneyRefusal& refusal) override { refusals.push_back(refusal.status); }
  void on_evicted(const JourneyRefusal& refusal) override { evictions.push_back(refusal.status); }

  int decided = 0;
  std::vector<int> refusals, evictions;
  Journey journey;
};

}  // namespace kvasir
