#include "wire/generation_fields.h"

#include <algorithm>

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

// Brackets that match and nothing that repeats nothing: enough to tell a broken pattern from a
// sound one.
bool regex_is_broken(std::string_view regex) {
  int open = 0;
  bool in_class = false;
  bool can_repeat = false;
  for (size_t i = 0; i < regex.size(); ++i) {
    const char byte = regex[i];
    if (byte == '\\') {
      if (++i == regex.size()) return true;
      can_repeat = true;
    } else if (in_class) {
      in_class = byte != ']';
    } else if (byte == '[') {
      in_class = can_repeat = true;
    } else if (byte == '(') {
      ++open;
      can_repeat = false;
      if (i + 1 < regex.size() && regex[i + 1] == '?') ++i;
    } else if (byte == ')') {
      if (--open < 0) return true;
      can_repeat = true;
    } else if (byte == '*' || byte == '+' || byte == '?') {
      if (!can_repeat) return true;
    } else {
      can_repeat = byte != '|';
    }
  }
  return open != 0 || in_class;
}

void read_structured_outputs(const FieldReader& reader, SamplingFields& sampling) {
  const JsonObject* outputs = reader.object("structured_outputs");
  if (outputs == nullptr) return;
  const JsonValue* regex = find_given(*outputs, "regex");
  const JsonValue* choice = find_given(*outputs, "choice");
  if (regex != nullptr && (regex->string() == nullptr || regex_is_broken(*regex->string()))) {
    sampling.structured_outputs_problem =
        "Error in structured outputs: the regex cannot be compiled.";
  } else if (choice != nullptr && (choice->array() == nullptr || choice->array()->empty())) {
    sampling.structured_outputs_problem = "Choice '[]' cannot be an empty list";
  }
}

void read_extra_args(const FieldReader& reader, SamplingFields& sampling) {
  for (const char* name : {"kv_transfer_params", "vllm_xargs"}) {
    const JsonObject* extra = reader.object(name);
    if (extra == nullptr) continue;
    for (const auto& member : *extra) {
      sampling.extra_args_too_large |= too_large_for_engine(member.second);
    }
  }
}

// A schema is an object with a name.
void read_json_schema(const JsonValue& value, const std::string& location, FieldErrors& errors) {
  const JsonObject* schema = value.object();
  if (schema == nullptr) {
    errors.add("model_attributes_type", location, "Input should be a valid dictionary", value);
  } else if (find_member(*schema, "name") == nullptr) {
    errors.add_missing(location + ".name", *schema);
  } else {
    read_string(*find_member(*schema, "name"), location + ".name", errors);
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
  read_structured_outputs(reader, sampling);
  const auto priority = reader.integer("priority", Null::kRefused, kInt64Range);
  if (priority)
    request.priority = static_cast<int64_t>(std::clamp(*priority, kInt64Min, kInt64Max));
  request.request_id = reader.string("request_id", Null::kRefused);
  request.return_token_ids = reader.boolean("return_token_ids").value_or(false);
  reader.boolean("return_tokens_as_token_ids");
  reader.integer("stream_interval", Null::kTaken, {1, kInt64Max});
  request.cache_salt = reader.string("cache_salt").value_or("");
  read_extra_args(reader, sampling);
}

void read_response_format(const FieldReader& reader) {
  const JsonObject* format = reader.object("response_format");
  if (format == nullptr) return;
  const std::string location = reader.location_of("response_format");
  const JsonValue* type = find_member(*format, "type");
  if (type == nullptr) return reader.errors().add_missing(location + ".type", *format);
  const std::string* word = type->string();
  const bool plain =
      word != nullptr && (*word == "text" || *word == "json_object" || *word == "json_schema");
  const bool structural =
      word != nullptr && *word == "structural_tag" &&
      (find_given(*format, "format") != nullptr || (find_given(*format, "structures") != nullptr &&
                                                    find_given(*format, "triggers") != nullptr));
  if (!plain && !structural) {
    reader.errors().add("literal_error", location + ".type",
                        "Input should be 'text', 'json_object' or 'json_schema'", *type);
  }
  const JsonValue* schema = find_given(*format, "json_schema");
  if (schema != nullptr) read_json_schema(*schema, location + ".json_schema", reader.errors());
}

}  // namespace kvasir
