#include "conformance/request_phase.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "wire/json/json_text.h"

namespace kvasir {
namespace {

// Answers to one request: beyond it the picker is not going to stop.
constexpr size_t kAnswersMax = 100'000;

std::vector<ExtProcHeader> views(const std::vector<OwnedHeader>& headers) {
  std::vector<ExtProcHeader> result;
  for (const OwnedHeader& header : headers) result.push_back({header.key, header.value});
  return result;
}

ExtProcContext first_context(const ExtProcContext& context) {
  ExtProcContext first = context;
  if (!first.protocol) {
    first.protocol = ExtProcProtocol{ExtProcBodyMode::kFullDuplexStreamed,
                                     ExtProcBodyMode::kFullDuplexStreamed, false};
  }
  return first;
}

}  // namespace

RequestScript request_of(Subject& subject, std::string body) {
  RequestScript script;
  script.headers = {{":method", "POST"},
                    {":scheme", "http"},
                    {":path", subject.options().path},
                    {":authority", "conformance.kvasir.test"},
                    {"content-type", "application/json"},
                    {"content-length", std::to_string(body.size())},
                    {"x-request-id", "conformance-" + std::to_string(subject.next_number())}};
  script.body = std::move(body);
  return script;
}

RequestScript completion(Subject& subject, bool stream) {
  std::string body = "{\"model\":";
  append_json_string(subject.options().model, body);
  body += ",\"prompt\":\"conformance " + std::to_string(subject.next_number()) +
          "\",\"max_tokens\":4,\"stream\":" + (stream ? "true}" : "false}");
  return request_of(subject, std::move(body));
}

std::optional<std::string> RequestPhase::header_pick() const {
  for (const ReceivedPtr& received : answers) {
    const auto value = received->answer.set_header(kDestinationHeader);
    if (value && received->answer.kind != ExtProcAnswer::Kind::kImmediate)
      return std::string(*value);
  }
  return std::nullopt;
}

std::optional<std::string> RequestPhase::metadata_pick() const {
  for (const ReceivedPtr& received : answers) {
    for (const ExtProcMetadataEntry& entry : received->answer.metadata) {
      if (entry.space == "envoy.lb" && entry.key == kDestinationHeader && entry.value) {
        return std::string(*entry.value);
      }
    }
  }
  return std::nullopt;
}

std::optional<std::string> RequestPhase::pick() const {
  const std::optional<std::string> header = header_pick();
  return header ? header : metadata_pick();
}

std::string RequestPhase::instead() const {
  if (immediate != nullptr) return describe(*immediate);
  if (pick()) return "the pick " + *pick();
  if (!trouble.empty()) return trouble;
  return "answers without a pick";
}

void RequestPhase::take(const ReceivedPtr& received) {
  answers.push_back(received);
  const ExtProcAnswer& answer = received->answer;
  if (!received->malformed.empty()) trouble = received->malformed;
  if (answer.kind == ExtProcAnswer::Kind::kImmediate) immediate = &answer;
  if (answer.kind == ExtProcAnswer::Kind::kRequestHeaders && headers == nullptr) headers = &answer;
  if (answer.kind != ExtProcAnswer::Kind::kRequestBody) return;
  if (headers == nullptr) body_before_headers = true;
  if (ends > 0) bytes_after_end = true;
  body += answer.body;
  largest_piece = std::max(largest_piece, answer.body.size());
  if (answer.end_of_stream) ++ends;
}

void send_request(ScriptedExchange& exchange, const RequestScript& script) {
  exchange.send_headers(ExtProcSide::kRequest, views(script.headers), false,
                        first_context(script.context));
  const size_t step = script.chunk_bytes == 0 ? script.body.size() : script.chunk_bytes;
  std::string_view rest = script.body;
  do {
    const std::string_view piece = rest.substr(0, step);
    rest.remove_prefix(piece.size());
    exchange.send_body(ExtProcSide::kRequest, piece, rest.empty() && !script.ended_by_trailers,
                       script.context);
  } while (!rest.empty());
  if (script.ended_by_trailers) {
    exchange.send_trailers(ExtProcSide::kRequest, {{"x-conformance-trailer", "1"}});
  }
}

RequestPhase take_request_phase(ScriptedExchange& exchange, const RequestScript& script) {
  RequestPhase phase;
  const auto complete = [&] {
    const bool whole = phase.ends > 0 || phase.body.size() >= script.body.size();
    return phase.immediate != nullptr || (phase.headers != nullptr && whole);
  };
  while (!complete() && phase.trouble.empty()) {
    const ReceivedPtr received = exchange.next();
    if (received == nullptr) {
      phase.trouble = exchange.trouble();
    } else if (phase.answers.size() == kAnswersMax) {
      phase.trouble = "more than " + std::to_string(kAnswersMax) + " answers came";
    } else {
      phase.take(received);
    }
  }
  return phase;
}

RequestPhase ask(ScriptedExchange& exchange, const RequestScript& script) {
  send_request(exchange, script);
  return take_request_phase(exchange, script);
}

RequestPhase ask(Subject& subject, const RequestScript& script) {
  ScriptedExchange exchange(subject);
  return ask(exchange, script);
}

std::vector<std::string> split_picks(const std::string& picks) {
  std::vector<std::string> result;
  if (picks.empty()) return result;
  for (size_t begin = 0; begin <= picks.size();) {
    const size_t end = std::min(picks.find(',', begin), picks.size());
    const size_t first = std::min(picks.find_first_not_of(' ', begin), end);
    result.push_back(picks.substr(first, end - first));
    begin = end + 1;
  }
  return result;
}

bool is_ip_and_port(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return false;
  uint16_t port = 0;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + colon + 1, end, port);
  if (parsed.ec != std::errc() || parsed.ptr != end || port == 0) return false;
  std::string host = text.substr(0, colon);
  in6_addr address;
  if (inet_pton(AF_INET, host.c_str(), &address) == 1) return true;
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return false;
  return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &address) == 1;
}

}  // namespace kvasir
