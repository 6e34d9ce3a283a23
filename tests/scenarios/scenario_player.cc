#include "scenario_player.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <map>
#include <memory>

#include "config/policy_fixture.h"
#include "hashing/prompt_blocks.h"
#include "plugins/plugin_roster.h"
#include "scheduling/policy.h"
#include "scheduling/scheduler.h"
#include "score_witness.h"
#include "serving/exact_caches_fixture.h"
#include "serving/exact_prompt.h"

namespace kvasir {
namespace {

constexpr double kScoreTolerance = 1e-9;
constexpr size_t kBytesPerToken = 4;
constexpr size_t kDefaultBlockBytes = 256;          // when the configuration reads no blocks
constexpr Duration kStart = std::chrono::hours(1);  // so that metrics can be old

std::string shown(double number) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", number);
  return text;
}

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text.append(text.empty() ? "" : ", ").append(name);
  return text.empty() ? "none" : text;
}

// What came of one request.
struct Outcome {
  Scheduled scheduled;
  std::vector<std::vector<ScoredEndpoint>> scored;  // of each profile
};

class Player {
 public:
  explicit Player(const Scenario& scenario) : scenario_(scenario), fleet_(endpoints(scenario)) {
    clock_.advance(kStart);
    for (size_t i = 0; i < scenario.endpoints.size(); ++i) {
      const ScenarioEndpoint& endpoint = scenario.endpoints[i];
      fleet_.set_healthy(EndpointId(i), endpoint.healthy);
      fleet_.set_reachable(EndpointId(i), endpoint.reachable);
      if (endpoint.kv_tokens) fleet_.set_kv_capacity(EndpointId(i), *endpoint.kv_tokens);
      EngineMetrics metrics = endpoint.metrics;
      metrics.read_at = clock_.now() - endpoint.age;
      fleet_.set_metrics({{EndpointId(i), metrics}});
      if (endpoint.kv_block_tokens) caches_.know(EndpointId(i), *endpoint.kv_block_tokens);
    }
  }

  std::vector<Remark> play() {
    if (!configure()) return problems_;
    for (const LocatedStep& step : scenario_.steps) {
      line_ = step.line;
      std::visit([this](const auto& one) { run(one); }, step.step);
    }
    return problems_;
  }

 private:
  struct Running {
    RequestStep step;
    RequestId id = 0;
    std::vector<EndpointId> excluded;  // by a retry, or because the subset lacks them
    EndpointId endpoint{};
  };

  static std::vector<Endpoint> endpoints(const Scenario& scenario) {
    std::vector<Endpoint> list;
    for (const ScenarioEndpoint& endpoint : scenario.endpoints) list.push_back(endpoint.endpoint);
    return list;
  }

  const std::string& name_of(EndpointId id) const {
    return scenario_.endpoints[index_of(id)].endpoint.name;
  }
  EndpointId id_of(const std::string& name) const {
    uint32_t i = 0;
    while (scenario_.endpoints[i].endpoint.name != name) ++i;  // the reader knows that it is there
    return EndpointId(i);
  }
  void problem(std::string text) { problems_.push_back(Remark{line_, std::move(text)}); }

  bool configure() {
    Registry built_in;
    register_plugins(built_in);
    registry_ = witnessed(built_in, witness_);
    PluginOptions options;
    options.endpoints = scenario_.endpoints.size();
    options.seed = scenario_.seed;
    options.allow_alpha = scenario_.allow_alpha;
    options.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    Result<PolicyWithNotes> made =
        policy_from_config(scenario_.config, "config", options, registry_);
    if (made) {
      scheduler_ = std::make_unique<Scheduler>(fleet_, std::move(made->policy), clock_);
      if (!scenario_.config_problem.empty()) {
        problem("got a configuration that works, expected the error '" + scenario_.config_problem +
                "'");
      }
      return true;
    }
    const std::string& message = made.error().message;
    if (scenario_.config_problem.empty()) {
      problem("the configuration is wrong: " + message);
    } else if (message.find(scenario_.config_problem) == std::string::npos) {
      problem("got the error '" + message + "', expected '" + scenario_.config_problem + "'");
    }
    return false;
  }

  void run(const RequestStep& step) {
    if (running_.count(step.name) != 0) return problem("request " + step.name + " runs already");
    Running running{step, 0, excluded_by(step), {}};
    const Outcome outcome = choose(running);
    check(step.name, step.expected, outcome);
    if (outcome.scheduled.ok()) running_.emplace(step.name, std::move(running));
  }

  void run(const BurstStep& step) {
    std::map<std::string, int64_t> got;
    for (uint32_t i = 0; i < step.count; ++i) {
      Running running{step.request, 0, excluded_by(step.request), {}};
      const Outcome outcome = choose(running);
      check("burst " + std::to_string(i + 1), step.request.expected, outcome);
      if (!outcome.scheduled.ok()) continue;
      ++got[name_of(running.endpoint)];
      if (step.end_each) {
        scheduler_->ended(running.id);
      } else {
        running_.emplace("burst/" + std::to_string(running.id), std::move(running));
      }
    }
    for (const ScenarioEndpoint& endpoint : scenario_.endpoints) {
      const std::string& name = endpoint.endpoint.name;
      const auto expected = step.spread.find(name);
      const int64_t wanted = expected == step.spread.end() ? 0 : expected->second;
      if (std::abs(got[name] - wanted) <= step.within) continue;
      problem("burst: " + name + " got " + std::to_string(got[name]) + " requests, expected " +
              std::to_string(wanted) +
              (step.within > 0 ? " give or take " + std::to_string(step.within) : ""));
    }
  }

  void run(const RetryStep& step) {
    Running* running = find(step.name);
    if (running == nullptr) return;
    scheduler_->ended(running->id);
    running->excluded.push_back(running->endpoint);
    const Outcome outcome = choose(*running);
    check(step.name + " (retry)", step.expected, outcome);
    if (!outcome.scheduled.ok()) running_.erase(step.name);
  }

  void run(const FirstTokenStep& step) {
    if (const Running* running = find(step.name)) scheduler_->first_token(running->id);
  }

  void run(const PrefillEndedStep& step) {
    if (const Running* running = find(step.name)) scheduler_->prefill_ended(running->id);
  }

  void run(const EndStep& step) {
    const Running* running = find(step.name);
    if (running == nullptr) return;
    scheduler_->ended(running->id);
    running_.erase(step.name);
  }

  void run(const AdvanceStep& step) { clock_.advance(step.by); }

  void run(const MetricsStep& step) {
    for (const auto& [name, metrics] : step.metrics) {
      EngineMetrics read = metrics;
      read.read_at = clock_.now();
      fleet_.set_metrics({{id_of(name), read}});
    }
  }

  void run(const HealthStep& step) {
    for (const auto& [name, healthy] : step.healthy) fleet_.set_healthy(id_of(name), healthy);
  }

  void run(const HoldsStep& step) {
    for (const auto& [name, prompt] : step.prompts) {
      const EndpointId id = id_of(name);
      if (!scenario_.endpoints[index_of(id)].kv_block_tokens) {
        problem("holds: " + name + " has no kv_block, so its engine says nothing");
        continue;
      }
      caches_.hold(id, tokens_of(prompt_text(prompt, block_bytes())), std::nullopt, step.model);
    }
  }

  Running* find(const std::string& name) {
    const auto found = running_.find(name);
    if (found != running_.end()) return &found->second;
    problem("no request " + name + " is running");
    return nullptr;
  }

  std::vector<EndpointId> excluded_by(const RequestStep& step) const {
    std::vector<EndpointId> excluded;
    if (!step.subset) return excluded;
    for (uint32_t i = 0; i < scenario_.endpoints.size(); ++i) {
      const std::string& name = scenario_.endpoints[i].endpoint.name;
      const auto& subset = *step.subset;
      if (std::find(subset.begin(), subset.end(), name) == subset.end()) {
        excluded.push_back(EndpointId(i));
      }
    }
    return excluded;
  }

  // The text of the prompt: a part's blocks differ from each other and from every other part's.
  static std::string prompt_text(const std::vector<PromptPart>& prompt, size_t block_bytes) {
    std::string text;
    for (const PromptPart& part : prompt) {
      for (uint32_t i = 0; i < part.blocks; ++i) {
        std::string block = part.text + " " + std::to_string(i) + " ";
        block.resize(block_bytes, '.');
        text += block;
      }
    }
    return text;
  }

  size_t block_bytes() const {
    const BlockSizes views = scheduler_->prompt_views();
    return views.empty() ? kDefaultBlockBytes : views.begin()->units;
  }

  // Four bytes are one token.
  static std::vector<uint32_t> tokens_of(const std::string& prompt) {
    std::vector<uint32_t> tokens(prompt.size() / kBytesPerToken);
    if (!tokens.empty()) std::memcpy(tokens.data(), prompt.data(), tokens.size() * kBytesPerToken);
    return tokens;
  }

  Outcome choose(Running& running) {
    const RequestStep& step = running.step;
    const BlockSizes views = scheduler_->prompt_views();
    const std::string prompt = prompt_text(step.prompt, block_bytes());
    HashedPrompt hashed;
    HashedPrompt::Hasher hasher(hashed, views, prompt_salt(step.model, ""));
    hasher.take(prompt);
    hasher.finish();
    std::vector<RequestHeader> headers;
    for (const auto& [name, value] : step.headers) headers.push_back({name, value});
    Request request;
    request.id = running.id = ++last_id_;
    request.model = step.model;
    request.prompt_bytes = prompt.size();
    request.prompt_tokens =
        step.tokens.value_or(static_cast<uint32_t>(prompt.size() / kBytesPerToken));
    request.views = hashed.views();
    request.headers = headers;
    request.first_token_visible = true;
    ExactPrompt exact(std::make_shared<const std::vector<uint32_t>>(tokens_of(prompt)),
                      caches_.root(step.model, ""), caches_.block_sizes());
    if (!exact.chains().empty()) {
      request.chains = exact.chains();
      request.cached = exact.match(caches_, *fleet_.snapshot());
    }
    witness_.clear();
    Outcome outcome{scheduler_->schedule(request, running.excluded), witness_.scored()};
    running.endpoint = outcome.scheduled.decision.endpoint;
    return outcome;
  }

  // The scores of the profile that made the decision; of all of them when nobody knows.
  std::vector<ScoredEndpoint> scores_of(const Outcome& outcome) const {
    const Decision& decision = outcome.scheduled.decision;
    for (const auto& profile : outcome.scored) {
      for (const ScoredEndpoint& one : profile) {
        if (one.endpoint == decision.endpoint && one.score == decision.score) return profile;
      }
    }
    return {};
  }

  std::string all_scores(const Outcome& outcome) const {
    std::string text;
    for (const auto& profile : outcome.scored) {
      text += "\n    scores:";
      for (const ScoredEndpoint& one : profile) {
        text += " " + name_of(one.endpoint) + " " + shown(one.score) + ";";
      }
    }
    return text;
  }

  static std::string refusal_name(Refusal refusal) {
    switch (refusal) {
      case Refusal::kNone:
        return "";
      case Refusal::kNoEndpoints:
        return "no-endpoints";
      case Refusal::kFiltered:
        return "filtered";
      case Refusal::kNotAdmitted:
        return "not-admitted";
      case Refusal::kNotCached:
        return "not-cached";
    }
    return "?";
  }

  void check(const std::string& request, const Expectation& expected, const Outcome& outcome) {
    const auto wrong = [&](const std::string& what, const std::string& got,
                           const std::string& wanted) {
      problem("request " + request + ": " + what + ": got " + got + ", expected " + wanted +
              all_scores(outcome));
    };
    const std::string refusal = refusal_name(outcome.scheduled.refusal);
    if (refusal != expected.refused) {
      return wrong("refused",
                   refusal.empty()
                       ? "no, it went to " + name_of(outcome.scheduled.decision.endpoint)
                       : refusal,
                   expected.refused.empty() ? "an endpoint" : expected.refused);
    }
    if (!refusal.empty()) return;
    check_decision(expected, outcome, wrong);
  }

  template <class Wrong>
  void check_decision(const Expectation& expected, const Outcome& outcome, const Wrong& wrong) {
    const Decision& decision = outcome.scheduled.decision;
    const std::string& got = name_of(decision.endpoint);
    const auto& wanted = expected.endpoints;
    if (!wanted.empty() && std::find(wanted.begin(), wanted.end(), got) == wanted.end()) {
      wrong("goes_to", got, joined(wanted));
    }
    if (expected.fallbacks) {
      std::vector<std::string> fallbacks;
      for (size_t i = 0; i < decision.fallback_count; ++i) {
        fallbacks.push_back(name_of(decision.fallbacks[i]));
      }
      if (fallbacks != *expected.fallbacks) {
        wrong("fallbacks", joined(fallbacks), joined(*expected.fallbacks));
      }
    }
    if (expected.prefill) {
      const std::string prefill = decision.prefill ? name_of(*decision.prefill) : "none";
      if (prefill != *expected.prefill) wrong("prefill", prefill, *expected.prefill);
    }
    if (expected.score && std::abs(decision.score - *expected.score) > kScoreTolerance) {
      wrong("score", shown(decision.score), shown(*expected.score));
    }
    if (expected.cached_tokens && decision.cached_tokens != *expected.cached_tokens) {
      wrong("cached_tokens", std::to_string(decision.cached_tokens),
            std::to_string(*expected.cached_tokens));
    }
    check_scores(expected, outcome, wrong);
  }

  template <class Wrong>
  void check_scores(const Expectation& expected, const Outcome& outcome, const Wrong& wrong) {
    if (expected.scores.empty()) return;
    std::map<std::string, double> got;
    for (const ScoredEndpoint& one : scores_of(outcome)) got[name_of(one.endpoint)] = one.score;
    for (const auto& [name, score] : expected.scores) {
      const auto found = got.find(name);
      if (found == got.end()) {
        wrong("scores: " + name, "no score, it was no candidate", shown(score));
      } else if (std::abs(found->second - score) > kScoreTolerance) {
        wrong("scores: " + name, shown(found->second), shown(score));
      }
    }
    for (const auto& [name, score] : got) {
      if (expected.scores.count(name) == 0) wrong("scores: " + name, shown(score), "no candidate");
    }
  }

  const Scenario& scenario_;
  ManualClock clock_;
  Fleet fleet_;
  FakeExactCaches caches_;
  ScoreWitness witness_;
  Registry registry_;
  std::unique_ptr<Scheduler> scheduler_;
  std::map<std::string, Running> running_;
  RequestId last_id_ = 0;
  int line_ = 0;
  std::vector<Remark> problems_;
};

}  // namespace

std::vector<Remark> play(const Scenario& scenario) {
  return Player(scenario).play();
}

}  // namespace kvasir
