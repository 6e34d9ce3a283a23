#include "wire/kv_scores.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace kvasir {
namespace {

// Text of the client's own may be no UTF-8; what is sent always is.
std::string quoted_key(std::string_view text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

std::string write_score_request(std::string_view model, PromptKind kind, std::string_view prompt,
                                std::span<const std::string_view> pods) {
  std::string body =
      "{\"model\":" + quoted_key(model) + ",\"prompt_blocks\":[],\"candidate_pods\":[";
  for (size_t i = 0; i < pods.size(); ++i)
    body.append(i == 0 ? "" : ",").append(quoted_key(pods[i]));
  body.append(kind == PromptKind::kMessages ? "],\"messages\":" : "],\"prompt\":");
  if (kind == PromptKind::kText) {
    body.append("\"").append(prompt).append("\"");  // escaped as the client sent it
  } else if (kind == PromptKind::kRawText) {
    body.append(quoted_key(prompt));
  } else {
    body.append(prompt.empty() || kind == PromptKind::kRawIds ? "null" : prompt);
  }
  return body.append("}");
}

Result<std::vector<PodScore>> read_score_answer(std::string_view body) {
  const nlohmann::json answer = nlohmann::json::parse(body, nullptr, false);
  if (!answer.is_object()) return Error{"the answer is not a JSON object"};
  const auto nested = answer.find("scores");
  const nlohmann::json& scores = nested != answer.end() ? *nested : answer;
  if (!scores.is_object()) return Error{"\"scores\" is not an object"};
  std::vector<PodScore> result;
  for (const auto& [pod, entry] : scores.items()) {
    const nlohmann::json* rate = &entry;
    if (entry.is_object()) {
      const auto found = entry.find("cache_hit_rate");
      if (found == entry.end()) continue;
      rate = &*found;
    }
    if (rate->is_number()) result.push_back({pod, std::clamp(rate->get<double>(), 0.0, 1.0)});
  }
  return result;
}

}  // namespace kvasir
