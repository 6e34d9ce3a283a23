#include "cluster/label_selector.h"

#include <algorithm>
#include <cctype>

namespace kvasir {
namespace {

constexpr size_t kNameBytesMost = 63;     // of a value, and of a key's part behind the slash
constexpr size_t kPrefixBytesMost = 253;  // of a key's part before it

bool is_letter_or_digit(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0;
}

// Letters, digits, and `inner` between them.
bool is_name(std::string_view text, std::string_view inner, size_t bytes_most) {
  if (text.empty() || text.size() > bytes_most) return false;
  if (!is_letter_or_digit(text.front()) || !is_letter_or_digit(text.back())) return false;
  return std::all_of(text.begin(), text.end(), [inner](char c) {
    return is_letter_or_digit(c) || inner.find(c) != std::string_view::npos;
  });
}

bool is_label_key(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return is_name(text, "-_.", kNameBytesMost);
  return is_name(text.substr(0, slash), "-.", kPrefixBytesMost) &&
         is_name(text.substr(slash + 1), "-_.", kNameBytesMost);
}

bool is_label_value(std::string_view text) {
  return text.empty() || is_name(text, "-_.", kNameBytesMost);
}

}  // namespace

// Reads a selector from its start to its end.
class LabelSelector::Reader {
 public:
  explicit Reader(std::string_view text) : text_(text), rest_(text) {}

  Result<std::vector<Condition>> read() {
    std::vector<Condition> conditions;
    skip_space();
    if (rest_.empty()) return conditions;
    do {
      Result<Condition> condition = read_condition();
      if (!condition) return condition.error();
      conditions.push_back(std::move(*condition));
      skip_space();
    } while (take(","));
    if (!rest_.empty()) return wrong("a comma is missing");
    return conditions;
  }

 private:
  Result<Condition> read_condition() {
    Condition condition;
    skip_space();
    const bool absent = take("!");
    skip_space();
    condition.key = word();
    if (!is_label_key(condition.key)) return wrong("'" + condition.key + "' is not a label's key");
    condition.op = absent ? Operator::kAbsent : Operator::kExists;
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

  Result<Condition> read_set(Condition condition) {
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

  Result<void> read_value(Condition& condition) {
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
  for (const LabelRequirement& requirement : requirements) {
    Condition condition{requirement.key, Operator::kIn, requirement.values};
    switch (requirement.op) {
      case LabelRequirement::Operator::kIn:
        break;
      case LabelRequirement::Operator::kNotIn:
        condition.op = Operator::kNotIn;
        break;
      case LabelRequirement::Operator::kExists:
        condition.op = Operator::kExists;
        break;
      case LabelRequirement::Operator::kDoesNotExist:
        condition.op = Operator::kAbsent;
        break;
    }
    conditions_.push_back(std::move(condition));
  }
}

Result<LabelSelector> LabelSelector::parse(std::string_view text) {
  Result<std::vector<Condition>> conditions = Reader(text).read();
  if (!conditions) return conditions.error();
  LabelSelector selector;
  selector.conditions_ = std::move(*conditions);
  return selector;
}

bool LabelSelector::matches(const Labels& labels) const {
  return std::all_of(conditions_.begin(), conditions_.end(), [&](const Condition& condition) {
    const auto label = labels.find(condition.key);
    const bool present = label != labels.end();
    switch (condition.op) {
      case Operator::kExists:
        return present;
      case Operator::kAbsent:
        return !present;
      case Operator::kIn:
      case Operator::kNotIn:
        break;
    }
    const auto& values = condition.values;
    const bool among =
        present && std::find(values.begin(), values.end(), label->second) != values.end();
    return among == (condition.op == Operator::kIn);
  });
}

std::string LabelSelector::to_string() const {
  std::string text;
  for (const Condition& condition : conditions_) {
    if (!text.empty()) text += ',';
    if (condition.op == Operator::kAbsent) text += '!';
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
