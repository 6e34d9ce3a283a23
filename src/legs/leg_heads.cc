#include "legs/leg_heads.h"

#include "net/http/hop_fields.h"
#include "net/http/http_server.h"
#include "net/http/http_status.h"

namespace kvasir {
namespace {

// What is said to whoever carries the legs, and what it writes anew.
constexpr std::string_view kNotPassedOn[] = {"Host",
                                             "Expect",
                                             "x-request-id",
                                             "x-prefiller-host-port",
                                             "x-prefiller-url",
                                             "x-encoder-hosts-ports",
                                             "x-data-parallel-host-port",
                                             "x-kv-cache-source-host-port"};
constexpr std::string_view kTraceParent = "traceparent";
constexpr std::string_view kDataParallelRank = "X-data-parallel-rank";
constexpr std::string_view kAnswersOwn[] = {
    "x-request-id",     "x-prefill-pod",   "x-decode-pod",      "x-prefill-time-ms",
    "x-decode-time-ms", "x-total-time-ms", "x-tokens-generated"};

void append_line(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string leg_head(const HttpHead& request, size_t body_bytes, const LegHeadFields& fields) {
  std::string head;
  head.reserve(512);
  head.append(request.method()).append(" ").append(request.target()).append(" HTTP/1.1\r\n");
  append_line(head, "Host", request.find("Host").value_or(fields.host));
  const HopFields hop(request);
  for (size_t i = 0; i < request.field_count(); ++i) {
    const HttpHead::Field field = request.field(i);
    if (hop.hold(field.name) || reads_as_any(field.name, kNotPassedOn)) continue;
    if (!fields.traceparent.empty() && reads_as(field.name, kTraceParent)) continue;
    if (fields.data_parallel_rank && reads_as(field.name, kDataParallelRank)) continue;
    append_line(head, field.name, field.value);
  }
  append_line(head, "x-request-id", fields.request_id);
  if (!fields.traceparent.empty()) append_line(head, kTraceParent, fields.traceparent);
  if (fields.data_parallel_rank) {
    append_line(head, kDataParallelRank, std::to_string(*fields.data_parallel_rank));
  }
  const bool has_body = body_bytes > 0 || request.content_length() || request.chunked();
  if (has_body) append_line(head, "Content-Length", std::to_string(body_bytes));
  return head.append("\r\n");
}

std::string answer_fields(const HttpHead& answer, std::string_view added) {
  std::string fields;
  fields.reserve(512);
  const HopFields hop(answer);
  for (size_t i = 0; i < answer.field_count(); ++i) {
    const HttpHead::Field field = answer.field(i);
    if (hop.hold(field.name) || reads_as_any(field.name, kAnswersOwn)) continue;
    append_line(fields, field.name, field.value);
  }
  return fields.append(added);
}

std::string answer_head(const HttpHead& answer, std::string_view added, bool keep_alive) {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status()) + " ";
  head.append(answer.reason().empty() ? status_text(answer.status()) : answer.reason());
  head.append("\r\n").append(answer_fields(answer, added));
  if (answer.status() == 204) {
    // No fields of a body.
  } else if (answer.chunked() && answer.status() != 304) {
    append_line(head, "Transfer-Encoding", "chunked");
  } else if (answer.content_length()) {
    append_line(head, "Content-Length", std::to_string(*answer.content_length()));
  }
  if (!keep_alive) append_line(head, "Connection", "close");
  return head.append("\r\n");
}

}  // namespace kvasir
