#include "vllm/generation_fields.h"

#include <algorithm>

#include "vllm/constraint_fields.h"

namespace kvasir {
namespace {

using Null = FieldReader::Null;

constexpr size_t kStopStringsMax = 4;
constexpr IntegerRange kInt64Range{kInt64Min, kInt64Max};

void read_logit_bias(const FieldReader& reader, SamplingFields& sampling) {
  const JsonObject* bias = reader.object("logit_bias");
  if (bias == nullptr) return;
  for (const auto& [key, value] : *bias) {
    const std::string location = reader.location_of("logit_bias") + "." + key;
    sampling.logit_bias.emplace_back(key, read_real(value, location, reader.errors()).value_or(0));
  }
}

// A string or a list of at most four; the string is tried first, so a wrong list has two errors.
void read_stop(const FieldReader& reader, SamplingFields& sampling) {
  const JsonValue* value = reader.find("stop");
  if (value == nullptr || value->is_null()) return;
  if (const std::string* text = value->string()) {
    sampling.stop = {*text};
    return;
  }
  const std::string location = reader.location_of("stop");
  FieldErrors list_errors;
  const JsonArray* array = value->array();
  if (array == nullptr) {
    list_errors.add("list_type", location, "Input should be a valid list", *value);
  } else if (array->size() > kStopStringsMax) {
    list_errors.add("too_long", location, "List should have at most 4 items after validation",
                    *value);
  } else {
    for (size_t i = 0; i < array->size(); ++i) {
      auto text = read_string((*array)[i], location + "." + std::to_string(i), list_errors);
      sampling.stop.push_back(std::move(text).value_or(""));
    }
  }
  if (list_errors.empty()) return;
  reader.errors().add("string_type", location, "Input should be a valid string", *value);
  reader.errors().append(list_errors);
}

void read_stream_options(const FieldReader& reader, GenerationRequest& request) {
  const JsonObject* options = reader.object("stream_options");
  if (options == nullptr) return;
  const FieldReader inner(*options, reader.location_of("stream_options"), reader.errors());
  request.include_usage = inner.boolean("include_usage").value_or(false);
  const bool continuous = inner.boolean("continuous_usage_stats").value_or(false);
  request.continuous_usage = continuous && request.include_usage;
}

// Whether some integer in `value` does not fit the engine's messages.
bool too_large_for_engine(const JsonValue& value) {
  if (const WideInt* integer = value.integer())
    return *integer < kInt64Min || *integer > kUint64Max;
  if (const JsonArray* array = value.array()) {
    return std::any_of(array->begin(), array->end(), too_large_for_engine);
  }
  const JsonObject* object = value.object();
  return object != nullptr && std::any_of(object->begin(), object->end(), [](const auto& member) {
           return too_large_for_engine(member.second);
         });
}

void read_extra_args(const FieldReader& reader, GenerationRequest& request) {
  const JsonObject* params = reader.object("kv_transfer_params");
  request.has_transfer_params = params != nullptr && !params->empty();
  for (const JsonObject* extra : {params, reader.object("vllm_xargs")}) {
    if (extra == nullptr) continue;
    for (const auto& member : *extra) {
      request.sampling.extra_args_too_large |= too_large_for_engine(member.second);
    }
  }
}

}  // namespace

void read_bias_fields(const FieldReader& reader, GenerationRequest& request) {
  request.sampling.frequency_penalty = reader.real("frequency_penalty").value_or(0);
  read_logit_bias(reader, request.sampling);
}

void read_stream_fields(const FieldReader& reader, GenerationRequest& request) {
  const auto seed = reader.integer("seed", Null::kTaken, kInt64Range);
  if (seed) request.sampling.seed = static_cast<int64_t>(*seed);
  read_stop(reader, request.sampling);
  request.stream = reader.boolean("stream").value_or(false);
  read_stream_options(reader, request);
}

void read_temperature_fields(const FieldReader& reader, GenerationRequest& request) {
  request.sampling.temperature = reader.real("temperature").value_or(1);
  request.sampling.top_p = reader.real("top_p").value_or(1);
}

void read_vllm_fields(const FieldReader& reader, GenerationRequest& request) {
  SamplingFields& sampling = request.sampling;
  reader.string("user");
  sampling.use_beam_search = reader.boolean("use_beam_search", Null::kRefused).value_or(false);
  sampling.top_k = reader.integer("top_k").value_or(0);
  sampling.min_p = reader.real("min_p").value_or(0);
  sampling.repetition_penalty = reader.real("repetition_penalty").value_or(1);
  sampling.length_penalty = reader.real("length_penalty", Null::kRefused).value_or(1);
  sampling.stop_token_ids = reader.integers("stop_token_ids").value_or(std::vector<WideInt>());
  sampling.include_stop_str_in_output =
      reader.boolean("include_stop_str_in_output", Null::kRefused).value_or(false);
  sampling.ignore_eos = reader.boolean("ignore_eos", Null::kRefused).value_or(false);
  sampling.min_tokens = reader.integer("min_tokens", Null::kRefused).value_or(0);
  reader.boolean("skip_special_tokens", Null::kRefused);
  reader.boolean("spaces_between_special_tokens", Null::kRefused);
  request.truncate_prompt_tokens =
      reader.integer("truncate_prompt_tokens", Null::kTaken, {-1, kInt64Max});
  request.truncate_right =
      reader.one_of("truncation_side", {"left", "right"}).value_or("left") == "right";
  sampling.allowed_token_ids = reader.integers("allowed_token_ids");
  sampling.bad_words =
      reader.strings("bad_words", Null::kRefused).value_or(std::vector<std::string>());
  sampling.prompt_logprobs = reader.integer("prompt_logprobs");
  sampling.thinking_token_budget = reader.integer("thinking_token_budget");
  reader.boolean("add_special_tokens", Null::kRefused);
  read_structured_outputs(reader, request);
  const auto priority = reader.integer("priority", Null::kRefused, kInt64Range);
  if (priority)
    request.priority = static_cast<int64_t>(std::clamp(*priority, kInt64Min, kInt64Max));
  request.request_id = reader.string("request_id", Null::kRefused);
  request.return_token_ids = reader.boolean("return_token_ids").value_or(false);
  reader.boolean("return_tokens_as_token_ids");
  reader.integer("stream_interval", Null::kTaken, {1, kInt64Max});
  request.cache_salt = reader.string("cache_salt").value_or("");
  read_extra_args(reader, request);
}

}  // namespace kvasir
