#include "conformance/checks.h"
#include "conformance/request_phase.h"

namespace kvasir {
namespace {

constexpr char kReferenceErrors[] = "reference EPP: error mapping";

Finding refused_as_bad(Subject& subject, std::string body) {
  const RequestPhase phase = ask(subject, request_of(subject, std::move(body)));
  if (phase.immediate != nullptr && phase.immediate->status == 400) return passed();
  return failed("an ImmediateResponse with status 400", phase.instead());
}

Finding invalid_json(Subject& subject) {
  return refused_as_bad(subject, "{\"model\":\"m\",\"prompt\":");
}
Finding not_an_object(Subject& subject) {
  return refused_as_bad(subject, "[1, 2, 3]");
}
Finding no_model(Subject& subject) {
  return refused_as_bad(subject, "{\"prompt\":\"hello\"}");
}

// A refusal is the last word: nothing to the request's body may follow it.
Finding final(Subject& subject) {
  ScriptedExchange exchange(subject);
  const RequestPhase phase = ask(exchange, request_of(subject, "{\"model\":"));
  if (phase.immediate == nullptr) return skipped("it was not refused: " + phase.instead());
  exchange.half_close();
  if (!exchange.wait_for_end()) return failed("the end of the stream", exchange.trouble());
  const ReceivedPtr more = exchange.next_waiting();
  return more == nullptr ? passed() : failed("nothing after the refusal", describe(more->answer));
}

constexpr char kNoEmptyTarget[] =
    "needs --empty-target: the same picker over a pool without a ready endpoint";

// A POST to a picker that has nobody to pick.
Finding nobody(Subject& subject) {
  if (subject.empty_client() == nullptr) return skipped(kNoEmptyTarget);
  ScriptedExchange exchange(subject, *subject.empty_client());
  const RequestPhase phase = ask(exchange, completion(subject));
  if (phase.immediate != nullptr && phase.immediate->status == 503) return passed();
  return failed("an ImmediateResponse with status 503", phase.instead());
}

// A GET to one. The protocol knows only 503; llm-d's picker says 500, and others do as it does.
Finding nobody_for_a_get(Subject& subject) {
  if (subject.empty_client() == nullptr) return skipped(kNoEmptyTarget);
  ScriptedExchange exchange(subject, *subject.empty_client());
  exchange.send_headers(ExtProcSide::kRequest,
                        {{":method", "GET"}, {":scheme", "http"}, {":path", "/v1/models"}}, true);
  RequestPhase phase;
  if (const ReceivedPtr received = exchange.next()) {
    phase.take(received);
  } else {
    phase.trouble = exchange.trouble();
  }
  const uint32_t status = phase.immediate != nullptr ? phase.immediate->status : 0;
  if (status == 503 || status == 500) return passed();
  return failed("an ImmediateResponse with status 503, or 500 as from llm-d's", phase.instead());
}

}  // namespace

std::vector<Check> refusal_checks() {
  return {
      {"refusal.nobody", "Without a ready endpoint in the pool, the answer is 503 at once.",
       "proposal 004, errors", Severity::kMust, nobody},
      {"refusal.nobody_get", "A request without a body is refused then, too.",
       "proposal 004, errors; reference EPP: 500", Severity::kReference, nobody_for_a_get},
      {"refusal.invalid_json", "A body that is not JSON is refused with 400.", kReferenceErrors,
       Severity::kReference, invalid_json},
      {"refusal.not_an_object", "A body that is JSON but no object is refused with 400.",
       kReferenceErrors, Severity::kReference, not_an_object},
      {"refusal.no_model", "A body without a model is refused with 400.", kReferenceErrors,
       Severity::kReference, no_model},
      {"refusal.final", "Nothing follows a refusal, and the stream can be ended.",
       "Envoy ext_proc, ImmediateResponse", Severity::kMust, final},
  };
}

}  // namespace kvasir
