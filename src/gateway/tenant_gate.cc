#include "gateway/tenant_gate.h"

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "gateway/gateway_error.h"
#include "gateway/visit.h"
#include "net/http/http_status.h"
#include "serving/token_estimator.h"
#include "wire/json/json_text.h"
#include "wire/request/gzip_reader.h"

namespace kvasir {
namespace {

// Of a request that does not say how long its answer may become; corrected when it is over.
constexpr uint32_t kOutputTokensUnsaid = 256;

// The same words whether there was no key or a wrong one.
constexpr std::string_view kKeyWanted =
    "a valid API key is needed: Authorization: Bearer KEY, or x-api-key: KEY";
constexpr std::string_view kChallenge = "WWW-Authenticate: Bearer\r\n";

// "": there is none.
std::string_view key_of(const HttpHead& head) {
  constexpr std::string_view kScheme = "bearer ";
  const std::string_view authorization = head.find("authorization").value_or("");
  if (authorization.size() > kScheme.size() &&
      equal_ignoring_case(authorization.substr(0, kScheme.size()), kScheme)) {
    return trimmed(authorization.substr(kScheme.size()));
  }
  return trimmed(head.find("x-api-key").value_or(""));
}

void rewrite_head(const Tenant& tenant, HttpHead& head) {
  for (const std::string_view name : {"authorization", "x-api-key", "x-llm-d-inference-fairness-id",
                                      "x-gateway-inference-fairness-id"}) {
    head.remove_fields(name);
  }
  head.add_field("x-llm-d-inference-fairness-id", tenant.fairness_id);
  if (!tenant.priority) return;
  head.remove_fields("x-llm-d-inference-objective");
  head.remove_fields("x-gateway-inference-objective");
}

bool may_run_model(const HttpHead& head) {
  return head.method() == "POST" || head.method() == "PUT" || head.method() == "PATCH";
}

bool is_compressed(const HttpHead& head) {
  return content_coding(head.find("content-encoding").value_or("")) != ContentCoding::kIdentity;
}

uint64_t estimated_prompt(const RequestPeek& peek, const TokenEstimator& estimator) {
  if (peek.prompt_ids) return *peek.prompt_ids;
  size_t bytes = peek.prompt.size();
  for (const std::string_view field : peek.fields) bytes += field.size();
  return estimator.estimate(bytes);
}

std::string_view words_of(TenantLimit limit) {
  switch (limit) {
    case TenantLimit::kRequests:
      return "requests a minute";
    case TenantLimit::kTokens:
      return "tokens a minute";
    case TenantLimit::kConcurrency:
      return "requests at one time";
  }
  return "";
}

TenantRefusal refusal_of(TenantLimit limit) {
  switch (limit) {
    case TenantLimit::kRequests:
      return TenantRefusal::kRequests;
    case TenantLimit::kTokens:
      return TenantRefusal::kTokens;
    case TenantLimit::kConcurrency:
      return TenantRefusal::kConcurrency;
  }
  return TenantRefusal::kRequests;
}

uint64_t size_of(const TenantLimits& limits, TenantLimit limit) {
  switch (limit) {
    case TenantLimit::kRequests:
      return limits.requests_per_minute.value_or(0);
    case TenantLimit::kTokens:
      return limits.tokens_per_minute.value_or(0);
    case TenantLimit::kConcurrency:
      return limits.concurrency.value_or(0);
  }
  return 0;
}

// Anthropic's clients expect their API's own shape.
std::string messages_error(int status, std::string_view message) {
  const char* type = status == kHttpUnauthorized      ? "authentication_error"
                     : status == kHttpForbidden       ? "permission_error"
                     : status == kHttpTooManyRequests ? "rate_limit_error"
                                                      : "invalid_request_error";
  std::string body = R"({"type":"error","error":{"type":")";
  body.append(type).append(R"(","message":")");
  append_json_escaped(message, body);
  return body.append("\"}}");
}

}  // namespace

TenantGate::TenantGate(std::shared_ptr<const TenantTable> table, const GatewayOptions& options,
                       GatewayProbe& probe)
    : options_(options), probe_(probe), lookup_(std::move(table)) {}

std::optional<TenantGate::Refused> TenantGate::check(Visit& visit, TimePoint now,
                                                     std::optional<RequestApi> api,
                                                     const TokenEstimator& estimator) {
  HttpExchange& exchange = visit;
  const std::string_view key = key_of(exchange.head());
  const std::shared_ptr<const Tenant> tenant = lookup_.find(key, options_.wall_clock());
  if (tenant == nullptr) {
    return Refused{kHttpUnauthorized,
                   key.empty() ? TenantRefusal::kNoKey : TenantRefusal::kUnknownKey,
                   std::string(kKeyWanted), std::string(kChallenge)};
  }
  visit.set_tenant(tenant);
  rewrite_head(*tenant, exchange.editable_head());
  const HttpHead& head = exchange.head();
  const bool reads_body = may_run_model(head) && !is_compressed(head) &&
                          (!tenant->models.empty() || tenant->limits.tokens_per_minute);
  const RequestApi asked = api.value_or(RequestApi::kUnknown);
  if (reads_body) visit.set_peek(asked, peek_request(exchange.body(), asked));
  const std::optional<RequestPeek>* peeked = visit.peek(asked);
  const RequestPeek* peek = peeked != nullptr && *peeked ? &**peeked : nullptr;
  if (may_run_model(head) && !tenant->may_use(peek == nullptr ? "" : peek->model)) {
    std::string message = peek == nullptr || peek->model.empty()
                              ? "this API key is for certain models, and the request names none"
                              : "this API key may not use the model that the request names";
    return Refused{kHttpForbidden, TenantRefusal::kModel, std::move(message)};
  }
  const uint64_t prompt = peek == nullptr ? 0 : estimated_prompt(*peek, estimator);
  const uint64_t answer =
      peek == nullptr || !api ? 0 : peek->output_tokens_max.value_or(kOutputTokensUnsaid);
  auto taken = TenantLease::take(tenant, prompt + answer, now);
  if (const auto* reached = std::get_if<LimitReached>(&taken)) {
    return limit_reached(*tenant, *reached);
  }
  visit.set_lease(std::move(std::get<TenantLease>(taken)), prompt);
  return std::nullopt;
}

// Retry-After counts seconds, retry-after-ms is read by the clients of OpenAI and Anthropic, and
// x-should-retry: false keeps them from trying what can never fit.
TenantGate::Refused TenantGate::limit_reached(const Tenant& tenant,
                                              const LimitReached& reached) const {
  Refused refused{kHttpTooManyRequests, refusal_of(reached.limit), "the limit of this API key is "};
  refused.message.append(std::to_string(size_of(tenant.limits, reached.limit)));
  refused.message.append(" ").append(words_of(reached.limit));
  if (reached.retry_after == Duration::max()) {
    refused.message +=
        ", and this request alone is larger: shorten its prompt, or ask for a shorter answer "
        "(max_tokens)";
    refused.fields = "x-should-retry: false\r\n";
    return refused;
  }
  const auto seconds = std::chrono::ceil<std::chrono::seconds>(reached.retry_after).count();
  const auto ms = std::chrono::ceil<std::chrono::milliseconds>(reached.retry_after).count();
  refused.message += "; try again in " + limit_time_text(reached.retry_after);
  refused.fields = "Retry-After: " + std::to_string(seconds) +
                   "\r\nretry-after-ms: " + std::to_string(ms) + "\r\n";
  return refused;
}

void TenantGate::refuse(Visit& visit, HttpExchange& exchange, const Refused& refused) {
  visit.set_refusal(refused.why);
  const std::string whose = visit.tenant() == nullptr ? "" : visit.tenant()->name + ": ";
  probe_.on_not_relayed(refused.status, whose + refused.message);
  const ApiError error = gateway_error(refused.status, refused.message);
  const bool is_messages = exchange.head().path().starts_with("/v1/messages");
  exchange.respond(
      refused.status, error_fields(error).append(refused.fields),
      is_messages ? messages_error(refused.status, refused.message) : error_body(error));
}

}  // namespace kvasir
