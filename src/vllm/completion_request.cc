#include "vllm/completion_request.h"

#include <algorithm>

#include "vllm/constraint_fields.h"
#include "vllm/generation_fields.h"
#include "vllm/raw_checks.h"
#include "vllm/request_body.h"

namespace kvasir {
namespace {

using Null = FieldReader::Null;
using TokenIds = std::vector<uint32_t>;

std::string location_in(const std::string& location, size_t index) {
  return location + "." + std::to_string(index);
}

const JsonArray* read_list(const JsonValue& value, const std::string& location,
                           FieldErrors& errors) {
  if (value.array() == nullptr) {
    errors.add("list_type", location, "Input should be a valid list", value);
  }
  return value.array();
}

// The four forms of a prompt, tried in this order. Each adds its errors to `errors` when it does
// not fit.

std::optional<TokenIds> read_token_ids(const JsonValue& value, const std::string& location,
                                       FieldErrors& errors, WideInt& cut) {
  const JsonArray* list = read_list(value, location, errors);
  if (list == nullptr) return std::nullopt;
  FieldErrors own;
  TokenIds ids;
  ids.reserve(list->size());
  for (size_t i = 0; i < list->size(); ++i) {
    const JsonValue& item = (*list)[i];
    const WideInt* plain = item.integer();
    const std::optional<WideInt> id =
        plain != nullptr ? *plain : read_integer(item, location_in(location, i), own);
    if (id && *id < 0) {
      own.add("greater_than_equal", location_in(location, i),
              "Input should be greater than or equal to 0", item);
    }
    if (id && *id > UINT32_MAX) cut = std::max(cut, *id);
    ids.push_back(static_cast<uint32_t>(std::clamp<WideInt>(id.value_or(0), 0, UINT32_MAX)));
  }
  errors.append(own);
  if (!own.empty()) return std::nullopt;
  return ids;
}

std::optional<std::vector<Prompt>> read_lists_of_ids(const JsonValue& value,
                                                     const std::string& location,
                                                     FieldErrors& errors, WideInt& cut) {
  const JsonArray* list = read_list(value, location, errors);
  if (list == nullptr) return std::nullopt;
  FieldErrors own;
  std::vector<Prompt> prompts;
  for (size_t i = 0; i < list->size(); ++i) {
    // The location of an inner item ends at the list's place: what the union adds is cleaned away.
    FieldErrors inner;
    auto ids = read_token_ids((*list)[i], location_in(location, i), inner, cut);
    own.append(inner);
    if (ids) prompts.emplace_back(std::move(*ids));
  }
  errors.append(own);
  if (!own.empty()) return std::nullopt;
  return prompts;
}

std::optional<std::vector<Prompt>> read_list_of_texts(const JsonValue& value,
                                                      const std::string& location,
                                                      FieldErrors& errors) {
  const JsonArray* list = read_list(value, location, errors);
  if (list == nullptr) return std::nullopt;
  FieldErrors own;
  std::vector<Prompt> prompts;
  for (size_t i = 0; i < list->size(); ++i) {
    auto text = read_string((*list)[i], location_in(location, i), own);
    if (text) prompts.emplace_back(std::move(*text));
  }
  errors.append(own);
  if (!own.empty()) return std::nullopt;
  return prompts;
}

// Strings that hold numbers stay texts: an exact match goes before a converted one.
bool holds_text(const JsonValue& value) {
  const JsonArray* list = value.array();
  return list != nullptr && !list->empty() &&
         std::all_of(list->begin(), list->end(),
                     [](const JsonValue& item) { return item.string() != nullptr; });
}

void read_prompts(const FieldReader& reader, CompletionRequest& request) {
  const JsonValue* value = reader.find("prompt");
  if (value == nullptr || value->is_null()) return;
  if (const std::string* text = value->string()) {
    request.prompts = {*text};
    return;
  }
  if (value->array() != nullptr && value->array()->empty()) return;
  const std::string location = reader.location_of("prompt");
  FieldErrors errors;
  if (holds_text(*value)) {
    request.prompts = *read_list_of_texts(*value, location, errors);
    return;
  }
  if (auto ids = read_token_ids(*value, location, errors, request.cut_token_id)) {
    request.prompts = {Prompt(std::move(*ids))};
    return;
  }
  if (auto prompts = read_lists_of_ids(*value, location, errors, request.cut_token_id)) {
    request.prompts = std::move(*prompts);
    return;
  }
  read_string(*value, location, errors);
  if (auto prompts = read_list_of_texts(*value, location, errors)) {
    request.prompts = std::move(*prompts);
    return;
  }
  reader.errors().append(errors);
}

CompletionRequest read_completion_fields(const FieldReader& reader) {
  CompletionRequest request;
  GenerationRequest& generation = request.generation;
  generation.model = reader.string("model");
  read_prompts(reader, request);
  generation.echo = reader.boolean("echo").value_or(false);
  read_bias_fields(reader, generation);
  generation.sampling.logprobs = reader.integer("logprobs");
  generation.max_tokens = reader.integer("max_tokens").value_or(kDefaultCompletionTokens);
  generation.sampling.n = reader.integer("n", Null::kRefused).value_or(1);
  generation.sampling.presence_penalty = reader.real("presence_penalty").value_or(0);
  read_stream_fields(reader, generation);
  request.has_suffix = reader.string("suffix").has_value();
  read_temperature_fields(reader, generation);
  read_vllm_fields(reader, generation);
  read_response_format(reader, generation);
  read_guided_fields(reader, generation);
  request.has_prompt_embeds =
      reader.find("prompt_embeds") != nullptr && !reader.find("prompt_embeds")->is_null();
  return request;
}

}  // namespace

std::variant<CompletionRequest, ApiError> parse_completion_request(
    std::optional<std::string_view> content_type, std::string_view body) {
  auto read = read_request_body(content_type, body);
  if (ApiError* error = std::get_if<ApiError>(&read)) return std::move(*error);
  const JsonValue& value = std::get<JsonValue>(read);
  const JsonObject* object = value.object();
  if (object == nullptr) return body_is_no_object(value);
  if (auto error = check_raw_completion(*object)) return std::move(*error);
  FieldErrors errors;
  CompletionRequest request = read_completion_fields(FieldReader(*object, "body", errors));
  if (!errors.empty()) return errors.to_error();
  if (request.generation.stream && request.generation.sampling.use_beam_search) {
    return bad_request(std::nullopt, "Streaming is not supported with beam search.");
  }
  return request;
}

}  // namespace kvasir
