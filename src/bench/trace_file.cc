#include "bench/trace_file.h"

#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "bench/report.h"
#include "bench/trace_generator.h"

namespace kvasir {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (file) text << file.rdbuf();
  // Reading nothing from an empty file fails too; a directory opens and cannot be read.
  if (!file.is_open() || file.bad() || (text.fail() && file.peek() != EOF)) {
    return Error{path + ": cannot read it: " + std::strerror(errno)};
  }
  return text.str();
}

std::string generated_text() {
  std::string text;
  for (const TraceRow& row : generate_trace({})) append_mooncake_row(row, text);
  return text;
}

}  // namespace

Result<TraceFile> load_trace(const std::string& path) {
  TraceFile trace;
  trace.name = path.empty() ? "the built-in trace (kvasir bench trace)" : path;
  Result<std::string> text = path.empty() ? Result<std::string>(generated_text()) : read_file(path);
  if (!text) return text.error();
  trace.hash = hash_text(*text);
  Result<std::vector<TraceRow>> rows = parse_mooncake_trace(*text, trace.name);
  if (!rows) return rows.error();
  if (rows->empty()) return Error{trace.name + ": it has no rows"};
  trace.rows = std::move(*rows);
  return trace;
}

}  // namespace kvasir
