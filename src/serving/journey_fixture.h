// For tests: the owner of a journey that writes down what it hears.
#pragma once

#include <optional>
#include <string>
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
  void on_decided() override { ++decided; }
  void on_refused(const JourneyRefusal& refusal) override { refusals.push_back(refusal.status); }
  void on_evicted(const JourneyRefusal& refusal) override { evictions.push_back(refusal.status); }

  int decided = 0;
  std::vector<int> refusals, evictions;
  Journey journey;
};

}  // namespace kvasir
