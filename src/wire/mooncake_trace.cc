#include "wire/mooncake_trace.h"

#include <simdjson.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "wire/json/json_cursor.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

using Json = simdjson::dom::element;

// Beyond this a double cannot tell milliseconds apart; it is 30,000 years.
constexpr double kMillisecondsMost = 1e15;

enum class Key : uint8_t {
  kTime,
  kInput,
  kOutput,
  kIds,
  kText,
  kSession,
  kDelay,
  kMessages,
  kMode,
  kTools,
  kPayload
};

struct KeyName {
  std::string_view name;
  Key key;
};
// The first name of each key is the one that errors use.
constexpr std::array<KeyName, 15> kKeyNames = {{{"timestamp", Key::kTime},
                                                {"created_time", Key::kTime},
                                                {"input_length", Key::kInput},
                                                {"input_tokens", Key::kInput},
                                                {"output_length", Key::kOutput},
                                                {"output_tokens", Key::kOutput},
                                                {"hash_ids", Key::kIds},
                                                {"text_input", Key::kText},
                                                {"session_id", Key::kSession},
                                                {"delay", Key::kDelay},
                                                {"delay_ms", Key::kDelay},
                                                {"messages", Key::kMessages},
                                                {"message_mode", Key::kMode},
                                                {"tools", Key::kTools},
                                                {"payload", Key::kPayload}}};

std::optional<Key> key_of(std::string_view name) {
  for (const KeyName& entry : kKeyNames) {
    if (entry.name == name) return entry.key;
  }
  return std::nullopt;
}

// A whole number from 1; 12.0 is one.
std::optional<uint32_t> read_length(const Json& value) {
  double number = 0;
  if (value.get(number) != simdjson::SUCCESS) return std::nullopt;
  if (!(number >= 1 && number <= kTraceTokensMost)) return std::nullopt;
  if (number != std::floor(number)) return std::nullopt;
  return static_cast<uint32_t>(number);
}

std::optional<double> read_milliseconds(const Json& value) {
  double number = 0;
  if (value.get(number) != simdjson::SUCCESS) return std::nullopt;
  if (!(number >= 0 && number <= kMillisecondsMost)) return std::nullopt;
  return number + 0.0;  // -0.0 is 0
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

// A text that is not empty, or a whole number.
std::optional<std::string> read_name(const Json& value) {
  std::string_view text;
  int64_t number = 0;
  if (value.get(text) == simdjson::SUCCESS && !text.empty()) return std::string(text);
  if (value.get(number) == simdjson::SUCCESS) return std::to_string(number);
  return std::nullopt;
}

// Objects, at least one. `with_role`: each has a "role" that is a text.
bool is_list_of_objects(const Json& value, bool with_role) {
  simdjson::dom::array array;
  if (value.get(array) != simdjson::SUCCESS || array.size() == 0) return false;
  for (const Json& element : array) {
    simdjson::dom::object object;
    std::string_view role;
    if (element.get(object) != simdjson::SUCCESS) return false;
    if (with_role && object["role"].get(role) != simdjson::SUCCESS) return false;
  }
  return true;
}

class TraceReader {
 public:
  TraceReader(const std::string& name, uint32_t block_tokens)
      : name_(name), block_tokens_(block_tokens) {}

  Result<MooncakeTrace> read(std::string_view text);

 private:
  // What is wrong, or nothing.
  std::string read_row(std::string_view line, TraceRow& row);
  std::string read_member(std::string_view name, const Json& value, TraceRow& row);
  std::string read_value(Key key, const Json& value, TraceRow& row);
  std::string read_chat(std::string_view line, TraceRow& row);
  std::string check_input(const TraceRow& row) const;
  std::string place(TraceRow& row);
  void note_time(const TraceRow& row);
  std::string mixture_of_times() const;
  std::string check_time(double before, double at) const;
  void remember_unknown(std::string_view name);
  bool given(Key key) const { return (seen_ & bit(key)) != 0; }
  static unsigned bit(Key key) { return 1u << static_cast<unsigned>(key); }

  const std::string& name_;
  const uint32_t block_tokens_;
  simdjson::dom::parser parser_;
  MooncakeTrace trace_;
  unsigned seen_ = 0;  // the keys of the row at hand
  size_t line_ = 0;
  size_t timed_line_ = 0;    // the first row with a timestamp; 0: none yet
  size_t untimed_line_ = 0;  // the first row that follows no other and has none; 0: none yet
  std::string untimed_session_;
  double last_time_ms_ = 0;
  std::unordered_map<std::string, double> sessions_;  // the time of the latest turn
};

Result<MooncakeTrace> TraceReader::read(std::string_view text) {
  for (line_ = 1; !text.empty(); ++line_) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    TraceRow row;
    std::string problem = read_row(line, row);
    if (problem.empty()) problem = place(row);
    if (!problem.empty()) return Error{name_ + ":" + std::to_string(line_) + ": " + problem};
    note_time(row);
    if (timed_line_ != 0 && untimed_line_ != 0) return Error{mixture_of_times()};
    trace_.rows.push_back(std::move(row));
  }
  trace_.has_times = timed_line_ != 0;
  return std::move(trace_);
}

std::string TraceReader::read_row(std::string_view line, TraceRow& row) {
  simdjson::dom::object object;
  Json document;
  const auto failure = parser_.parse(line.data(), line.size()).get(document);
  if (failure != simdjson::SUCCESS) {
    return std::string("not valid JSON: ") + simdjson::error_message(failure);
  }
  if (document.get(object) != simdjson::SUCCESS) return "not a JSON object";
  seen_ = 0;
  for (const auto field : object) {
    std::string problem = read_member(field.key, field.value, row);
    if (!problem.empty()) return problem;
  }
  if (!given(Key::kOutput)) {
    row.output_length = kTraceOutputTokens;
    ++trace_.rows_without_output_length;
  }
  std::string problem = check_input(row);
  if (problem.empty() && given(Key::kMessages)) problem = read_chat(line, row);
  if (problem.empty() && given(Key::kPayload)) remember_unknown("payload");
  return problem;
}

std::string TraceReader::read_member(std::string_view name, const Json& value, TraceRow& row) {
  const std::optional<Key> key = key_of(name);
  if (!key) {
    remember_unknown(name);
    return {};
  }
  if (value.is_null()) return {};
  if (given(*key)) return "the key \"" + std::string(name) + "\" stands twice";
  seen_ |= bit(*key);
  std::string problem = read_value(*key, value, row);
  return problem.empty() ? problem : "\"" + std::string(name) + "\" is not " + problem;
}

// Nothing, or what the value should have been.
std::string TraceReader::read_value(Key key, const Json& value, TraceRow& row) {
  switch (key) {
    case Key::kTime:
    case Key::kDelay: {
      const std::optional<double> milliseconds = read_milliseconds(value);
      (key == Key::kTime ? row.timestamp_ms : row.delay_ms) = milliseconds.value_or(0);
      return milliseconds ? "" : "a number of milliseconds from 0";
    }
    case Key::kInput:
    case Key::kOutput: {
      const std::optional<uint32_t> length = read_length(value);
      (key == Key::kInput ? row.input_length : row.output_length) = length.value_or(0);
      return length ? std::string()
                    : "a whole number from 1 to " + std::to_string(kTraceTokensMost);
    }
    case Key::kIds:
      return read_ids(value, row.hash_ids) ? "" : "a list of whole numbers from 0";
    case Key::kText: {
      std::string_view text;
      const bool good = value.get(text) == simdjson::SUCCESS && !text.empty();
      row.text = text;
      return good ? "" : "a text that is not empty";
    }
    case Key::kSession: {
      std::optional<std::string> name = read_name(value);
      row.session = name.value_or("");
      return name ? "" : "a text or a whole number";
    }
    case Key::kMessages:
      return is_list_of_objects(value, true)
                 ? ""
                 : "a list of messages, at least one, that are objects with a \"role\"";
    case Key::kMode: {
      std::string_view mode;
      const bool good = value.get(mode) == simdjson::SUCCESS && mode == "history";
      return good ? ""
                  : "\"history\", the only mode that is replayed: each turn has its whole chat";
    }
    case Key::kTools:
      return is_list_of_objects(value, false) ? "" : "a list of tools, at least one";
    case Key::kPayload:
      return {};
  }
  return {};
}

// Takes the chat from the line: simdjson keeps no bytes.
std::string TraceReader::read_chat(std::string_view line, TraceRow& row) {
  JsonMembers members(line.substr(line.find('{')));
  while (members.next()) {
    if (members.value() == "null") continue;
    if (members.key() == "messages") row.messages = members.value();
    if (members.key() == "tools") row.tools = members.value();
  }
  if (row.messages.empty()) return "\"messages\" cannot be read";
  const size_t bytes = row.messages.size() + row.tools.size();
  if (bytes <= kTraceChatBytesMost) return {};
  return "\"messages\" and \"tools\" have " + std::to_string(bytes) + " bytes, at most " +
         std::to_string(kTraceChatBytesMost) + " are replayed";
}

std::string TraceReader::check_input(const TraceRow& row) const {
  if (given(Key::kText) && given(Key::kMessages)) {
    return "\"messages\" and \"text_input\" cannot stand together";
  }
  if (given(Key::kTools) && !given(Key::kMessages)) return "\"tools\" needs \"messages\"";
  if (given(Key::kText) || given(Key::kMessages)) {
    if (!given(Key::kIds)) return {};
    const std::string name = given(Key::kText) ? "\"text_input\"" : "\"messages\"";
    return name + " and \"hash_ids\" cannot stand together";
  }
  if (!given(Key::kInput) && given(Key::kPayload)) {
    return "\"payload\" rows are not replayed: give \"messages\", \"text_input\" or "
           "\"input_length\" instead";
  }
  if (!given(Key::kInput)) {
    return "the key \"input_length\" is missing, and there is neither \"text_input\" nor "
           "\"messages\"";
  }
  if (!given(Key::kIds)) return {};
  const uint64_t blocks = (uint64_t{row.input_length} + block_tokens_ - 1) / block_tokens_;
  if (blocks == row.hash_ids.size()) return {};
  return "input_length " + std::to_string(row.input_length) + " needs " + std::to_string(blocks) +
         " hash_ids of " + std::to_string(block_tokens_) + " tokens, there are " +
         std::to_string(row.hash_ids.size());
}

// Puts the row into its session and its time.
std::string TraceReader::place(TraceRow& row) {
  const auto before = sessions_.find(row.session);
  row.follows = !row.session.empty() && before != sessions_.end();
  if (given(Key::kDelay) && !row.follows) {
    row.delay_ms = 0;  // there is no answer to wait for
  }
  if (given(Key::kText) || given(Key::kMessages)) row.input_length = 0;
  if (row.session.empty()) {
    const double last = std::exchange(last_time_ms_, row.timestamp_ms);
    return check_time(last, row.timestamp_ms);
  }
  const double last = row.follows ? before->second : 0;
  if (!given(Key::kTime)) row.timestamp_ms = last;
  sessions_[row.session] = row.timestamp_ms;
  return check_time(last, row.timestamp_ms);
}

void TraceReader::note_time(const TraceRow& row) {
  if (given(Key::kTime)) {
    if (timed_line_ == 0) timed_line_ = line_;
  } else if (!row.follows && untimed_line_ == 0) {
    untimed_line_ = line_;
    untimed_session_ = row.session;
  }
}

std::string TraceReader::mixture_of_times() const {
  std::string problem = name_ + ":" + std::to_string(untimed_line_);
  problem += ": the key \"timestamp\" is missing";
  if (!untimed_session_.empty()) {
    problem += " in the first row of session \"" + untimed_session_ + "\"";
  }
  return problem + ", but line " + std::to_string(timed_line_) +
         " has one: give it to every row that follows no other, or to none";
}

void append_milliseconds(double milliseconds, std::string& text) {
  if (milliseconds == std::floor(milliseconds)) {
    text += std::to_string(static_cast<uint64_t>(milliseconds));
  } else {
    append_real(milliseconds, text);
  }
}

std::string TraceReader::check_time(double before, double at) const {
  if (at >= before) return {};
  std::string problem = "the timestamp goes back: ";
  append_milliseconds(at, problem);
  problem += " after ";
  append_milliseconds(before, problem);
  return problem;
}

void TraceReader::remember_unknown(std::string_view name) {
  std::vector<std::string>& keys = trace_.unknown_keys;
  if (keys.size() == kUnknownKeysMost) return;
  if (std::find(keys.begin(), keys.end(), name) == keys.end()) keys.emplace_back(name);
}

}  // namespace

Result<MooncakeTrace> parse_mooncake_trace(std::string_view text, const std::string& name,
                                           uint32_t block_tokens) {
  KVASIR_ASSERT(block_tokens > 0, "a block has tokens");
  // Some editors and shells begin a file with a mark of its encoding.
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  return TraceReader(name, block_tokens).read(text);
}

void append_mooncake_row(const TraceRow& row, std::string& text) {
  text += "{\"timestamp\": ";
  append_milliseconds(row.timestamp_ms, text);
  if (!row.session.empty()) {
    text += ", \"session_id\": ";
    append_json_string(row.session, text);
  }
  if (row.delay_ms > 0) {
    text += ", \"delay\": ";
    append_milliseconds(row.delay_ms, text);
  }
  if (!row.messages.empty()) {
    text += ", \"messages\": " + row.messages;
    if (!row.tools.empty()) text += ", \"tools\": " + row.tools;
  } else if (!row.text.empty()) {
    text += ", \"text_input\": ";
    append_json_string(row.text, text);
  } else {
    text += ", \"input_length\": " + std::to_string(row.input_length);
  }
  text += ", \"output_length\": " + std::to_string(row.output_length);
  if (!row.hash_ids.empty()) {
    text += ", \"hash_ids\": [";
    for (size_t i = 0; i < row.hash_ids.size(); ++i) {
      if (i > 0) text += ", ";
      text += std::to_string(row.hash_ids[i]);
    }
    text += "]";
  }
  text += "}\n";
}

}  // namespace kvasir
