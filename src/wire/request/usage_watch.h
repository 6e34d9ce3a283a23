// Notices the counts of an answer's usage as the answer passes, in whatever pieces, without parsing
// or keeping it.
//
// The counts are those of every "usage" object (completions, chat, embeddings: prompt_tokens,
// completion_tokens, prompt_tokens_details.cached_tokens; responses and messages: input_tokens,
// output_tokens, input_tokens_details.cached_tokens, cache_read_input_tokens) and of SGLang's
// "meta_info", wherever it stands in the answer: in the body, in an event, in the message or
// response of an event. Of several the last one counts, number by number. In a text the quotes of
// these words would be escaped, so that texts are never taken for counts.
//
// The input_tokens of messages are those that were not in the cache: cache_read_input_tokens and
// cache_creation_input_tokens are the rest of the prompt. Those of responses are all of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kvasir {

class UsageWatch {
 public:
  // The next bytes of the body; it may be cut anywhere.
  void look(std::string_view bytes);

  std::optional<uint32_t> prompt_tokens() const;
  std::optional<uint32_t> completion_tokens() const { return counts_[kCompletion]; }
  std::optional<uint32_t> cached_tokens() const {
    return counts_[kCached] ? counts_[kCached] : counts_[kCacheRead];
  }

 private:
  enum class State : uint8_t { kOutside, kInName, kBehindName, kBehindColon, kInside };
  enum Count : uint8_t { kPrompt, kInput, kCompletion, kCached, kCacheRead, kCacheCreation, kNone };

  // Longer keys are none of ours.
  static constexpr size_t kKeyBytesMax = 32;

  // Each takes bytes from `at` on and returns where it stopped.
  size_t find_name(std::string_view bytes, size_t at);
  size_t continue_name(std::string_view bytes, size_t at);
  size_t await_object(std::string_view bytes, size_t at);
  size_t read_object(std::string_view bytes, size_t at);
  size_t read_string(std::string_view bytes, size_t at);

  void enter_object();
  void on_structure(char byte);
  void on_digit(char byte);
  void end_number(char byte);
  Count count_of_key() const;
  bool key_names_usage() const;

  State state_ = State::kOutside;
  char last_ = '\0';  // byte of the piece before
  // Of the name of a usage that was begun: the bytes so far, and which names they can become.
  uint8_t name_bytes_ = 0;
  uint8_t name_choices_ = 0;
  // Inside an object.
  uint32_t depth_ = 0;
  bool in_string_ = false;
  bool escaped_ = false;
  bool in_number_ = false;
  bool number_is_count_ = false;  // digits only, and not too many
  uint64_t number_ = 0;
  Count count_ = kNone;  // what the next number is
  std::array<char, kKeyBytesMax> key_{};
  uint8_t key_bytes_ = 0;  // kKeyBytesMax + 1: too long
  std::array<std::optional<uint32_t>, kNone> counts_;
};

}  // namespace kvasir
