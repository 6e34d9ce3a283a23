// The few fields of an inference request that routing needs, found without copying or changing a
// byte. Where the prompt stands depends on the API (wire/request/request_api.h); what the engine makes of
// it is in wire/request/prompt_text.h.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/request/request_api.h"

namespace kvasir {

enum class PromptKind : uint8_t {
  kText,      // the characters between the quotes, escapes as sent
  kTokenIds,  // the JSON array of ids, as sent
  kMessages,  // the JSON array of messages or items, as sent
  kOther,     // anything else (a list of prompts, nothing): as sent
  kRawText,   // no JSON: UTF-8 as the engine reads it
  kRawIds,    // no JSON: token ids, of which equal ones have equal bytes
};

// What the engine puts before the prompt, in the order in which it counts. These change what the
// engine reads; sampling, guided decoding (response_format, structured_outputs), tool_choice and
// what only ends the prompt (add_generation_prompt) do not.
enum class PromptField : uint8_t {
  kTemplate,           // chat_template
  kTemplateArguments,  // chat_template_kwargs: a template may use them in its first line
  kReasoningEffort,    // reasoning_effort, reasoning.effort, output_config.effort
  kMedia,              // what stands outside the messages: image_data, prompt_embeds, features
  kTools,
  kDocuments,
  kSystem,        // system, instructions
  kConversation,  // previous_response_id, conversation: what the server remembers
  kQuery,         // of rerank and score: each document comes after it
};
inline constexpr size_t kPromptFields = 9;

struct RequestPeek {
  std::string model;  // unescaped; empty when absent or not a text
  std::string_view
      model_json;          // its value as it stands in the body, quotes and all; empty when absent
  std::string cache_salt;  // unescaped; empty when absent
  bool stream = false;
  // It may say where KV is to be fetched, which only routers may: see router_members.h.
  bool names_workers = false;
  RequestApi api = RequestApi::kUnknown;
  PromptKind kind = PromptKind::kOther;
  std::string_view prompt;       // points into the body
  bool prompt_is_plain = false;  // a text that is known to have no escapes
  // By PromptField: the JSON value as it stands in the body; empty when it is absent, null or
  // empty.
  std::array<std::string_view, kPromptFields> fields;
  std::optional<uint32_t> prompt_ids;         // how many, when the prompt is ids
  std::optional<uint32_t> output_tokens_max;  // what the request asks for at most

  std::string_view field(PromptField name) const { return fields[static_cast<size_t>(name)]; }
};

// What upstream's picker answers (400) to a body without a model.
inline constexpr std::string_view kModelNotFound = "model not found in request body";

// nullopt: not a JSON object that this reader understands; the full reader (vllm/request_body.h)
// then says what is wrong, if anything is. The time is that of reading the body once, and no memory
// is taken, whatever the body is.
//
// Of a field that is there twice the last one counts, as for the engines. Values of fields that are
// not read are skipped, not checked: the engine refuses those.
std::optional<RequestPeek> peek_request(std::string_view body,
                                        RequestApi api = RequestApi::kUnknown);

// The same for a picker, which has to say what is wrong: "error unmarshaling request bodyMap: ...".
// A missing model is not an error here, because a rewrite may supply it.
Result<RequestPeek> read_request(std::string_view body, RequestApi api);

}  // namespace kvasir
