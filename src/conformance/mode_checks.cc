#include "conformance/checks.h"
#include "conformance/request_phase.h"

namespace kvasir {
namespace {

using Kind = ExtProcAnswer::Kind;

constexpr char kConfig[] = "Envoy ext_proc, ProtocolConfiguration";

ExtProcContext with_mode(ExtProcBodyMode mode) {
  ExtProcContext context;
  context.protocol = ExtProcProtocol{mode, mode, false};
  return context;
}

void send_head(ScriptedExchange& exchange, const RequestScript& script, const ExtProcContext& context) {
  std::vector<ExtProcHeader> headers;
  for (const OwnedHeader& header : script.headers) headers.push_back({header.key, header.value});
  exchange.send_headers(ExtProcSide::kRequest, headers, false, context);
}

// Adds the next answer to the phase; what is wrong with it, or nothing.
std::string take_next(ScriptedExchange& exchange, RequestPhase& phase, Kind kind) {
  const ReceivedPtr received = exchange.next();
  if (received == nullptr) return exchange.trouble();
  phase.take(received);
  if (!received->malformed.empty()) return received->malformed;
  return received->answer.kind == kind ? "" : describe(received->answer);
}

// In these modes a body is left alone or replaced, never streamed; a replaced one must be the same.
std::string body_trouble(const ExtProcAnswer& answer, const std::string& sent) {
  switch (answer.body_change) {
    case ExtProcAnswer::Body::kUntouched:
      return "";
    case ExtProcAnswer::Body::kReplaced:
      return answer.body == sent ? "" : "another body";
    case ExtProcAnswer::Body::kCleared:
      return "a cleared body";
    case ExtProcAnswer::Body::kStreamed:
      break;
  }
  return "a streamed_response, which this mode does not have";
}

// Envoy sends the body when it has the answer to the headers, and waits for that to the body.
Finding buffered(Subject& subject) {
  const RequestScript script = completion(subject);
  ScriptedExchange exchange(subject);
  RequestPhase phase;
  send_head(exchange, script, with_mode(ExtProcBodyMode::kBuffered));
  std::string trouble = take_next(exchange, phase, Kind::kRequestHeaders);
  if (!trouble.empty()) return failed("an answer to the headers before the body is sent", trouble);
  exchange.send_body(ExtProcSide::kRequest, script.body, true);
  trouble = take_next(exchange, phase, Kind::kRequestBody);
  if (!trouble.empty()) return failed("an answer to the body", trouble);
  trouble = body_trouble(phase.answers.back()->answer, script.body);
  if (!trouble.empty()) return failed("the body as it was sent", trouble);
  return phase.pick() ? passed() : failed("a pick in one of the two answers", phase.instead());
}

Finding streamed(Subject& subject) {
  const RequestScript script = completion(subject);
  ScriptedExchange exchange(subject);
  RequestPhase phase;
  send_head(exchange, script, with_mode(ExtProcBodyMode::kStreamed));
  std::string trouble = take_next(exchange, phase, Kind::kRequestHeaders);
  if (!trouble.empty()) return failed("an answer to the headers before the body is sent", trouble);
  const std::string pieces[] = {script.body.substr(0, 10), script.body.substr(10)};
  for (const std::string& piece : pieces) {
    exchange.send_body(ExtProcSide::kRequest, piece, &piece == &pieces[1]);
    trouble = take_next(exchange, phase, Kind::kRequestBody);
    // Closed behind its decision: the body passes by it.
    if (exchange.closed() && phase.pick()) return passed();
    if (!trouble.empty()) return failed("one answer to each piece of the body", trouble);
    trouble = body_trouble(phase.answers.back()->answer, piece);
    if (!trouble.empty()) return failed("the body as it was sent", trouble);
  }
  return passed();
}

// request_header_mode SKIP: the exchange begins with the body.
Finding headers_skipped(Subject& subject) {
  const RequestScript script = completion(subject);
  ScriptedExchange exchange(subject);
  RequestPhase phase;
  exchange.send_body(ExtProcSide::kRequest, script.body, true,
                     with_mode(ExtProcBodyMode::kBuffered));
  const std::string trouble = take_next(exchange, phase, Kind::kRequestBody);
  if (!trouble.empty()) return failed("an answer to the body", trouble);
  return phase.pick() ? passed() : failed("a pick in that answer", phase.instead());
}

}  // namespace

std::vector<Check> mode_checks() {
  return {
      {"mode.buffered",
       "A gateway configured for BUFFERED bodies gets its headers answered first, then its body.",
       kConfig, Severity::kShould, buffered},
      {"mode.streamed", "A gateway configured for STREAMED bodies gets one answer to each message.",
       kConfig, Severity::kShould, streamed},
      {"mode.headers_skipped",
       "An exchange that begins with the body (request_header_mode SKIP) gets its pick.", kConfig,
       Severity::kShould, headers_skipped},
  };
}

}  // namespace kvasir
