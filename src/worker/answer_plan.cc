#include "worker/answer_plan.h"

#include <algorithm>
#include <cstdio>

#include "base/random.h"
#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

using Plan = std::shared_ptr<const AnswerPlan>;

constexpr std::string_view kCallIdPrefix = "chatcmpl-tool-";

std::string call_id(uint64_t seed, size_t index) {
  const uint64_t high = mix64(seed ^ mix64(index + 1));
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(high),
                static_cast<unsigned long long>(mix64(high)));
  return std::string(kCallIdPrefix).append(text).substr(0, kCallIdPrefix.size() + 16);
}

// Whether the conversation waits for an answer to a tool's result.
bool answers_a_tool(const ChatRequest& request) {
  if (request.messages.empty()) return false;
  const std::string& role = request.messages.back().role;
  return role == "tool" || role == "function";
}

ApiError needs_parser(const std::string& what) {
  return bad_request(std::nullopt, what + " requires --tool-call-parser to be set");
}

}  // namespace

std::optional<ApiError> check_tools(const ChatRequest& request, const ToolOptions& options) {
  switch (request.tool_choice) {
    case ToolChoice::kNone:
      return std::nullopt;
    case ToolChoice::kAuto:
      if (options.automatic && options.parser) return std::nullopt;
      return bad_request(std::nullopt,
                         "\"auto\" tool choice requires --enable-auto-tool-choice and "
                         "--tool-call-parser to be set");
    case ToolChoice::kRequired:
      if (options.parser) return std::nullopt;
      return needs_parser("tool_choice=\"required\"");
    case ToolChoice::kNamed:
      if (options.parser) return std::nullopt;
      return needs_parser("tool_choice=function \"" + request.named_tool + "\"");
  }
  return std::nullopt;
}

Result<Plan> AnswerPlan::for_constraint(const AnswerConstraint& constraint) {
  auto plan = std::make_shared<AnswerPlan>();
  switch (constraint.kind) {
    case AnswerConstraint::Kind::kNone:
      return Plan();
    case AnswerConstraint::Kind::kJson: {
      Result<JsonSampler> sampler = JsonSampler::create(constraint.schema);
      if (!sampler) return Error{"The JSON schema cannot be used: " + sampler.error().message};
      plan->source_ = std::move(*sampler);
      break;
    }
    case AnswerConstraint::Kind::kRegex: {
      Result<RegexSampler> sampler = RegexSampler::create(constraint.regex);
      if (!sampler) return Error{"The regex cannot be used: " + sampler.error().message};
      plan->source_ = std::move(*sampler);
      break;
    }
    case AnswerConstraint::Kind::kChoice:
      plan->source_ = constraint.choices;
      break;
  }
  return Plan(std::move(plan));
}

Result<Plan> AnswerPlan::for_tools(const ChatRequest& request, uint64_t prompt_hash) {
  const bool automatic = request.tool_choice == ToolChoice::kAuto;
  if (request.tools.empty() || request.tool_choice == ToolChoice::kNone) return Plan();
  if (automatic && answers_a_tool(request)) return Plan();
  auto plan = std::make_shared<AnswerPlan>();
  plan->automatic_ = automatic;
  plan->named_ = request.tool_choice == ToolChoice::kNamed;
  size_t first = prompt_hash % request.tools.size();
  if (plan->named_) {
    const auto named =
        std::find_if(request.tools.begin(), request.tools.end(),
                     [&](const ChatTool& tool) { return tool.name == request.named_tool; });
    if (named == request.tools.end()) return Plan();
    first = static_cast<size_t>(named - request.tools.begin());
  }
  const bool two = request.parallel_tool_calls.value_or(false) && !plan->named_;
  for (size_t i = first; i < first + (two ? 2 : 1); ++i) {
    const ChatTool& tool = request.tools[i % request.tools.size()];
    Result<JsonSampler> arguments = JsonSampler::create(tool.parameters);
    if (!arguments && !automatic) {
      return Error{"The parameters of tool \"" + tool.name +
                   "\" cannot be used: " + arguments.error().message};
    }
    plan->calls_.push_back({tool.name, std::nullopt});
    if (arguments) plan->calls_.back().arguments = std::move(*arguments);
  }
  return Plan(std::move(plan));
}

PlannedAnswer AnswerPlan::answer(uint64_t seed) const {
  PlannedAnswer answer;
  if (calls_.empty()) {
    answer.text = text(seed);
  } else {
    for (size_t i = 0; i < calls_.size(); ++i) add_call(calls_[i], i, seed, answer);
  }
  auto script = std::make_shared<AnswerScript>();
  script->tokens = encode(answer.text);
  answer.script = std::move(script);
  return answer;
}

std::string AnswerPlan::text(uint64_t seed) const {
  if (const auto* json = std::get_if<JsonSampler>(&source_)) return json->text(seed);
  if (const auto* regex = std::get_if<RegexSampler>(&source_)) {
    // Without room for repetitions the text was found to be short enough.
    std::optional<std::string> wide = regex->text(mix64(seed));
    return wide ? std::move(*wide) : regex->text(0, 0).value_or("");
  }
  const auto& choices = std::get<std::vector<std::string>>(source_);
  return choices[mix64(seed) % choices.size()];
}

void AnswerPlan::add_call(const Call& call, size_t index, uint64_t seed,
                          PlannedAnswer& answer) const {
  const uint64_t own_seed = mix64(seed + index);
  const std::string arguments = call.arguments ? call.arguments->text(own_seed) : "{}";
  if (index > 0) answer.text.push_back('\n');
  const std::string text = tool_call_text(call.name, arguments);
  PlannedCall planned;
  planned.id = call_id(seed, index);
  planned.name = call.name;
  planned.end = answer.text.size() + text.size() - std::string_view("}</tool_call>").size();
  planned.begin = planned.end - arguments.size();
  answer.text.append(text);
  answer.calls.push_back(std::move(planned));
}

}  // namespace kvasir
