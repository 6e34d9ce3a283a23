#include "wire/mooncake_trace.h"

#include <simdjson.h>

#include <algorithm>
#include <limits>
#include <optional>

namespace kvasir {
namespace {

using Json = simdjson::dom::element;

// Sets in `seen` the bit of a key; false when it is set already.
bool first_time(unsigned& seen, unsigned bit) {
  const bool fresh = (seen & bit) == 0;
  seen |= bit;
  return fresh;
}

// A whole number of at least `least` that fits 32 bits.
std::optional<uint32_t> read_length(const Json& value, uint32_t least) {
  uint64_t number = 0;
  if (value.get(number) != simdjson::SUCCESS) return std::nullopt;
  if (number < least || number > std::numeric_limits<uint32_t>::max()) return std::nullopt;
  return static_cast<uint32_t>(number);
}

bool read_ids(const Json& value, std::vector<uint64_t>& ids) {
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS) return false;
  ids.reserve(array.size());
  for (const Json& element : array) {
    uint64_t id = 0;
    if (element.get(id) != simdjson::SUCCESS) return false;
    ids.push_back(id);
  }
  return true;
}

// What is wrong with the value of `key`, or nothing.
std::string read_key(std::string_view key, const Json& value, TraceRow& row, unsigned& seen) {
  unsigned bit = 0;
  bool good = false;
  if (key == "timestamp") {
    bit = 1;
    good = value.get(row.timestamp_ms) == simdjson::SUCCESS;
  } else if (key == "input_length" || key == "output_length") {
    bit = key == "input_length" ? 2 : 4;
    const std::optional<uint32_t> length = read_length(value, 1);
    good = length.has_value();
    (bit == 2 ? row.input_length : row.output_length) = length.value_or(0);
  } else if (key == "hash_ids") {
    bit = 8;
    row.hash_ids.clear();
    good = read_ids(value, row.hash_ids);
  } else {
    return "the key \"" + std::string(key) + "\" is unknown";
  }
  if (!first_time(seen, bit)) return "the key \"" + std::string(key) + "\" stands twice";
  if (good) return {};
  if (bit == 8) return "\"hash_ids\" is not a list of whole numbers from 0";
  return "\"" + std::string(key) + "\" is not a whole number from " + (bit == 1 ? "0" : "1");
}

std::string missing_key(unsigned seen) {
  static constexpr const char* kKeys[] = {"timestamp", "input_length", "output_length", "hash_ids"};
  for (unsigned i = 0; i < 4; ++i) {
    if ((seen & (1u << i)) == 0) return std::string("the key \"") + kKeys[i] + "\" is missing";
  }
  return {};
}

// What is wrong with the line, or nothing.
std::string read_row(simdjson::dom::parser& parser, std::string_view line, uint32_t block_tokens,
                     TraceRow& row) {
  simdjson::dom::object object;
  Json document;
  const auto failure = parser.parse(line.data(), line.size()).get(document);
  if (failure != simdjson::SUCCESS) {
    return std::string("not valid JSON: ") + simdjson::error_message(failure);
  }
  if (document.get(object) != simdjson::SUCCESS) return "not a JSON object";
  unsigned seen = 0;
  for (const auto field : object) {
    std::string problem = read_key(field.key, field.value, row, seen);
    if (!problem.empty()) return problem;
  }
  if (seen != 15) return missing_key(seen);
  const uint64_t blocks = (uint64_t{row.input_length} + block_tokens - 1) / block_tokens;
  if (blocks == row.hash_ids.size()) return {};
  return "input_length " + std::to_string(row.input_length) + " needs " + std::to_string(blocks) +
         " hash_ids of " + std::to_string(block_tokens) + " tokens, there are " +
         std::to_string(row.hash_ids.size());
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

Result<std::vector<TraceRow>> parse_mooncake_trace(std::string_view text, const std::string& name,
                                                   uint32_t block_tokens) {
  KVASIR_ASSERT(block_tokens > 0, "a block has tokens");
  std::vector<TraceRow> rows;
  simdjson::dom::parser parser;
  size_t number = 0;
  while (!text.empty()) {
    ++number;
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (is_blank(line)) continue;
    TraceRow row;
    std::string problem = read_row(parser, line, block_tokens, row);
    if (problem.empty() && !rows.empty() && row.timestamp_ms < rows.back().timestamp_ms) {
      problem = "the timestamp goes back: " + std::to_string(row.timestamp_ms) + " after " +
                std::to_string(rows.back().timestamp_ms);
    }
    if (!problem.empty()) return Error{name + ":" + std::to_string(number) + ": " + problem};
    rows.push_back(std::move(row));
  }
  return rows;
}

void append_mooncake_row(const TraceRow& row, std::string& text) {
  text += "{\"timestamp\": " + std::to_string(row.timestamp_ms);
  text += ", \"input_length\": " + std::to_string(row.input_length);
  text += ", \"output_length\": " + std::to_string(row.output_length);
  text += ", \"hash_ids\": [";
  for (size_t i = 0; i < row.hash_ids.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(row.hash_ids[i]);
  }
  text += "]}\n";
}

}  // namespace kvasir
