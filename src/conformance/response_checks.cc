#include <functional>

#include "conformance/checks.h"
#include "conformance/request_phase.h"

namespace kvasir {
namespace {

using Kind = ExtProcAnswer::Kind;

constexpr char kEnvoyResponse[] = "Envoy ext_proc, FULL_DUPLEX_STREAMED";
constexpr char kReferenceResponse[] = "reference EPP: response phase";

// The next answer of that kind; what belongs to the request's half is passed over.
ReceivedPtr next_of(ScriptedExchange& exchange, Kind kind, std::string& instead) {
  while (const ReceivedPtr received = exchange.next()) {
    const Kind got = received->answer.kind;
    if (got == kind && received->malformed.empty()) return received;
    if (got == Kind::kRequestBody || got == Kind::kRequestTrailers) continue;
    instead = received->malformed.empty() ? describe(received->answer) : received->malformed;
    return nullptr;
  }
  instead = exchange.trouble();
  return nullptr;
}

// A picker that wants to see no answers may close the stream with OK behind its decision: the
// gateway goes on without it. Afterwards, or with another status, it would break the response.
Finding unanswered_headers(const ScriptedExchange& exchange, const std::string& expected,
                           const std::string& instead) {
  if (exchange.closed()) return skipped("the stream was closed with OK behind the decision");
  return failed(expected, instead);
}

std::vector<ExtProcHeader> response_head(bool stream) {
  return {{":status", "200"}, {"content-type", stream ? "text/event-stream" : "application/json"}};
}

// Plays a request and its response's headers, then `play`.
Finding with_response(Subject& subject, bool stream, const ExtProcContext& context,
                      const std::function<Finding(ScriptedExchange&)>& play) {
  ScriptedExchange exchange(subject);
  const RequestPhase phase = ask(exchange, completion(subject, stream));
  if (!phase.pick()) return skipped("no pick: " + phase.instead());
  exchange.send_headers(ExtProcSide::kResponse, response_head(stream), false, context);
  std::string instead;
  if (next_of(exchange, Kind::kResponseHeaders, instead) == nullptr) {
    return unanswered_headers(exchange, "an answer to the response headers, before any body",
                              instead);
  }
  return play ? play(exchange) : passed();
}

Finding headers(Subject& subject) {
  return with_response(subject, true, {}, nullptr);
}

Finding served(Subject& subject) {
  ExtProcContext context;
  const std::vector<std::string>& pool = subject.endpoints();
  const std::string endpoint = pool.empty() ? "203.0.113.7:9999" : pool.front();
  context.served_endpoint = endpoint;
  return with_response(subject, true, context, nullptr);
}

// One event at a time, as an engine sends tokens: each must pass before the next comes.
Finding stream_pieces(Subject& subject) {
  return with_response(subject, true, {}, [](ScriptedExchange& exchange) {
    for (int i = 0; i < 4; ++i) {
      const std::string piece =
          "data: {\"choices\":[{\"text\":\"" + std::to_string(i) + "\"}]}\n\n";
      exchange.send_body(ExtProcSide::kResponse, piece, false);
      std::string instead;
      const ReceivedPtr received = next_of(exchange, Kind::kResponseBody, instead);
      if (received == nullptr)
        return failed("each piece answered before the next is sent", instead);
      if (received->answer.body != piece) {
        return failed("'" + piece + "'", "'" + std::string(received->answer.body) + "'");
      }
      if (received->answer.end_of_stream) return failed("an open body", "end_of_stream");
    }
    return passed();
  });
}

// Takes the response's pieces until one says end_of_stream; whatever its size.
Finding take_whole(ScriptedExchange& exchange, const std::string& sent) {
  std::string body, instead;
  while (const ReceivedPtr received = next_of(exchange, Kind::kResponseBody, instead)) {
    body += received->answer.body;
    if (received->answer.end_of_stream) {
      return body == sent ? passed()
                          : failed(std::to_string(sent.size()) + " bytes as they were sent",
                                   std::to_string(body.size()) + " bytes, other ones");
    }
  }
  return failed("a last piece that says end_of_stream", instead);
}

Finding stream_end(Subject& subject) {
  return with_response(subject, true, {}, [](ScriptedExchange& exchange) {
    const std::string last = "data: [DONE]\n\n";
    exchange.send_body(ExtProcSide::kResponse, last, true);
    exchange.half_close();
    return take_whole(exchange, last);
  });
}

Finding empty_end(Subject& subject) {
  return with_response(subject, true, {}, [](ScriptedExchange& exchange) {
    exchange.send_body(ExtProcSide::kResponse, "", true);
    exchange.half_close();
    return take_whole(exchange, "");
  });
}

Finding whole(Subject& subject) {
  return with_response(subject, false, {}, [](ScriptedExchange& exchange) {
    const std::string piece(30'000, 'x');
    const std::string begin = "{\"choices\":[{\"text\":\"",
                      end = "\"}],\"usage\":{\"prompt_tokens\":5}}";
    exchange.send_body(ExtProcSide::kResponse, begin, false);
    for (int i = 0; i < 5; ++i) exchange.send_body(ExtProcSide::kResponse, piece, false);
    exchange.send_body(ExtProcSide::kResponse, end, true);
    exchange.half_close();
    std::string sent = begin;
    for (int i = 0; i < 5; ++i) sent += piece;
    return take_whole(exchange, sent + end);
  });
}

Finding response_trailers(Subject& subject) {
  return with_response(subject, true, {}, [](ScriptedExchange& exchange) {
    exchange.send_body(ExtProcSide::kResponse, "data: 1\n\n", false);
    exchange.send_trailers(ExtProcSide::kResponse, {{"grpc-status", "0"}});
    exchange.half_close();
    std::string instead;
    while (const ReceivedPtr received = exchange.next()) {
      if (received->answer.kind == Kind::kResponseTrailers) return passed();
    }
    return failed("an answer to the response trailers", exchange.trouble());
  });
}

Finding error_status(Subject& subject) {
  ScriptedExchange exchange(subject);
  const RequestPhase phase = ask(exchange, completion(subject, true));
  if (!phase.pick()) return skipped("no pick: " + phase.instead());
  exchange.send_headers(ExtProcSide::kResponse,
                        {{":status", "500"}, {"content-type", "application/json"}}, false);
  exchange.send_body(ExtProcSide::kResponse, "{\"error\":\"engine\"}", true);
  exchange.half_close();
  std::string instead;
  if (next_of(exchange, Kind::kResponseHeaders, instead) == nullptr) {
    return unanswered_headers(exchange, "an answer to the response headers", instead);
  }
  return take_whole(exchange, "{\"error\":\"engine\"}");
}

}  // namespace

std::vector<Check> response_checks() {
  return {
      {"response.headers", "Response headers are answered at once, before any body.",
       kEnvoyResponse, Severity::kMust, headers},
      {"response.served", "The metadata that names the endpoint which served is taken.",
       "proposal 004, served endpoint", Severity::kMust, served},
      {"response.stream_pieces",
       "Each piece of a streamed response is passed on unchanged before the next one comes.",
       kReferenceResponse, Severity::kMust, stream_pieces},
      {"response.stream_end", "The end of a streamed response is passed on with its last piece.",
       kEnvoyResponse, Severity::kMust, stream_end},
      {"response.empty_end", "So is an end without bytes.", kEnvoyResponse, Severity::kMust,
       empty_end},
      {"response.whole", "A response that is not streamed comes through byte for byte, and ends.",
       kEnvoyResponse, Severity::kMust, whole},
      {"response.trailers", "Response trailers are answered.", kEnvoyResponse, Severity::kMust,
       response_trailers},
      {"response.error_status", "An engine's error comes through as any response does.",
       kEnvoyResponse, Severity::kMust, error_status},
  };
}

}  // namespace kvasir
