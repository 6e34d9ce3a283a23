#include "cluster/label_selector.h"

#include <algorithm>

#include "wire/kube/kube_names.h"

namespace kvasir {
namespace {

using Operator = LabelRequirement::Operator;

}  // namespace
// Reads a selector from its start to its end.
class LabelSelector::Reader {
 public:
  explicit Reader(std::string_view text) : text_(text), rest_(text) {}

  Result<std::vector<LabelRequirement>> read() {
    std::vector<LabelRequirement> conditions;
    skip_space();
    if (rest_.empty()) return conditions;
    do {
      Result<LabelRequirement> condition = read_condition();
      if (!condition) return condition.error();
      conditions.push_back(std::move(*condition));
      skip_space();
    } while (take(","));
    if (!rest_.empty()) return wrong("a comma is missing");
    return conditions;
  }

 private:
  Result<LabelRequirement> read_condition() {
    LabelRequirement condition;
    skip_space();
    const bool absent = take("!");
    skip_space();
    condition.key = word();
    if (!is_label_key(condition.key)) return wrong("'" + condition.key + "' is not a label's key");
    condition.op = absent ? Operator::kDoesNotExist : Operator::kExists;
    skip_space();
    if (absent || rest_.empty() || rest_.front() == ',') return condition;
    if (take("!=")) {
      condition.op = Operator::kNotIn;
    } else if (take("==") || take("=")) {
      condition.op = Operator::kIn;
    } else {
      return read_set(std::move(condition));
    }
    skip_space();
    if (Result<void> read = read_value(condition); !read) return read.error();
    return condition;
  }

  Result<LabelRequirement> read_set(LabelRequirement condition) {
    const std::string op = word();
    if (op != "in" && op != "notin")
      return wrong("'" + condition.key + "' needs =, !=, in or notin");
    condition.op = op == "in" ? Operator::kIn : Operator::kNotIn;
    skip_space();
    if (!take("(")) return wrong("the values of " + op + " stand in parentheses");
    do {
      skip_space();
      if (Result<void> read = read_value(condition); !read) return read.error();
      skip_space();
    } while (take(","));
    if (!take(")")) return wrong("a parenthesis is not closed");
    return condition;
  }

  Result<void> read_value(LabelRequirement& condition) {
    std::string value = word();
    if (!is_label_value(value)) return wrong("'" + value + "' is not a label's value");
    condition.values.push_back(std::move(value));
    return {};
  }

  std::string word() {
    const size_t end = std::min(rest_.find_first_of(" \t,()=!<>"), rest_.size());
    std::string text(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return text;
  }
  bool take(std::string_view text) {
    if (!rest_.starts_with(text)) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size())); }
  Error wrong(const std::string& why) const {
    return Error{"'" + std::string(text_) + "' is not a label selector: " + why};
  }

  const std::string_view text_;
  std::string_view rest_;
};

LabelSelector::LabelSelector(const Labels& labels,
                             const std::vector<LabelRequirement>& requirements) {
  for (const auto& [key, value] : labels) conditions_.push_back({key, Operator::kIn, {value}});
  conditions_.insert(conditions_.end(), requirements.begin(), requirements.end());
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  Result<std::vector<LabelRequirement>> conditions = Reader(text).read();
  if (!conditions) return conditions.error();
  LabelSelector selector;
  selector.conditions_ = std::move(*conditions);
  return selector;
}

bool LabelSelector::matches(const Labels& labels) const {
  return std::all_of(conditions_.begin(), conditions_.end(),
                     [&](const LabelRequirement& condition) { return condition.holds(labels); });
}

std::string LabelSelector::to_string() const {
  std::string text;
  for (const LabelRequirement& condition : conditions_) {
    if (!text.empty()) text += ',';
    if (condition.op == Operator::kDoesNotExist) text += '!';
    text += condition.key;
    if (condition.values.empty()) continue;
    text += condition.op == Operator::kIn ? " in (" : " notin (";
    for (size_t i = 0; i < condition.values.size(); ++i) {
      if (i > 0) text += ',';
      text += condition.values[i];
    }
    text += ')';
  }
  return text;
}

}  // namespace kvasir
