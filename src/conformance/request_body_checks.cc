#include <algorithm>
#include <charconv>

#include "conformance/checks.h"
#include "conformance/request_phase.h"

namespace kvasir {
namespace {

constexpr char kEnvoyBody[] = "Envoy ext_proc, FULL_DUPLEX_STREAMED";
constexpr char kReferenceBody[] = "reference EPP: request body";
constexpr size_t kPieceBytesMax = 62000;
constexpr size_t kLargeBytes = 400'000;  // a prompt of about 100,000 tokens
constexpr size_t kManyBytes = 20'000;
constexpr size_t kManyChunkBytes = 10;

// `script` with a prompt that makes its body at least `bytes` long, of every kind of character.
RequestScript long_request(Subject& subject, size_t bytes) {
  std::string body = completion(subject).body;
  const size_t at = body.find("conformance");
  std::string prompt;
  while (prompt.size() < bytes) {
    prompt += "word \\u00e9\\n\xc3\xa9 " + std::to_string(prompt.size()) + " ";
  }
  body.insert(at, prompt);
  return request_of(subject, std::move(body));
}

Finding compare(const RequestPhase& phase, const RequestScript& script) {
  if (phase.immediate != nullptr) return failed("the body, passed on", phase.instead());
  if (phase.body == script.body) return passed();
  const auto where =
      std::mismatch(phase.body.begin(), phase.body.end(), script.body.begin(), script.body.end());
  std::string seen = std::to_string(phase.body.size()) + " bytes, the first difference at " +
                     std::to_string(where.first - phase.body.begin());
  if (!phase.trouble.empty()) seen += "; " + phase.trouble;
  return failed(std::to_string(script.body.size()) + " bytes as they were sent", seen);
}

Finding identical(Subject& subject) {
  const RequestScript script = completion(subject);
  return compare(ask(subject, script), script);
}

Finding large(Subject& subject) {
  RequestScript script = long_request(subject, kLargeBytes);
  script.chunk_bytes = 64 * 1024;
  return compare(ask(subject, script), script);
}

Finding many_chunks(Subject& subject) {
  RequestScript script = long_request(subject, kManyBytes);
  script.chunk_bytes = kManyChunkBytes;
  return compare(ask(subject, script), script);
}

Finding piece_size(Subject& subject) {
  RequestScript script = long_request(subject, kLargeBytes);
  const RequestPhase phase = ask(subject, script);
  if (phase.body.empty()) return skipped("no body came back: " + phase.instead());
  return phase.largest_piece <= kPieceBytesMax
             ? passed()
             : failed("pieces of at most 62000 bytes",
                      std::to_string(phase.largest_piece) + " bytes");
}

// The answer to response headers closes the request's half: what else belongs to it came before.
Finding end_once(Subject& subject) {
  ScriptedExchange exchange(subject);
  RequestPhase phase = ask(exchange, long_request(subject, 2 * kPieceBytesMax));
  if (phase.immediate != nullptr || phase.headers == nullptr) return skipped(phase.instead());
  exchange.send_headers(ExtProcSide::kResponse, {{":status", "200"}}, false);
  exchange.half_close();
  while (const ReceivedPtr received = exchange.next()) {
    if (received->answer.kind == ExtProcAnswer::Kind::kResponseHeaders) break;
    phase.take(received);
  }
  if (phase.ends == 1 && !phase.bytes_after_end) return passed();
  return failed("end_of_stream on the last piece, and only there",
                phase.bytes_after_end ? "pieces after the end"
                                      : std::to_string(phase.ends) + " pieces that say so");
}

Finding content_length(Subject& subject) {
  const RequestScript script = long_request(subject, 1000);
  const RequestPhase phase = ask(subject, script);
  if (phase.headers == nullptr) return skipped(phase.instead());
  const auto value = phase.headers->set_header("content-length");
  if (!value) return passed();
  const std::string expected = std::to_string(phase.body.size());
  return *value == expected ? passed() : failed(expected, std::string(*value));
}

RequestScript headers_only(Subject& subject) {
  RequestScript script = completion(subject);
  script.headers = {{":method", "GET"},
                    {":scheme", "http"},
                    {":path", "/v1/models"},
                    {":authority", "conformance.kvasir.test"}};
  script.body.clear();
  return script;
}

Finding without_body(Subject& subject) {
  const RequestScript script = headers_only(subject);
  std::vector<ExtProcHeader> headers;
  for (const OwnedHeader& header : script.headers) headers.push_back({header.key, header.value});
  ScriptedExchange exchange(subject);
  exchange.send_headers(ExtProcSide::kRequest, headers, true);
  RequestPhase phase;
  if (const ReceivedPtr received = exchange.next()) {
    phase.take(received);
  } else {
    phase.trouble = exchange.trouble();
  }
  return phase.pick() ? passed() : failed("a pick at once", phase.instead());
}

// The response's half still works after trailers, answered or not.
Finding request_trailers(Subject& subject) {
  ScriptedExchange exchange(subject);
  const RequestPhase phase = ask(exchange, completion(subject));
  if (!phase.pick()) return failed("a pick", phase.instead());
  exchange.send_trailers(ExtProcSide::kRequest, {{"x-conformance-trailer", "1"}});
  exchange.send_headers(ExtProcSide::kResponse, {{":status", "200"}}, false);
  while (const ReceivedPtr received = exchange.next()) {
    if (received->answer.kind == ExtProcAnswer::Kind::kResponseHeaders) return passed();
  }
  if (exchange.closed()) return passed();  // behind its decision: the response passes by it
  return failed("an answer to the response headers that follow", exchange.trouble());
}

Finding ended_by_trailers(Subject& subject) {
  RequestScript script = completion(subject);
  script.ended_by_trailers = true;
  const RequestPhase phase = ask(subject, script);
  if (!phase.pick()) return failed("a pick when the trailers came", phase.instead());
  return compare(phase, script);
}

}  // namespace

std::vector<Check> request_body_checks() {
  return {
      {"body.identical",
       "The pieces of the body, joined, are the body that was sent, byte for byte.", kEnvoyBody,
       Severity::kMust, identical},
      {"body.large", "So are those of a body of 400 kB (100,000 tokens).", kEnvoyBody,
       Severity::kMust, large},
      {"body.many_chunks", "So are those of a body that came in 2,000 small messages.", kEnvoyBody,
       Severity::kMust, many_chunks},
      {"body.piece_size",
       "No piece is larger than 62,000 bytes: Envoy takes 64 KiB in one message.", kReferenceBody,
       Severity::kReference, piece_size},
      {"body.end_once", "Exactly the last piece says end_of_stream.", kEnvoyBody, Severity::kMust,
       end_once},
      {"body.content_length", "If the answer sets content-length, it is the size of the body.",
       "Envoy ext_proc, content-length; agentgateway validates it", Severity::kMust,
       content_length},
      {"body.none", "A request without a body (GET) gets a pick at once.", kReferenceBody,
       Severity::kReference, without_body},
      {"body.trailers", "Request trailers behind the body do not disturb the response's half.",
       kReferenceBody, Severity::kReference, request_trailers},
      {"body.ended_by_trailers",
       "A body without end_of_stream that trailers end gets its pick (gRPC and chunked clients).",
       kEnvoyBody, Severity::kShould, ended_by_trailers},
  };
}

}  // namespace kvasir
