#include "bench/completion_request.h"

#include <nlohmann/json.hpp>

#include "bench/prompt_text.h"
#include "tokens/vocabulary.h"

namespace kvasir {

std::string completion_body(const TraceRow& row, size_t row_number,
                            const CompletionOptions& options) {
  std::string body = "{\"model\":" + nlohmann::json(options.model).dump();
  if (!row.messages.empty()) {
    body += ",\"messages\":" + row.messages;
    if (!row.tools.empty()) body += ",\"tools\":" + row.tools + ",\"tool_choice\":\"none\"";
  } else if (!row.text.empty()) {
    body += ",\"prompt\":";
    body += nlohmann::json(row.text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  } else if (options.token_ids) {
    const auto ids = encode(prompt_text(row, options.seed, row_number, options.block_tokens));
    body += ",\"prompt\":" + nlohmann::json(ids).dump();
  } else {
    body +=
        ",\"prompt\":\"" + prompt_text(row, options.seed, row_number, options.block_tokens) + "\"";
  }
  body += ",\"max_tokens\":" + std::to_string(row.output_length);
  body += ",\"seed\":" + std::to_string(options.seed);
  body += ",\"stream\":true,\"stream_options\":{\"include_usage\":true}";
  if (options.ignore_eos) body += ",\"ignore_eos\":true";
  body += "}";
  return body;
}

std::string completion_head(const HostPort& origin, const TraceRow& row,
                            const std::string& request_id, size_t body_bytes) {
  const std::string path = row.messages.empty() ? "/v1/completions" : "/v1/chat/completions";
  return "POST " + path + " HTTP/1.1\r\nHost: " + to_string(origin) +
         "\r\nContent-Type: application/json\r\nAccept: text/event-stream\r\nX-Request-Id: " +
         request_id + "\r\nContent-Length: " + std::to_string(body_bytes) + "\r\n\r\n";
}

}  // namespace kvasir
