#include "wire/kv_transfer/leg_bodies.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <vector>

#include "base/assert.h"
#include "wire/json/json_cursor.h"
#include "wire/kv_transfer/router_members.h"

namespace kvasir {
namespace {

constexpr std::string_view kTransferParams = "kv_transfer_params";
constexpr std::string_view kEncoderParams = "ec_transfer_params";
constexpr std::string_view kSamplingParams = "sampling_params";
constexpr std::string_view kExtraArguments = "extra_args";
constexpr std::string_view kXargs = "vllm_xargs";  // what vLLM hands to the engine as extra_args
constexpr std::string_view kHitThreshold = "cache_hit_threshold";

// What a prefill leg does not need: probabilities, an echo, several answers, a grammar for the
// answer, what would end it before there is a handoff, and an answer that comes later.
constexpr std::string_view kOfAnswers[] = {"stream_options",
                                           "best_of",
                                           "logprobs",
                                           "top_logprobs",
                                           "prompt_logprobs",
                                           "echo",
                                           "stop",
                                           "stop_sequences",
                                           "stop_token_ids",
                                           "response_format",
                                           "guided_json",
                                           "guided_regex",
                                           "structured_outputs",
                                           "guided_choice",
                                           "guided_grammar",
                                           "use_beam_search",
                                           "background"};
constexpr std::string_view kAnswerCount = "n";
constexpr std::string_view kPrompt = "prompt";
constexpr std::string_view kPromptEmbeds = "prompt_embeds";  // beside those of kPrompt
constexpr std::string_view kTemperature = "temperature";
constexpr std::string_view kEarlierAnswer = "previous_response_id";
// What makes more of a token than text.
constexpr std::string_view kOfTools[] = {"tools", "functions", "logits_processors", "logit_bias"};

constexpr std::string_view kTokenLimits[] = {"max_tokens", "max_completion_tokens", "min_tokens"};
constexpr std::string_view kResponsesLimits[] = {"max_output_tokens"};
constexpr std::string_view kGenerateLimits[] = {"max_tokens", "min_tokens"};

std::span<const std::string_view> limits_of(RequestApi api) {
  if (api == RequestApi::kResponses) return kResponsesLimits;
  if (api == RequestApi::kVllmGenerate) return kGenerateLimits;
  return kTokenLimits;
}

// How many of the limits a prefill leg gets even where the client set none.
size_t limits_always(KvDialect dialect) {
  switch (dialect) {
    case KvDialect::kNixl:
    case KvDialect::kNixlV2:
      return 3;
    case KvDialect::kLmcache:
    case KvDialect::kSharedStorage:
      return 2;
    default:
      return 1;
  }
}

bool keeps_stream(KvDialect dialect) {
  return dialect == KvDialect::kLmcache || dialect == KvDialect::kSharedStorage;
}

// All that an edit or a question may name, in the body or in its sampling_params.
std::vector<std::string_view> all_keys() {
  std::vector<std::string_view> keys = {
      kSamplingParams,     kXargs,  kExtraArguments, kHitThreshold, "stream",      kAnswerCount,
      "max_output_tokens", kPrompt, kPromptEmbeds,   kTemperature,  kEarlierAnswer};
  const auto add = [&keys](const auto& more) {
    keys.insert(keys.end(), std::begin(more), std::end(more));
  };
  add(kOfRouters), add(kOfAnswers), add(kTokenLimits), add(kOfTools);
  return keys;
}

std::span<const std::string_view> body_keys() {
  static const std::vector<std::string_view> kKeys = all_keys();
  return kKeys;
}

// nullopt: the value is no list of prompts, but one prompt or none.
std::optional<size_t> listed_prompts(std::optional<std::string_view> value) {
  if (!value || value->front() != '[') return std::nullopt;
  size_t count = 0;
  JsonElements elements(*value);
  while (elements.next()) {
    const char first = elements.value().front();
    if (first != '"' && first != '[' && first != '{') return std::nullopt;  // one list of token ids
    ++count;
  }
  if (count == 0) return std::nullopt;
  return count;
}

// An object of extra arguments with `params` in it; nullopt: nothing is to change.
std::optional<std::string> with_params(std::optional<std::string_view> object,
                                       std::string_view params) {
  static constexpr std::string_view kKeys[] = {kTransferParams, kEncoderParams};
  std::array<JsonEdit, 2> edits = {
      {{kTransferParams, std::nullopt}, {kEncoderParams, std::nullopt}}};
  if (!params.empty()) edits[0].value = params;
  if (!object || *object == "null") {
    if (params.empty()) return std::nullopt;
    object = "{}";
  }
  const Result<JsonEditor> editor = JsonEditor::read(*object, kKeys);
  if (!editor) return std::nullopt;  // the engine refuses it
  if (params.empty() && !editor->find(kTransferParams) && !editor->find(kEncoderParams)) {
    return std::nullopt;
  }
  return editor->write(edits);
}

// sampling_params of /inference/v1/generate, edited; nullopt: nothing is to change.
std::optional<std::string> edited_sampling(std::optional<std::string_view> object,
                                           std::vector<JsonEdit> edits, std::string_view params) {
  if (!object || *object == "null") {
    if (edits.empty() && params.empty()) return std::nullopt;
    object = "{}";
  }
  const Result<JsonEditor> editor = JsonEditor::read(*object, body_keys());
  if (!editor) return std::nullopt;  // the engine refuses it
  const auto extra = with_params(editor->find(kExtraArguments), params);
  if (extra) edits.push_back({kExtraArguments, *extra});
  if (edits.empty()) return std::nullopt;
  return editor->write(edits);
}

}  // namespace

// Of the body, and of the object that holds what limits the answer: the body itself or its
// sampling_params.
struct LegBodies::Edits {
  std::vector<JsonEdit> body;
  std::vector<JsonEdit> sampling;
  std::string_view params;
};

bool has_two_legs(RequestApi api) {
  switch (api) {
    case RequestApi::kCompletions:
    case RequestApi::kChatCompletions:
    case RequestApi::kResponses:
    case RequestApi::kAnthropicMessages:
    case RequestApi::kVllmGenerate:
      return true;
    default:
      return false;
  }
}

Result<LegBodies> LegBodies::read(RequestApi api, std::string_view body) {
  KVASIR_ASSERT(has_two_legs(api), "only requests that generate have two legs");
  Result<JsonEditor> editor = JsonEditor::read(body, body_keys());
  if (!editor) return editor.error();
  return LegBodies(api, std::move(*editor));
}

bool LegBodies::stream() const {
  return body_.find("stream") == "true";
}

bool LegBodies::has_certain_first_token() const {
  const bool is_text = api_ == RequestApi::kCompletions || api_ == RequestApi::kChatCompletions;
  if (!is_text || !stream() || prompts()) return false;
  const std::string_view temperature = body_.find(kTemperature).value_or("");
  if (temperature != "0" && temperature != "0.0") return false;
  const auto says = [this](std::string_view key) {
    const std::optional<std::string_view> value = body_.find(key);
    return value && *value != "null" && *value != "false" && key != "stream_options";
  };
  if (std::any_of(std::begin(kOfAnswers), std::end(kOfAnswers), says)) return false;
  if (std::any_of(std::begin(kOfTools), std::end(kOfTools), says)) return false;
  const std::string_view count = body_.find(kAnswerCount).value_or("1");
  return count == "1" || count == "null";
}

bool LegBodies::says_cached_tokens() const {
  if (api_ != RequestApi::kCompletions && api_ != RequestApi::kChatCompletions) return false;
  if (!stream()) return true;
  constexpr std::string_view kAsks[] = {"include_usage", "continuous_usage_stats"};
  const Result<JsonEditor> options =
      JsonEditor::read(body_.find("stream_options").value_or("{}"), kAsks);
  return options && (options->find(kAsks[0]) == "true" || options->find(kAsks[1]) == "true");
}

std::optional<JsonEditor> LegBodies::sampling_params() const {
  if (api_ != RequestApi::kVllmGenerate) return std::nullopt;
  Result<JsonEditor> read =
      JsonEditor::read(body_.find(kSamplingParams).value_or("{}"), body_keys());
  return read ? std::optional(std::move(*read)) : std::nullopt;
}

bool LegBodies::wants_one_worker() const {
  const std::optional<JsonEditor> apart = sampling_params();
  const JsonEditor& asked = apart ? *apart : body_;
  const auto says = [&asked](std::string_view key) {
    const std::string_view value = asked.find(key).value_or("null");
    return value != "null" && value != "false";
  };
  return says(kEarlierAnswer) || says("prompt_logprobs") || (says("echo") && says("logprobs"));
}

std::optional<size_t> LegBodies::prompts() const {
  return listed_prompts(body_.find(kPrompt));
}

bool LegBodies::has_several_prompts() const {
  if (api_ != RequestApi::kCompletions) return false;
  size_t count = 0;
  for (const std::string_view key : {kPrompt, kPromptEmbeds}) {
    const std::optional<std::string_view> value = body_.find(key);
    if (value && *value != "null") count += listed_prompts(value).value_or(1);
  }
  return count > 1;
}

bool LegBodies::names_workers() const {
  const auto is_there = [this](std::string_view key) { return body_.find(key).has_value(); };
  if (std::any_of(std::begin(kOfRouters), std::end(kOfRouters), is_there)) return true;
  if (with_params(body_.find(kXargs), {})) return true;
  if (api_ != RequestApi::kVllmGenerate) return false;
  return edited_sampling(body_.find(kSamplingParams), {}, {}).has_value();
}

void LegBodies::end_after_one_token(KvDialect dialect, Edits& edits) const {
  const bool apart = api_ == RequestApi::kVllmGenerate;
  std::vector<JsonEdit>& limiting = apart ? edits.sampling : edits.body;
  const std::optional<JsonEditor> sampling = sampling_params();
  const auto is_there = [&](std::string_view key) {
    return apart ? sampling && sampling->find(key) : body_.find(key).has_value();
  };
  const std::span<const std::string_view> limits = limits_of(api_);
  for (size_t i = 0; i < limits.size(); ++i) {
    if (i < limits_always(dialect) || is_there(limits[i])) limiting.push_back({limits[i], "1"});
  }
  // P2pNcclConnector names blocks by the sequence, "0_cmpl-ID", "1_cmpl-ID", ..., and a decoder
  // waits for ever for those of a name that no prefiller has.
  if (dialect != KvDialect::kP2p && is_there(kAnswerCount)) limiting.push_back({kAnswerCount, "1"});
  for (const std::string_view key : kOfAnswers) {
    if (keeps_stream(dialect) && key == "stream_options") continue;
    limiting.push_back({key, std::nullopt});
  }
  if (!keeps_stream(dialect)) {
    if (apart) edits.body.push_back({"stream_options", std::nullopt});
    const bool is_the_proxys = dialect == KvDialect::kP2p || dialect == KvDialect::kFolder;
    const bool is_the_default = is_the_proxys && !body_.find("stream");
    if (!is_the_default) edits.body.push_back({"stream", "false"});
  }
}

std::string LegBodies::prefill(KvDialect dialect, const LegFields& fields) const {
  Edits edits{{fields.members.begin(), fields.members.end()}, {}, fields.params};
  if (dialect != KvDialect::kSglang) end_after_one_token(dialect, edits);
  if (dialect == KvDialect::kNixl) edits.body.push_back({"do_remote_decode", "true"});
  if (dialect == KvDialect::kSharedStorage) edits.body.push_back({kHitThreshold, "0"});
  return write(std::move(edits));
}

LegBodies::Edits LegBodies::of_decode(KvDialect dialect, const LegFields& fields) const {
  Edits edits{{fields.members.begin(), fields.members.end()}, {}, fields.params};
  if (dialect == KvDialect::kNixl) edits.body.push_back({"do_remote_prefill", "true"});
  if (dialect == KvDialect::kSharedStorage) edits.body.push_back({kHitThreshold, "0"});
  return edits;
}

std::string LegBodies::decode(KvDialect dialect, const LegFields& fields) const {
  return write(of_decode(dialect, fields));
}

std::string LegBodies::release(KvDialect dialect, const LegFields& fields) const {
  Edits edits = of_decode(dialect, fields);
  end_after_one_token(dialect, edits);
  return write(std::move(edits));
}

std::string LegBodies::local() const {
  return write({});
}

std::string LegBodies::write(Edits edits) const {
  const bool apart = api_ == RequestApi::kVllmGenerate;
  if (!apart && !edits.params.empty()) edits.body.push_back({kTransferParams, edits.params});
  for (const std::string_view key : kOfRouters) {
    const auto is_set = [key](const JsonEdit& edit) { return edit.key == key; };
    if (std::none_of(edits.body.begin(), edits.body.end(), is_set)) {
      edits.body.push_back({key, std::nullopt});
    }
  }
  const std::optional<std::string> xargs = with_params(body_.find(kXargs), {});
  if (xargs) edits.body.push_back({kXargs, *xargs});
  const std::optional<std::string> sampling =
      apart ? edited_sampling(body_.find(kSamplingParams), edits.sampling, edits.params)
            : std::nullopt;
  if (sampling) edits.body.push_back({kSamplingParams, *sampling});
  return body_.write(edits.body);
}

}  // namespace kvasir
