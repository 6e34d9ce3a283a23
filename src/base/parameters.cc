#include "base/parameters.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/nearest_name.h"

namespace kvasir {
namespace {

constexpr double kLongestSeconds = 1e9;  // about 30 years; beyond it nanoseconds could overflow

std::optional<double> unit_seconds(std::string_view unit) {
  if (unit == "ns") return 1e-9;
  if (unit == "us" || unit == "\xc2\xb5s") return 1e-6;
  if (unit == "ms") return 1e-3;
  if (unit == "s") return 1;
  if (unit == "m") return 60;
  if (unit == "h") return 3600;
  return std::nullopt;
}

}  // namespace

std::optional<Duration> parse_duration(std::string_view text) {
  if (text == "0") return Duration::zero();
  double seconds = 0;
  bool any = false;
  while (!text.empty()) {
    double count = 0;
    const auto parsed =
        std::from_chars(text.data(), text.data() + text.size(), count, std::chars_format::fixed);
    if (parsed.ec != std::errc() || count < 0) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(parsed.ptr - text.data()));
    const size_t unit_end = std::min(text.find_first_of("0123456789."), text.size());
    const std::optional<double> unit = unit_seconds(text.substr(0, unit_end));
    if (!unit) return std::nullopt;
    seconds += count * *unit;
    text.remove_prefix(unit_end);
    any = true;
  }
  if (!any || !(seconds <= kLongestSeconds)) return std::nullopt;
  return Duration(static_cast<Duration::rep>(std::llround(seconds * 1e9)));
}

Parameters::Parameters(const Value& value, std::string_view owner, std::string_view noun)
    : value_(value), owner_(owner), noun_(noun) {
  if (!value.is_null() && value.map() == nullptr) {
    add_problem(value.line(), std::string(noun) + "s must be a map, not " + std::string(value.kind()));
  }
}

void Parameters::add_problem(int line, std::string_view text) {
  problems_.push_back(Remark{line, std::string(owner_).append(": ").append(text)});
}

const Value* Parameters::take(std::string_view key) {
  known_.emplace_back(key);
  const Value* found = value_.find(key);
  return found == nullptr || found->is_null() ? nullptr : found;
}

void Parameters::wrong(std::string_view key, const Value& value, std::string_view expected) {
  add_problem(value.line(), std::string(key) + " must be " + std::string(expected) + ", not " +
                                std::string(value.kind()));
}

void Parameters::fail(std::string_view key, std::string_view problem) {
  const Value* found = value_.find(key);
  const int line = found != nullptr ? found->line() : value_.line();
  add_problem(line, std::string(key) + " " + std::string(problem));
}

void Parameters::refuse_former(std::string_view key, std::string_view hint) {
  const Value* found = value_.find(key);
  if (found == nullptr) return;
  known_.emplace_back(key);
  add_problem(found->line(), "unknown " + std::string(noun_) + " '" + std::string(key) + "'; " +
                                 std::string(hint));
}

bool Parameters::boolean(std::string_view key, bool fallback) {
  const Value* found = take(key);
  if (found == nullptr) return fallback;
  if (const bool* value = found->boolean()) return *value;
  wrong(key, *found, "a boolean");
  return fallback;
}

int64_t Parameters::integer(std::string_view key, int64_t fallback, int64_t least, int64_t most) {
  const Value* found = take(key);
  if (found == nullptr) return fallback;
  const int64_t* value = found->integer();
  if (value == nullptr) {
    wrong(key, *found, "a whole number");
  } else if (*value < least || *value > most) {
    fail(key, "must be from " + std::to_string(least) + " to " + std::to_string(most));
  } else {
    return *value;
  }
  return fallback;
}

double Parameters::number(std::string_view key, double fallback, double least, double most) {
  const Value* found = take(key);
  if (found == nullptr) return fallback;
  const std::optional<double> value = found->number();
  if (!value) {
    wrong(key, *found, "a number");
  } else if (!(*value >= least && *value <= most)) {
    fail(key, "is out of range");
  } else {
    return *value;
  }
  return fallback;
}

std::string Parameters::text(std::string_view key, std::string_view fallback) {
  const Value* found = take(key);
  if (found == nullptr) return std::string(fallback);
  if (const std::string* value = found->text()) return *value;
  wrong(key, *found, "a text");
  return std::string(fallback);
}

std::string Parameters::choice(std::string_view key, std::string_view fallback,
                               const std::vector<std::string_view>& allowed) {
  const std::string value = text(key, fallback);
  if (std::find(allowed.begin(), allowed.end(), value) != allowed.end()) return value;
  std::string names;
  for (const std::string_view name : allowed) names.append(names.empty() ? "" : ", ").append(name);
  fail(key, "is '" + value + "' but must be one of: " + names);
  return std::string(fallback);
}

Duration Parameters::duration(std::string_view key, Duration fallback) {
  const Value* found = take(key);
  if (found == nullptr) return fallback;
  const std::string* value = found->text();
  if (value == nullptr) {
    wrong(key, *found, "a duration such as 50ms or 5s");
    return fallback;
  }
  const std::optional<Duration> parsed = parse_duration(*value);
  if (!parsed) fail(key, "is '" + *value + "' but must be a duration such as 50ms or 5s");
  return parsed.value_or(fallback);
}

std::vector<std::string> Parameters::texts(std::string_view key) {
  std::vector<std::string> result;
  const Value* found = take(key);
  if (found == nullptr) return result;
  const Value::List* list = found->list();
  if (list == nullptr) {
    wrong(key, *found, "a list of texts");
    return result;
  }
  for (const Value& item : *list) {
    if (const std::string* value = item.text()) {
      result.push_back(*value);
    } else {
      wrong(key, item, "a list of texts");
    }
  }
  return result;
}

const Value* Parameters::any(std::string_view key) { return take(key); }

std::vector<Remark> Parameters::problems() const {
  std::vector<Remark> all = problems_;
  const Value::Map* entries = value_.map();
  if (entries == nullptr) return all;
  for (const auto& [name, value] : *entries) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const std::vector<std::string_view> known(known_.begin(), known_.end());
    all.push_back(Remark{value.line(), std::string(owner_) + ": unknown " + std::string(noun_) + " '" +
                                           name + "'" + did_you_mean(name, known)});
  }
  return all;
}

}  // namespace kvasir
