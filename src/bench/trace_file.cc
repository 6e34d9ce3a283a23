#include "bench/trace_file.h"

#include <algorithm>
#include <span>

#include "base/whole_file.h"
#include "bench/report.h"
#include "bench/trace_generator.h"
#include "hashing/token_blocks.h"
#include "tokens/vocabulary.h"

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

void measure_texts(std::vector<TraceRow>& rows, uint32_t block_tokens) {
  for (TraceRow& row : rows) {
    if (row.text.empty()) continue;
    const std::vector<TokenId> tokens = encode(row.text);
    row.input_length = static_cast<uint32_t>(tokens.size());
    row.hash_ids = ids_of_tokens(tokens, block_tokens);
  }
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
  return remarks;
}

}  // namespace

Result<TraceFile> load_trace(const std::string& path, uint32_t block_tokens) {
  TraceFile trace;
  trace.name = path.empty() ? "the built-in trace (kvasir bench trace)" : path;
  Result<std::string> text = path.empty() ? Result<std::string>(generated_text())
                                          : read_whole_file(path, kTraceBytesMax);
  if (!text) return text.error();
  trace.hash = hash_text(*text);
  Result<MooncakeTrace> parsed = parse_mooncake_trace(*text, trace.name, block_tokens);
  if (!parsed) return parsed.error();
  if (parsed->rows.empty()) return Error{trace.name + ": it has no rows"};
  trace.remarks = remarks_on(*parsed);
  trace.rows = std::move(parsed->rows);
  measure_texts(trace.rows, block_tokens);
  return trace;
}

}  // namespace kvasir
