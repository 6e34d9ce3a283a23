#include "net/http/proxy_head.h"

#include "net/http/http_head.h"
#include "net/http/http_status.h"

namespace kvasir {

void append_field(std::string& head, std::string_view name, std::string_view value) {
  head.append(name).append(": ").append(value).append("\r\n");
}

std::string begin_relayed_request(const HttpHead& request, std::string_view host) {
  std::string head;
  head.reserve(512);
  head.append(request.method()).append(" ").append(request.target()).append(" HTTP/1.1\r\n");
  append_field(head, "Host", request.find("Host").value_or(host));
  return head;
}

void end_relayed_request(const HttpHead& request, size_t body_bytes, std::string& head) {
  const bool has_body = body_bytes > 0 || request.content_length() || request.chunked();
  if (has_body) append_field(head, "Content-Length", std::to_string(body_bytes));
  head.append("\r\n");
}

void append_length(const HttpHead& answer, std::string& fields) {
  if (answer.status() == kHttpNoContent || answer.chunked() || !answer.content_length()) return;
  append_field(fields, "Content-Length", std::to_string(*answer.content_length()));
}

std::string relayed_answer_head(const HttpHead& answer, std::string_view fields, bool keep_alive) {
  const int status = answer.status();
  std::string head = "HTTP/1.1 " + std::to_string(status) + " ";
  head.append(answer.reason().empty() ? status_text(status) : answer.reason());
  head.append("\r\n").append(fields);
  if (status == kHttpNoContent) {
    // Has no body and, whatever the worker says, no fields of one.
  } else if (answer.chunked() && status != kHttpNotModified) {
    append_field(head, "Transfer-Encoding", "chunked");
  } else if (answer.content_length()) {
    append_field(head, "Content-Length", std::to_string(*answer.content_length()));
  }
  if (!keep_alive) append_field(head, "Connection", "close");
  return head.append("\r\n");
}

}  // namespace kvasir
