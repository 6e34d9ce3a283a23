// The usage of an OpenAI answer on its way through a proxy: how many prompt tokens were cached is
// what the prefill worker says, for the decode worker had all of them from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

// A JSON answer, or one event of a stream, with usage.prompt_tokens_details.cached_tokens set;
// nullopt: it has no usage. All other bytes stay.
std::optional<std::string> with_cached_tokens(std::string_view json, uint64_t cached_tokens);
// usage.completion_tokens of the same.
std::optional<uint64_t> completion_tokens_of(std::string_view json);
// prompt_tokens_details.cached_tokens of a usage.
std::optional<uint64_t> cached_tokens_of(std::string_view usage);

// The same for a stream of events in bytes that arrive in any pieces. Only lines with a usage are
// read; bytes that end with a line pass without a copy.
class UsageStream {
 public:
  static constexpr size_t kLineBytesMost = 1024 * 1024;

  // `cached_tokens`: nullopt: they stay as they are.
  explicit UsageStream(std::optional<uint64_t> cached_tokens) : cached_tokens_(cached_tokens) {}

  // What can go on, valid until the next call. The beginning of a line is held back until its end
  // comes; of one that grows beyond the limit, nothing is changed, and of nothing behind it.
  std::string_view feed(std::string_view bytes);
  // What was held back, at the end.
  std::string_view rest();

  // The latest that a usage said.
  std::optional<uint64_t> completion_tokens() const { return completion_tokens_; }

 private:
  void edit_lines(std::string_view lines);
  void edit_line(std::string_view line);

  const std::optional<uint64_t> cached_tokens_;
  std::optional<uint64_t> completion_tokens_;
  std::string held_, out_;
  bool passes_ = false;
};

}  // namespace kvasir
