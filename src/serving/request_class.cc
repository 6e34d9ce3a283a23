#include "serving/request_class.h"

namespace kvasir {
namespace {

const std::string_view* first_of(const Request& request, std::string_view name,
                                 std::string_view alias) {
  const std::string_view* found = request.header(name);
  return found != nullptr ? found : request.header(alias);
}

}  // namespace

RequestClass request_class(std::span<const RequestHeader> headers,
                           const PriorityOfObjective& priority_of) {
  Request request;
  request.headers = headers;
  RequestClass result;
  const std::string_view* id =
      first_of(request, "x-llm-d-inference-fairness-id", "x-gateway-inference-fairness-id");
  if (id != nullptr && !id->empty()) result.fairness_id = *id;
  const std::string_view* objective =
      first_of(request, "x-llm-d-inference-objective", "x-gateway-inference-objective");
  if (objective == nullptr) return result;
  result.objective = *objective;
  if (priority_of) result.priority = priority_of(*objective).value_or(0);
  return result;
}

}  // namespace kvasir
