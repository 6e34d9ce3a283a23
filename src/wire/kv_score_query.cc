#include <algorithm>
#include <unordered_set>

#include "base/integer_text.h"
#include "base/nearest_name.h"
#include "wire/json/json_cursor.h"
#include "wire/kv_events/kv_event_json.h"
#include "wire/kv_scores.h"

namespace kvasir {
namespace {

constexpr std::string_view kSpace = " \t\n\r";

bool is_text(std::string_view value) {
  return value.size() >= 2 && value.front() == '"';
}
std::string text_of(std::string_view value) {
  return json_unescaped(value.substr(1, value.size() - 2));
}
std::string_view without_space(std::string_view text) {
  const size_t begin = text.find_first_not_of(kSpace);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kSpace) + 1 - begin);
}

// A name is 64 bits, signed or not.
std::optional<uint64_t> block_name(std::string_view text) {
  if (const auto value = integer_of<uint64_t>(text)) return value;
  if (const auto value = integer_of<int64_t>(text)) return static_cast<uint64_t>(*value);
  return std::nullopt;
}

constexpr size_t kQuotedMost = 32;

Error not_tokens(std::string_view key) {
  return Error{std::string(key) + ": not a list of token ids"};
}
Error not_a_token(std::string_view key, size_t element, std::string_view text) {
  return Error{not_tokens(key).message + ": element " + std::to_string(element) + ", '" +
               std::string(text.substr(0, kQuotedMost)) +
               "', is no whole number from 0 to 4294967295"};
}

// A list of numbers, read in one go: a long prompt has a hundred thousand of them.
Result<std::vector<uint32_t>> read_tokens(std::string_view key, std::string_view list,
                                          size_t most) {
  if (list.size() < 2 || list.front() != '[' || list.back() != ']') return not_tokens(key);
  std::string_view rest = without_space(list.substr(1, list.size() - 2));
  std::vector<uint32_t> tokens;
  tokens.reserve(std::min(most, rest.size() / 4));
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    const std::string_view element = without_space(rest.substr(0, comma));
    const auto token = integer_of<uint32_t>(element);
    if (!token) return not_a_token(key, tokens.size(), element);
    if (tokens.size() == most) {
      return Error{std::string(key) + ": more than " + std::to_string(most) + " tokens"};
    }
    tokens.push_back(*token);
    if (comma == std::string_view::npos) return tokens;
    rest.remove_prefix(comma + 1);
    if (rest.empty()) return not_a_token(key, tokens.size(), rest);
  }
  return tokens;
}

// Calls `take` with each element until it says no. False: not a list, or it said no.
template <class Take>
bool each_element(std::string_view list, Take&& take) {
  if (list.empty() || list.front() != '[') return false;
  JsonElements elements(list);
  while (elements.next()) {
    if (!take(elements.value())) return false;
  }
  return true;
}

Result<void> read_blocks(std::string_view list, size_t most,
                         std::vector<ScoreQuery::Block>& blocks) {
  bool too_many = false;
  const bool sound = each_element(list, [&](std::string_view value) {
    too_many = blocks.size() == most;
    if (too_many) return false;
    if (is_text(value)) {
      std::string text = text_of(value);
      const uint64_t name = kv_block_name(text);
      blocks.push_back({std::move(text), name});
      return true;
    }
    const std::optional<uint64_t> name = block_name(value);
    if (name) blocks.push_back({std::string(value), *name});
    return name.has_value();
  });
  if (too_many) return Error{"prompt_blocks: more than " + std::to_string(most) + " blocks"};
  if (!sound) {
    return Error{
        "prompt_blocks: not a list of block hashes, which are integers or texts as in "
        "\"sha256:...\""};
  }
  return {};
}

Result<void> read_pods(std::string_view list, size_t most, std::vector<std::string>& pods) {
  std::unordered_set<std::string> names;
  bool too_many = false;
  const bool sound = each_element(list, [&](std::string_view value) {
    too_many = pods.size() == most;
    if (too_many || !is_text(value)) return false;
    std::string name = text_of(value);
    if (names.insert(name).second) pods.push_back(std::move(name));
    return true;
  });
  if (too_many) return Error{"candidate_pods: more than " + std::to_string(most) + " pods"};
  if (!sound) return Error{"candidate_pods: not a list of names"};
  return {};
}

Result<void> read_text(std::string_view key, std::string_view value, std::string& text) {
  if (!is_text(value)) return Error{std::string(key) + ": not a text"};
  text = text_of(value);
  return {};
}

Result<void> read_prompt(std::string_view value, const ScoreQueryLimits& limits,
                         ScoreQuery& query) {
  if (is_text(value)) {
    query.prompt = text_of(value);
    return {};
  }
  Result<std::vector<uint32_t>> tokens = read_tokens("prompt", value, limits.tokens_max);
  query.other_prompt |= !tokens;  // a list of texts, say: nothing is known of it
  if (tokens && !query.token_ids) query.token_ids = std::move(*tokens);
  return {};
}

// The fields of a question; "lora" is known as "lora_name", too, which is how events call it.
const std::vector<std::string_view>& question_fields() {
  static const std::vector<std::string_view> fields = {
      "model",     "prompt",     "token_ids",     "messages",      "lora",
      "lora_name", "cache_salt", "prompt_blocks", "candidate_pods"};
  return fields;
}

// Skipped in silence, it would be answered as if it were not there: without a salt, say.
Error unknown_field(std::string_view key) {
  key = key.substr(0, kQuotedMost);
  std::string hint = did_you_mean(key, question_fields());
  for (const std::string_view field : question_fields()) {
    const bool is_part = key.size() > 2 && field.find(key) != std::string_view::npos;
    if (hint.empty() && is_part) hint = "; did you mean '" + std::string(field) + "'?";
  }
  if (hint.empty()) {
    for (const std::string_view field : question_fields()) {
      hint.append(hint.empty() ? "; there are " : ", ").append(field);
    }
  }
  return Error{std::string(key) + ": a question has no such field" + hint};
}

bool is_field(std::string_view key) {
  const auto& fields = question_fields();
  return std::find(fields.begin(), fields.end(), key) != fields.end();
}

Result<void> read_member(std::string_view key, std::string_view value,
                         const ScoreQueryLimits& limits, ScoreQuery& query) {
  if (!is_field(key)) return unknown_field(key);
  // Our own gateway's, of a prompt that cannot be passed on.
  if (key == "prompt" && value == "null") query.other_prompt = true;
  if (value == "null") return {};
  if (key == "model") return read_text(key, value, query.model);
  if (key == "lora" || key == "lora_name") return read_text(key, value, query.lora);
  if (key == "cache_salt") return read_text(key, value, query.cache_salt);
  if (key == "prompt") return read_prompt(value, limits, query);
  if (key == "messages") query.conversation = true;
  if (key == "prompt_blocks") {
    query.blocks.clear();
    return read_blocks(value, limits.blocks_max, query.blocks);
  }
  if (key == "candidate_pods") {
    query.pods.emplace();
    return read_pods(value, limits.pods_max, *query.pods);
  }
  if (key == "token_ids") {
    Result<std::vector<uint32_t>> tokens = read_tokens(key, value, limits.tokens_max);
    if (!tokens) return tokens.error();
    query.token_ids = std::move(*tokens);
  }
  return {};
}

}  // namespace

Result<ScoreQuery> read_score_query(std::string_view body, const ScoreQueryLimits& limits) {
  const std::string_view object = without_space(body);
  if (object.empty() || object.front() != '{') return Error{"the body is not a JSON object"};
  ScoreQuery query;
  JsonMembers members(object);
  while (members.next()) {
    const Result<void> read = read_member(members.key(), members.value(), limits, query);
    if (!read) return read.error();
  }
  if (members.malformed()) return Error{"the body is not a JSON object"};
  if (members.at() != object.size()) return Error{"something follows the JSON object"};
  return query;
}

}  // namespace kvasir
