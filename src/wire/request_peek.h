// The few fields of an OpenAI request that routing needs, found without copying or changing a byte.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

enum class PromptKind : uint8_t {
  kText,      // the characters between the quotes, escapes as sent
  kTokenIds,  // the JSON array of ids, as sent
  kMessages,  // the JSON array of messages, as sent
  kOther,     // anything else (a list of prompts, nothing): as sent
};

struct RequestPeek {
  std::string model;       // unescaped; empty when absent
  std::string cache_salt;  // unescaped; empty when absent
  bool stream = false;
  PromptKind kind = PromptKind::kOther;
  std::string_view prompt;  // points into the body
  std::optional<uint32_t> prompt_ids;  // how many, when the prompt is ids
};

// Peeks into request bodies. Keeps its buffers, so use one for each thread; not thread-safe.
class RequestPeeker {
 public:
  RequestPeeker();
  ~RequestPeeker();

  // `body`: JSON, with 64 readable bytes behind it. nullopt: not a JSON object this reader understands; the
  // full reader (wire/request_body.h) then says what is wrong, if anything is.
  std::optional<RequestPeek> peek(std::string_view body);

 private:
  class Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace kvasir
