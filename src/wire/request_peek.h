// The few fields of an inference request that routing needs, found without copying or changing a
// byte. Where the prompt stands depends on the API (wire/request_api.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "wire/request_api.h"

namespace kvasir {

enum class PromptKind : uint8_t {
  kText,      // the characters between the quotes, escapes as sent
  kTokenIds,  // the JSON array of ids, as sent
  kMessages,  // the JSON array of messages or items, as sent
  kOther,     // anything else (a list of prompts, nothing): as sent
};

struct RequestPeek {
  std::string model;  // unescaped; empty when absent or not a text
  std::string_view
      model_json;          // its value as it stands in the body, quotes and all; empty when absent
  std::string cache_salt;  // unescaped; empty when absent
  bool stream = false;
  PromptKind kind = PromptKind::kOther;
  std::string_view prompt;  // points into the body
  std::string_view
      prompt_head;  // what the engine puts before it (`system`, `instructions`), as sent
  std::optional<uint32_t> prompt_ids;         // how many, when the prompt is ids
  std::optional<uint32_t> output_tokens_max;  // what the request asks for at most
};

// What upstream's picker answers (400) to a body without a model.
inline constexpr std::string_view kModelNotFound = "model not found in request body";

// Peeks into request bodies. Keeps its buffers, so use one for each thread; not thread-safe.
//
// Of a field that is there twice the last one counts, as for the engines. Values of fields that are
// not read are skipped, not checked: the engine refuses those.
class RequestPeeker {
 public:
  RequestPeeker();
  ~RequestPeeker();

  // `body`: JSON, with 64 readable bytes behind it. nullopt: not a JSON object this reader
  // understands; the full reader (wire/request_body.h) then says what is wrong, if anything is.
  std::optional<RequestPeek> peek(std::string_view body, RequestApi api = RequestApi::kUnknown);

  // The same for a picker, which has to say what is wrong: "error unmarshaling request bodyMap:
  // ...". A missing model is not an error here, because a rewrite may supply it.
  Result<RequestPeek> read(std::string_view body, RequestApi api);

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace kvasir
