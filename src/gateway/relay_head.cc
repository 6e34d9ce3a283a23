#include "gateway/relay_head.h"

#include <cstdio>
#include <optional>

#include "net/http_server.h"

namespace kvasir {
namespace {

constexpr std::string_view kConnectionFields[] = {
    "Connection", "Keep-Alive", "Proxy-Connection", "Proxy-Authenticate", "Proxy-Authorization",
    "TE",         "Trailer",    "Transfer-Encoding", "Upgrade",           "Content-Length"};

bool is_one_of(std::string_view name, const std::string_view* first, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (equal_ignoring_case(name, first[i])) return true;
  }
  return false;
}

bool belongs_to_connection(std::string_view name) {
  return is_one_of(name, kConnectionFields, std::size(kConnectionFields));
}

// Written by the gateway itself, so a worker's own are dropped.
bool is_ours(std::string_view name) {
  static constexpr std::string_view kOurs[] = {"x-selected-pod", "x-request-id",
                                               "x-scheduling-time-ms", "x-cache-prefix-length"};
  return is_one_of(name, kOurs, std::size(kOurs));
}

void append_field(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

std::string upstream_request_head(const HttpHead& request, size_t body_bytes, std::string_view host,
                                  std::string_view request_id) {
  std::string head;
  head.reserve(512);
  head.append(request.method()).append(" ").append(request.target()).append(" HTTP/1.1\r\n");
  append_field(head, "Host", request.find("Host").value_or(host));
  for (size_t i = 0; i < request.field_count(); ++i) {
    const HttpHead::Field field = request.field(i);
    if (belongs_to_connection(field.name) || equal_ignoring_case(field.name, "Host") ||
        equal_ignoring_case(field.name, "Expect") || equal_ignoring_case(field.name, "x-request-id")) {
      continue;
    }
    append_field(head, field.name, field.value);
  }
  append_field(head, "x-request-id", request_id);
  const bool has_body = body_bytes > 0 || request.content_length() || request.chunked();
  if (has_body) append_field(head, "Content-Length", std::to_string(body_bytes));
  return head.append("\r\n");
}

std::string relayed_fields(const HttpHead& answer, const RelayFields& added) {
  std::string fields;
  fields.reserve(512);
  for (size_t i = 0; i < answer.field_count(); ++i) {
    const HttpHead::Field field = answer.field(i);
    if (!belongs_to_connection(field.name) && !is_ours(field.name)) {
      append_field(fields, field.name, field.value);
    }
  }
  append_field(fields, "x-request-id", added.request_id);
  append_field(fields, "x-selected-pod", added.selected_pod);
  char number[32];
  std::snprintf(number, sizeof number, "%.3f", added.scheduling_ms);
  append_field(fields, "x-scheduling-time-ms", number);
  append_field(fields, "x-cache-prefix-length", std::to_string(added.cache_prefix_tokens));
  return fields;
}

std::string relayed_head(const HttpHead& answer, const RelayFields& added, bool keep_alive) {
  std::string head = "HTTP/1.1 " + std::to_string(answer.status()) + " ";
  head.append(answer.reason().empty() ? status_text(answer.status()) : answer.reason());
  head.append("\r\n").append(relayed_fields(answer, added));
  if (answer.chunked()) {
    append_field(head, "Transfer-Encoding", "chunked");
  } else if (answer.content_length()) {
    append_field(head, "Content-Length", std::to_string(*answer.content_length()));
  }
  if (!keep_alive) append_field(head, "Connection", "close");
  return head.append("\r\n");
}

}  // namespace kvasir
