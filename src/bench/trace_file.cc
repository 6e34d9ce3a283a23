#include "bench/trace_file.h"

#include <algorithm>
#include <optional>
#include <span>

#include "base/whole_file.h"
#include "bench/report.h"
#include "bench/trace_generator.h"
#include "hashing/token_blocks.h"
#include "tokens/vocabulary.h"
#include "vllm/chat_request.h"

namespace kvasir {
namespace {

constexpr size_t kTraceBytesMax = size_t{1} << 30;

std::string generated_text() {
  std::string text;
  for (const TraceRow& row : generate_trace({})) append_mooncake_row(row, text);
  return text;
}

// Equal beginnings of texts have equal ids.
std::vector<uint64_t> ids_of_tokens(const std::vector<TokenId>& tokens, uint32_t block_tokens) {
  std::vector<uint64_t> ids;
  uint64_t parent = 0;
  for (size_t begin = 0; begin < tokens.size(); begin += block_tokens) {
    const size_t count = std::min<size_t>(block_tokens, tokens.size() - begin);
    parent = hash_token_block(parent, std::span(tokens).subspan(begin, count));
    ids.push_back(parent);
  }
  return ids;
}

// The prompt that a simulated worker makes of the row's chat; nullopt: it would refuse it.
std::optional<std::string> prompt_of_chat(const TraceRow& row) {
  std::string body = "{\"messages\":" + row.messages;
  if (!row.tools.empty()) body += ",\"tools\":" + row.tools;
  const auto parsed = parse_chat_request("application/json", body + "}");
  const ChatRequest* request = std::get_if<ChatRequest>(&parsed);
  if (request == nullptr || request->content_problem) return std::nullopt;
  return chat_prompt(request->messages, request->prompt_end, request->tools_text);
}

void measure_prompt(const std::string& prompt, uint32_t block_tokens, TraceRow& row) {
  const std::vector<TokenId> tokens = encode(prompt);
  row.input_length = static_cast<uint32_t>(tokens.size());
  row.hash_ids = ids_of_tokens(tokens, block_tokens);
}

// Returns how many chats could not be measured.
size_t measure_prompts(std::vector<TraceRow>& rows, uint32_t block_tokens) {
  size_t unmeasured = 0;
  for (TraceRow& row : rows) {
    if (!row.text.empty()) measure_prompt(row.text, block_tokens, row);
    if (row.messages.empty()) continue;
    const std::optional<std::string> prompt = prompt_of_chat(row);
    if (prompt) {
      measure_prompt(*prompt, block_tokens, row);
    } else {
      ++unmeasured;
    }
  }
  return unmeasured;
}

std::string remark_on_no_times(const std::vector<TraceRow>& rows) {
  const auto first =
      std::count_if(rows.begin(), rows.end(), [](const TraceRow& row) { return !row.follows; });
  return "no row has a timestamp: " + std::to_string(first) +
         " requests are due at once, at 0, and later turns of a session after the answer before "
         "them; no flag spreads them (--requests sends fewer), a \"timestamp\" in each row does";
}

std::vector<std::string> remarks_on(const MooncakeTrace& trace) {
  std::vector<std::string> remarks;
  std::string keys;
  for (const std::string& key : trace.unknown_keys)
    keys.append(keys.empty() ? "" : ", ").append(key);
  if (!keys.empty()) remarks.push_back("keys without effect here: " + keys);
  if (trace.rows_without_output_length > 0) {
    remarks.push_back(std::to_string(trace.rows_without_output_length) +
                      " rows have no output_length: they ask for " +
                      std::to_string(kTraceOutputTokens) + " tokens");
  }
  if (!trace.rows.empty() && !trace.has_times) remarks.push_back(remark_on_no_times(trace.rows));
  return remarks;
}

}  // namespace

Result<TraceFile> load_trace(const std::string& path, uint32_t block_tokens) {
  TraceFile trace;
  trace.name = path.empty() ? "the built-in trace (kvasir bench trace)" : path;
  Result<std::string> text =
      path.empty() ? Result<std::string>(generated_text()) : read_whole_file(path, kTraceBytesMax);
  if (!text) return text.error();
  trace.hash = hash_text(*text);
  Result<MooncakeTrace> parsed = parse_mooncake_trace(*text, trace.name, block_tokens);
  if (!parsed) return parsed.error();
  if (parsed->rows.empty()) return Error{trace.name + ": it has no rows"};
  trace.remarks = remarks_on(*parsed);
  trace.rows = std::move(parsed->rows);
  const size_t unmeasured = measure_prompts(trace.rows, block_tokens);
  if (unmeasured > 0) {
    trace.remarks.push_back(std::to_string(unmeasured) +
                            " rows have messages that a simulated worker refuses: they are sent "
                            "all the same, and count as prompts of 0 tokens here");
  }
  return trace;
}

}  // namespace kvasir
