// Which model a request is sent on with, by the model that its client named: rules as an
// InferenceModelRewrite has them.
//
// A rule that names the model beats one for every model; among equals the one that was added first.
// Of a rule's targets one is drawn by weight. Targets without weights count alike; beside weighted
// ones they are never drawn. A rule without targets leaves the model as it is. (llm-d-router
// v0.10.0 answers 400 then.)
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"

namespace kvasir {

class ModelRewriteTable {
 public:
  struct Target {
    std::string model;
    std::optional<uint32_t> weight;
  };
  // `origin`: what says so, for metrics. `models`: empty for every model.
  void add(const std::string& origin, const std::vector<std::string>& models,
           std::vector<Target> targets);
  bool empty() const { return by_model_.empty() && every_model_ == nullptr; }

  // Views live as long as the table.
  struct Drawn {
    std::string_view model;
    std::string_view origin;
  };
  // nullopt: no rule is for that model.
  std::optional<Drawn> draw(std::string_view model, Random& random) const;

 private:
  struct Rule {
    std::string origin;
    std::vector<Target> targets;
    uint64_t weights = 0;  // of all targets; 0: they count alike
  };

  std::map<std::string, std::shared_ptr<const Rule>, std::less<>> by_model_;
  std::shared_ptr<const Rule> every_model_;  // null: no rule is for every model
};

}  // namespace kvasir
