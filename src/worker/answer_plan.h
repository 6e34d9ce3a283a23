// Answers whose text is not free: JSON that fits a schema, one of several texts, calls of tools.
// Each is a function of the choice's seed and of what was asked, so that every worker gives the
// same.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "engine/engine.h"
#include "vllm/chat_request.h"
#include "vllm/schema/json_sample.h"
#include "vllm/schema/regex_sample.h"
#include "worker/served_model.h"

namespace kvasir {

// A call in a planned text, by bytes of it.
struct PlannedCall {
  std::string id;
  std::string name;
  size_t begin = 0;  // of the arguments: from here on the name is known
  size_t end = 0;
};

struct PlannedAnswer {
  std::string text;
  std::vector<PlannedCall> calls;
  std::shared_ptr<const AnswerScript> script;
};

class AnswerPlan {
 public:
  // A plan for the constraint, or null when there is none. The error says why nothing can satisfy
  // it.
  static Result<std::shared_ptr<const AnswerPlan>> for_constraint(
      const AnswerConstraint& constraint);

  // A plan for calls, or null when the answer is to call nothing: no tools, tool_choice none, or
  // `auto` after a tool's result. The rule for `auto`: an answer to a user's message calls one
  // tool. Which tool is called depends on `prompt_hash`; with parallel_tool_calls set to true, the
  // next one is called too. A schema that cannot be used is an error where a call is forced, else
  // the arguments are {}.
  static Result<std::shared_ptr<const AnswerPlan>> for_tools(const ChatRequest& request,
                                                             uint64_t prompt_hash);

  PlannedAnswer answer(uint64_t seed) const;

  // Whether the call came of itself: then its message has no content, else an empty one.
  bool automatic() const { return automatic_; }
  // Whether one tool was named: then the answer ends as any other does.
  bool named() const { return named_; }

 private:
  struct Call {
    std::string name;
    std::optional<JsonSampler> arguments;  // none: {}
  };
  using Source = std::variant<std::monostate, JsonSampler, RegexSampler, std::vector<std::string>>;

  std::string text(uint64_t seed) const;
  void add_call(const Call& call, size_t index, uint64_t seed, PlannedAnswer& answer) const;

  Source source_;
  std::vector<Call> calls_;
  bool automatic_ = false;
  bool named_ = false;
};

// Why the server cannot do what the request asks of its tools; row 10 of the checks.
std::optional<ApiError> check_tools(const ChatRequest& request, const ToolOptions& options);

}  // namespace kvasir
