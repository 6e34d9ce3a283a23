#include "tokens/tokenizer_parts.h"

#include <string>
#include <vector>

namespace kvasir {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

// A part that is one step, a Sequence of steps, or null: each step in its order. A Sequence in a
// Sequence is refused by the readers, which do not know that type.
struct Steps {
  std::vector<object> steps;
  std::string problem;  // empty: there is none
};

Steps steps_of(object file, const char* part, const char* list) {
  Steps result;
  element value;
  if (file[part].get(value) != simdjson::SUCCESS || value.is_null()) return result;
  object step;
  std::string_view type;
  if (value.get(step) != simdjson::SUCCESS || step["type"].get(type) != simdjson::SUCCESS) {
    result.problem = std::string(part) + " has no type";
    return result;
  }
  array steps;
  if (type != "Sequence") {
    result.steps.push_back(step);
  } else if (step[list].get(steps) != simdjson::SUCCESS) {
    result.problem = std::string(part) + "." + list + " is not a list";
  } else {
    for (const element each : steps) {
      if (each.get(step) == simdjson::SUCCESS) result.steps.push_back(step);
    }
    if (result.steps.size() != steps.size()) result.problem = std::string(part) + " has no type";
  }
  return result;
}

std::string_view type_of(object step) {
  return value_or(step["type"], std::string_view());
}

Error refused(std::string_view part, std::string_view type) {
  return Error{std::string(part) + ": " + std::string(type) + " is not supported"};
}

Result<SplitRules> rules_of_split(object split) {
  std::string_view expression;
  if (split["pattern"]["Regex"].get(expression) != simdjson::SUCCESS) {
    return Error{"pre_tokenizer: Split by a text is not supported"};
  }
  const std::optional<SplitRules> rules = split_rules_of(expression);
  if (!rules) {
    return Error{"pre_tokenizer: Split by the expression " + std::string(expression) +
                 " is not supported: it is none of GPT-2's, Llama-3's and Qwen's"};
  }
  // These expressions match all of a text: what stands between matches is nothing.
  const std::string_view behavior = value_or(split["behavior"], std::string_view());
  const bool invert = flag(split, "invert");
  if (behavior != "Isolated" && !(behavior == "Removed" && invert)) {
    return Error{"pre_tokenizer: Split with behavior " + std::string(behavior) +
                 (invert ? ", inverted," : "") + " is not supported"};
  }
  return *rules;
}

class TemplateReader {
 public:
  TemplateReader(object step, const TokenizerLimits& limits, TokenizerFile& result)
      : step_(step), limits_(limits), result_(result) {}

  Result<void> read() {
    array pieces;
    if (step_["single"].get(pieces) != simdjson::SUCCESS) {
      return Error{"post_processor.single is not a list"};
    }
    bool behind = false;
    for (const element piece : pieces) {
      std::string_view name;
      if (piece["Sequence"]["id"].get(name) == simdjson::SUCCESS) {
        if (name != "A" || behind) return Error{"post_processor.single has not the text $A once"};
        behind = true;
      } else if (piece["SpecialToken"]["id"].get(name) == simdjson::SUCCESS) {
        const Result<void> done = add(name, behind ? result_.behind_text : result_.before_text);
        if (!done) return done;
      } else {
        return Error{"post_processor.single: neither Sequence nor SpecialToken"};
      }
    }
    if (!behind) return Error{"post_processor.single has not the text $A once"};
    return {};
  }

 private:
  Result<void> add(std::string_view name, std::vector<uint32_t>& ids) const {
    array listed;
    if (step_["special_tokens"][name]["ids"].get(listed) != simdjson::SUCCESS) {
      return Error{"post_processor.special_tokens has no ids of " + std::string(name)};
    }
    for (const element each : listed) {
      uint64_t id = 0;
      if (each.get(id) != simdjson::SUCCESS || id >= limits_.vocabulary) {
        return Error{"post_processor.special_tokens: an id of " + std::string(name) + " is none"};
      }
      if (ids.size() == limits_.template_tokens) {
        return Error{"post_processor.single: more than " + std::to_string(limits_.template_tokens)};
      }
      ids.push_back(static_cast<uint32_t>(id));
    }
    return {};
  }

  object step_;
  const TokenizerLimits& limits_;
  TokenizerFile& result_;
};

// [text, id] of "cls" or "sep".
Result<void> read_pair(object step, const char* key, std::vector<uint32_t>& ids) {
  uint64_t id = 0;
  if (step[key].at_pointer("/1").get(id) != simdjson::SUCCESS || id > UINT32_MAX) {
    return Error{std::string("post_processor.") + key + " has no id"};
  }
  ids.push_back(static_cast<uint32_t>(id));
  return {};
}

}  // namespace

bool flag(object object, const char* key) {
  return value_or(object[key], false);
}

Result<void> read_normalizer(object file, TokenizerFile& result) {
  const Steps steps = steps_of(file, "normalizer", "normalizers");
  if (!steps.problem.empty()) return Error{steps.problem};
  for (const object step : steps.steps) {
    if (type_of(step) != "NFC") return refused("normalizer", type_of(step));
    result.nfc = true;
  }
  return {};
}

Result<void> read_pre_tokenizer(object file, const TokenizerLimits& limits, TokenizerFile& result) {
  const Steps steps = steps_of(file, "pre_tokenizer", "pretokenizers");
  if (!steps.problem.empty()) return Error{steps.problem};
  if (steps.steps.size() > limits.splits) {
    return Error{"pre_tokenizer: more than " + std::to_string(limits.splits) + " steps"};
  }
  bool byte_level = false;
  for (const object step : steps.steps) {
    const std::string_view type = type_of(step);
    if (byte_level)
      return Error{"pre_tokenizer: " + std::string(type) + " behind ByteLevel is not supported"};
    if (type == "ByteLevel") {
      byte_level = true;
      result.prefix_space = value_or(step["add_prefix_space"], true);
      if (result.prefix_space && !result.splits.empty()) {
        return Error{
            "pre_tokenizer: ByteLevel with add_prefix_space behind others is not supported"};
      }
      if (value_or(step["use_regex"], true)) result.splits.push_back(kGpt2Rules);
    } else if (type == "Split") {
      Result<SplitRules> rules = rules_of_split(step);
      if (!rules) return rules.error();
      result.splits.push_back(*rules);
    } else if (type == "Digits") {
      SplitRules rules;
      rules.kind = SplitRules::Kind::kNumbers;
      rules.numbers_most = flag(step, "individual_digits") ? 1 : 0;
      result.splits.push_back(rules);
    } else {
      return refused("pre_tokenizer", type);
    }
  }
  if (!byte_level)
    return Error{"pre_tokenizer: there is no ByteLevel; only byte-level BPE is supported"};
  return {};
}

Result<void> read_post_processor(object file, const TokenizerLimits& limits,
                                 TokenizerFile& result) {
  const Steps steps = steps_of(file, "post_processor", "processors");
  if (!steps.problem.empty()) return Error{steps.problem};
  for (const object step : steps.steps) {
    const std::string_view type = type_of(step);
    if (type == "ByteLevel") continue;
    if (!result.before_text.empty() || !result.behind_text.empty()) {
      return Error{"post_processor: more than one that adds tokens is not supported"};
    }
    Result<void> done;
    if (type == "TemplateProcessing") {
      done = TemplateReader(step, limits, result).read();
    } else if (type == "RobertaProcessing" || type == "BertProcessing") {
      done = read_pair(step, "cls", result.before_text);
      if (done) done = read_pair(step, "sep", result.behind_text);
    } else {
      return refused("post_processor", type);
    }
    if (!done) return done;
  }
  return {};
}

}  // namespace kvasir
