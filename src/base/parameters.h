// Reads the parameters of one object, strictly: every key must be known, of the right type and in
// range. Problems are kept, each with its key and line: problems() tells all of them.
//
//   Parameters parameters(value, "load-aware-scorer");
//   const double threshold = parameters.number("threshold", 128, 1, 1e9);
//   if (const auto problems = parameters.problems(); !problems.empty()) return problems;
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/remark.h"
#include "base/value.h"

namespace kvasir {

class Parameters {
 public:
  // `value`: a map or null (no parameters). `owner` names the object in errors, `noun` what its keys are called.
  // `value` must outlive this.
  Parameters(const Value& value, std::string_view owner, std::string_view noun = "parameter");

  // Each returns `fallback` when the key is absent or wrong.
  bool boolean(std::string_view key, bool fallback);
  int64_t integer(std::string_view key, int64_t fallback, int64_t least = 0,
                  int64_t most = std::numeric_limits<int64_t>::max());
  double number(std::string_view key, double fallback, double least = 0,
                double most = std::numeric_limits<double>::max());
  std::string text(std::string_view key, std::string_view fallback);
  // One of `allowed`.
  std::string choice(std::string_view key, std::string_view fallback,
                     const std::vector<std::string_view>& allowed);
  // Go's notation: "50ms", "5s", "2m", "1h30m".
  Duration duration(std::string_view key, Duration fallback);
  std::vector<std::string> texts(std::string_view key);
  // Whatever stands there, for nested objects; null when absent.
  const Value* any(std::string_view key);
  // Accepted and without effect.
  void ignore(std::string_view key) { any(key); }

  bool has(std::string_view key) const { return value_.find(key) != nullptr; }
  // Reports a problem of the caller's own with the value of `key`.
  void fail(std::string_view key, std::string_view problem);
  // A key that was known once: when it is there it is unknown, and `hint` says what to write today.
  void refuse_former(std::string_view key, std::string_view hint);

  // Every problem: "load-aware-scorer: threshold must be a number, not a text". Those of keys that
  // were not asked for come last: "unknown parameter 'tresholds'; did you mean 'threshold'?".
  std::vector<Remark> problems() const;

 private:
  const Value* take(std::string_view key);
  void wrong(std::string_view key, const Value& value, std::string_view expected);
  void add_problem(int line, std::string_view text);

  const Value& value_;
  const std::string owner_;
  const std::string noun_;
  std::vector<std::string> known_;
  std::vector<Remark> problems_;
};

// Go's duration notation, without sign; nullopt when it is none.
std::optional<Duration> parse_duration(std::string_view text);

}  // namespace kvasir
