#include "scenario_file.h"

#include <algorithm>
#include <fstream>
#include <functional>
#include <sstream>

#include "base/parameters.h"
#include "base/text.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

// Put behind the configuration, so that its errors have the lines of the block.
constexpr const char* kPostscript = "\napiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";
constexpr int64_t kBurstMost = 100'000;

class Reader {
 public:
  explicit Reader(std::string folder) : folder_(std::move(folder)) {}

  Scenario read(const Value& document) {
    Parameters fields(document, "scenario", "key");
    Scenario scenario;
    scenario.about = fields.text("about", "");
    if (scenario.about.empty()) add(document.line(), "scenario: about must say what it shows");
    scenario.allow_alpha = fields.boolean("allow_experimental_plugins", false);
    scenario.seed = static_cast<uint64_t>(fields.integer("seed", 1));
    scenario.config = config(fields);
    scenario.config_problem = fields.text("config_problem", "");
    each(fields, "endpoints", [&](const std::string& name, const Value& value) {
      scenario.endpoints.push_back(endpoint(name, value));
      names_.push_back(name);
    });
    if (scenario.endpoints.empty()) add(document.line(), "scenario: endpoints: there are none");
    if (const Value* list = fields.any("steps"); list != nullptr && list->list() != nullptr) {
      for (const Value& value : *list->list()) {
        if (auto read_step = step(value)) scenario.steps.push_back(std::move(*read_step));
      }
    }
    if (scenario.steps.empty() && scenario.config_problem.empty()) {
      add(document.line(), "scenario: steps: there are none, so nothing would be checked");
    }
    finish(fields);
    return scenario;
  }

  std::vector<Remark> take_problems() {
    std::stable_sort(problems_.begin(), problems_.end(),
                     [](const Remark& a, const Remark& b) { return a.line < b.line; });
    return std::move(problems_);
  }

 private:
  using Entry = std::function<void(const std::string& name, const Value& value)>;

  void add(int line, std::string text) { problems_.push_back(Remark{line, std::move(text)}); }
  void finish(const Parameters& fields) {
    for (const Remark& problem : fields.problems()) problems_.push_back(problem);
  }

  // The entries of a map.
  void each(Parameters& fields, const char* key, const Entry& entry) {
    const Value* value = fields.any(key);
    if (value == nullptr) return;
    if (value->map() == nullptr) return fields.fail(key, "must be a map");
    for (const auto& [name, element] : *value->map()) entry(name, element);
  }

  void known(int line, const std::string& endpoint) {
    if (std::find(names_.begin(), names_.end(), endpoint) == names_.end()) {
      add(line, "there is no endpoint '" + endpoint + "'");
    }
  }
  void known(int line, const std::vector<std::string>& endpoints) {
    for (const std::string& endpoint : endpoints) known(line, endpoint);
  }

  std::optional<double> number(Parameters& fields, const char* key) {
    const double value = fields.number(key, 0, -1e18, 1e18);  // asked for even when it is absent,
    if (!fields.has(key)) return std::nullopt;                // so that slips find it
    return value;
  }

  std::optional<std::vector<std::string>> texts(Parameters& fields, const char* key) {
    std::vector<std::string> values = fields.texts(key);
    if (!fields.has(key)) return std::nullopt;
    return values;
  }

  // A text, or a list of texts.
  std::vector<std::string> one_or_more(Parameters& fields, const char* key) {
    const Value* value = fields.any(key);
    if (value == nullptr) return {};
    if (value->text() != nullptr) return {*value->text()};
    return fields.texts(key);
  }

  std::string config(Parameters& fields) {
    std::string text = fields.text("config", "");
    const std::string file = fields.text("config_file", "");
    if (text.empty() == file.empty()) {
      fields.fail("config", "or config_file must be given, and only one of them");
    }
    if (!file.empty()) {
      std::ifstream stream(folder_ + "/" + file);
      if (!stream) fields.fail("config_file", "cannot be read");
      std::ostringstream all;
      all << stream.rdbuf();
      return all.str();
    }
    return text.rfind("plugins:", 0) == 0 ? text + kPostscript : text;
  }

  ScenarioEndpoint endpoint(const std::string& name, const Value& value) {
    Parameters fields(value, name, "key");
    ScenarioEndpoint made;
    made.line = value.line();
    made.endpoint.name = name;
    made.endpoint.host = "10.0.0." + std::to_string(names_.size() + 1);
    made.endpoint.port = 8000;
    made.healthy = fields.boolean("healthy", true);
    made.reachable = fields.boolean("reachable", false);
    made.age = fields.duration("age", Duration::zero());
    const int64_t kv_tokens = fields.integer("kv_tokens", 1, 1);
    if (fields.has("kv_tokens")) made.kv_tokens = static_cast<uint64_t>(kv_tokens);
    const int64_t kv_block = fields.integer("kv_block", 1, 1, 65'536);
    if (fields.has("kv_block")) made.kv_block_tokens = static_cast<uint32_t>(kv_block);
    each(fields, "labels", [&](const std::string& label, const Value& text) {
      if (text.text() == nullptr) return add(text.line(), "labels: " + label + " must be a text");
      made.endpoint.labels[label] = *text.text();
    });
    made.metrics = metrics(fields);
    finish(fields);
    return made;
  }

  EngineMetrics metrics(Parameters& fields) {
    EngineMetrics metrics;
    metrics.waiting = number(fields, "waiting");
    metrics.running = number(fields, "running");
    metrics.kv_usage = number(fields, "kv");
    metrics.gpu_utilization = number(fields, "gpu");
    auto details = std::make_shared<EngineDetails>();
    details->running_adapters = fields.texts("adapters");
    details->waiting_adapters = fields.texts("waiting_adapters");
    details->adapters_max = static_cast<uint32_t>(fields.integer("adapters_max", 0, 0, 1'000'000));
    each(fields, "attributes", [&](const std::string& name, const Value& value) {
      if (!value.number()) return add(value.line(), "attributes: " + name + " must be a number");
      details->attributes[name] = *value.number();
    });
    metrics.shared_details = std::move(details);
    return metrics;
  }

  std::vector<PromptPart> prompt(Parameters& fields, const char* key = "prompt") {
    std::vector<PromptPart> parts;
    each(fields, key, [&](const std::string& text, const Value& blocks) {
      const int64_t* count = blocks.integer();
      if (count == nullptr || *count < 0 || *count > 10'000) {
        return add(blocks.line(), std::string(key) + ": " + text + " must be a number of blocks");
      }
      parts.push_back({text, static_cast<uint32_t>(*count)});
    });
    return parts;
  }

  Expectation expectation(Parameters& fields, int line) {
    Expectation expected;
    expected.endpoints = one_or_more(fields, "goes_to");
    known(line, expected.endpoints);
    expected.fallbacks = texts(fields, "fallbacks");
    if (expected.fallbacks) known(line, *expected.fallbacks);
    const std::string prefill = fields.text("prefill", "");
    if (fields.has("prefill")) expected.prefill = prefill;
    if (expected.prefill && *expected.prefill != "none") known(line, *expected.prefill);
    expected.score = number(fields, "score");
    each(fields, "scores", [&](const std::string& name, const Value& value) {
      known(value.line(), name);
      if (!value.number()) return add(value.line(), "scores: " + name + " must be a number");
      expected.scores[name] = *value.number();
    });
    const int64_t cached_tokens = fields.integer("cached_tokens", 0);
    if (fields.has("cached_tokens")) expected.cached_tokens = cached_tokens;
    if (fields.has("refused")) {
      expected.refused = fields.choice("refused", "", {"filtered", "no-endpoints"});
    }
    return expected;
  }

  RequestStep request(Parameters& fields, int line) {
    RequestStep made;
    made.model = fields.text("model", "");
    each(fields, "headers", [&](const std::string& name, const Value& value) {
      if (value.text() == nullptr) return add(value.line(), "headers: " + name + " must be a text");
      made.headers[lower_case(name)] = *value.text();
    });
    made.prompt = prompt(fields);
    const int64_t tokens = fields.integer("tokens", 0, 0, 100'000'000);
    if (fields.has("tokens")) made.tokens = static_cast<uint32_t>(tokens);
    made.subset = texts(fields, "subset");
    if (made.subset) known(line, *made.subset);
    made.expected = expectation(fields, line);
    return made;
  }

  BurstStep burst(Parameters& fields, int line) {
    BurstStep made;
    made.count = static_cast<uint32_t>(fields.integer("burst", 0, 1, kBurstMost));
    made.end_each = fields.boolean("end_each", false);
    made.within = fields.integer("within", 0);
    each(fields, "spread", [&](const std::string& name, const Value& value) {
      known(value.line(), name);
      if (value.integer() == nullptr) return add(value.line(), "spread: must be whole numbers");
      made.spread[name] = *value.integer();
    });
    if (made.spread.empty())
      fields.fail("burst", "must have a spread, or nothing would be checked");
    made.request = request(fields, line);
    return made;
  }

  MetricsStep metrics_step(Parameters& fields) {
    MetricsStep made;
    each(fields, "metrics", [&](const std::string& name, const Value& value) {
      known(value.line(), name);
      Parameters own(value, name, "key");
      made.metrics.emplace_back(name, metrics(own));
      finish(own);
    });
    return made;
  }

  HealthStep health_step(Parameters& fields) {
    HealthStep made;
    each(fields, "health", [&](const std::string& name, const Value& value) {
      known(value.line(), name);
      if (value.boolean() == nullptr) return add(value.line(), "health: must be true or false");
      made.healthy.emplace_back(name, *value.boolean());
    });
    return made;
  }

  HoldsStep holds_step(Parameters& fields) {
    HoldsStep made;
    made.model = fields.text("model", "");
    const Value* held = fields.any("holds");
    if (held->map() == nullptr) {
      fields.fail("holds", "must be a map from endpoints to prompts");
      return made;
    }
    Parameters endpoints(*held, "holds", "key");
    for (const auto& [name, value] : *held->map()) {
      known(value.line(), name);
      made.prompts.emplace_back(name, prompt(endpoints, name.c_str()));
    }
    finish(endpoints);
    return made;
  }

  // A step is told by the key that it has. Flow control's steps will stand here too.
  std::optional<LocatedStep> step(const Value& value) {
    const int line = value.line();
    Parameters fields(value, "step", "key");
    std::optional<Step> made;
    if (fields.has("request")) {
      RequestStep one = request(fields, line);
      one.name = fields.text("request", "");
      made = std::move(one);
    } else if (fields.has("burst")) {
      made = burst(fields, line);
    } else if (fields.has("retry")) {
      RetryStep retry{fields.text("retry", ""), expectation(fields, line)};
      made = std::move(retry);
    } else if (fields.has("prefill_ended")) {
      made = PrefillEndedStep{fields.text("prefill_ended", "")};
    } else if (fields.has("first_token")) {
      made = FirstTokenStep{fields.text("first_token", "")};
    } else if (fields.has("end")) {
      made = EndStep{fields.text("end", "")};
    } else if (fields.has("advance")) {
      made = AdvanceStep{fields.duration("advance", Duration::zero())};
    } else if (fields.has("metrics")) {
      made = metrics_step(fields);
    } else if (fields.has("health")) {
      made = health_step(fields);
    } else if (fields.has("holds")) {
      made = holds_step(fields);
    } else {
      add(line,
          "step: it is none of request, burst, retry, prefill_ended, first_token, end, advance, "
          "metrics, health, "
          "holds");
      return std::nullopt;
    }
    finish(fields);
    return LocatedStep{line, std::move(*made)};
  }

  const std::string folder_;
  std::vector<std::string> names_;
  std::vector<Remark> problems_;
};

}  // namespace

std::variant<Scenario, std::vector<Remark>> read_scenario(std::string_view text,
                                                          const std::string& folder) {
  auto parsed = parse_yaml(text);
  if (const Remark* problem = std::get_if<Remark>(&parsed)) return std::vector<Remark>{*problem};
  Reader reader(folder);
  Scenario scenario = reader.read(std::get<Value>(parsed));
  std::vector<Remark> problems = reader.take_problems();
  if (!problems.empty()) return problems;
  return scenario;
}

}  // namespace kvasir
