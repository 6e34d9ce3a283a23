// What a scenario file says, as plain values. README.md in this folder shows the format.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "fleet/fleet.h"

namespace kvasir {

struct ScenarioEndpoint {
  Endpoint endpoint;
  bool healthy = true;
  bool reachable = false;  // it takes connections, healthy or not
  EngineMetrics metrics;
  Duration age{};  // of the metrics, when the scenario begins
  std::optional<uint64_t> kv_tokens;
  std::optional<uint32_t> kv_block_tokens;  // its engine says what it holds, in blocks of so many
  int line = 0;
};

// "The first `blocks` blocks are of the text `text`".
struct PromptPart {
  std::string text;
  uint32_t blocks = 0;
};

struct Expectation {
  std::vector<std::string> endpoints;  // any of these; empty: not said
  std::optional<std::vector<std::string>> fallbacks;
  std::optional<std::string> prefill;    // "none": nobody
  std::optional<double> score;           // of the chosen one
  std::map<std::string, double> scores;  // of candidates, the weighted sums
  std::optional<int64_t> cached_tokens;
  std::string refused;  // a name of a Refusal; empty: not refused
};

struct RequestStep {
  std::string name;
  std::string model;
  std::map<std::string, std::string> headers;  // names in lower case
  std::vector<PromptPart> prompt;
  std::optional<uint32_t> tokens;
  std::optional<std::vector<std::string>> subset;  // only these are candidates
  Expectation expected;
};
// Many requests alike, at one moment.
struct BurstStep {
  RequestStep request;
  uint32_t count = 0;
  bool end_each = false;                  // before the next comes
  std::map<std::string, int64_t> spread;  // how many each endpoint gets; those not named get none
  int64_t within = 0;                     // by how much each number may be off
};
// The request failed where it is, before its first byte: it goes elsewhere.
struct RetryStep {
  std::string name;
  Expectation expected;
};
struct FirstTokenStep {
  std::string name;
};
// The leg that prefilled it apart is over.
struct PrefillEndedStep {
  std::string name;
};
struct EndStep {
  std::string name;
};
struct AdvanceStep {
  Duration by{};
};
struct MetricsStep {
  std::vector<std::pair<std::string, EngineMetrics>> metrics;
};
struct HealthStep {
  std::vector<std::pair<std::string, bool>> healthy;
};

// From now on their engines say that they hold these prompts, whole blocks of them.
struct HoldsStep {
  std::vector<std::pair<std::string, std::vector<PromptPart>>> prompts;
  std::string model;
};

using Step = std::variant<RequestStep, BurstStep, RetryStep, FirstTokenStep, PrefillEndedStep,
                          EndStep, AdvanceStep, MetricsStep, HealthStep, HoldsStep>;

struct LocatedStep {
  int line = 0;
  Step step;
};

struct Scenario {
  std::string about;
  bool allow_alpha = false;
  uint64_t seed = 1;
  std::vector<ScenarioEndpoint> endpoints;
  std::string config;          // the text of an EndpointPickerConfig
  std::string config_problem;  // part of the error that the configuration must give; empty: none
  std::vector<LocatedStep> steps;
};

}  // namespace kvasir
