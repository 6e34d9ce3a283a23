// The pieces of a prompt on their way to its sink. Private to wire/.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "wire/json/json_cursor.h"
#include "wire/json/json_lanes.h"
#include "wire/request/prompt_text.h"

namespace kvasir {

// Gathers small pieces, passes long ones on as they stand.
class PieceWriter {
 public:
  explicit PieceWriter(PromptSink& sink) : sink_(sink) {}
  ~PieceWriter() { flush(); }
  PieceWriter(const PieceWriter&) = delete;
  PieceWriter& operator=(const PieceWriter&) = delete;

  void put(char byte) {
    if (filled_ == buffer_.size()) flush();
    buffer_[filled_++] = byte;
  }
  void put(std::string_view bytes) {
    if (bytes.size() > buffer_.size() - filled_) flush();
    if (bytes.size() > buffer_.size()) return sink_.take(bytes);
    if (bytes.empty()) return;  // memcpy() wants an address even for nothing
    std::memcpy(buffer_.data() + filled_, bytes.data(), bytes.size());
    filled_ += bytes.size();
  }
  // Without its white space.
  void put_spaceless(std::string_view text) {
    while (changes_left_ > 0) {
      const size_t plain = json_space(text);
      if (plain == text.size() || plain >= kWorthPassing) put(text.substr(0, plain));
      if (plain == text.size()) return;
      if (plain >= kWorthPassing) {
        text.remove_prefix(plain);
      } else {
        text.remove_prefix(copy_spaceless(text.substr(0, kWorthPassing)));
        changes_left_ -= std::min(changes_left_, kWorthPassing / kJsonLane);
      }
    }
    put(text);
  }
  // What stands between the quotes of a JSON string, in its shortest spelling: characters that need
  // no escape have none, and those that have a short one have that. Most strings are spelled so.
  void put_text(std::string_view raw) {
    if (long_json_escape(raw) == raw.size()) return put(raw);
    while (changes_left_ > 0) {
      const size_t plain = std::min(raw.find('\\'), raw.size());
      put(raw.substr(0, plain));
      raw.remove_prefix(plain);
      if (raw.empty()) return;
      char characters[4];
      size_t written = 0;
      const size_t taken = read_json_escape(raw, characters, written);
      written == 1 ? put_character(characters[0]) : put(std::string_view(characters, written));
      raw.remove_prefix(taken);
      --changes_left_;
    }
    put(raw);
  }

 private:
  static constexpr size_t kBufferBytes = 2048;
  // Escapes and pieces of spaced text that are spelled anew in a prompt; what is behind them counts
  // as it stands.
  static constexpr size_t kChangesMax = 1024 * 1024;
  // A run of bytes that is passed on as it stands; shorter ones are copied together.
  static constexpr size_t kWorthPassing = 512;
  static_assert(kBufferBytes > 2 * kWorthPassing);

  // Copies the text's begin to the buffer and returns how much of it it took, at least a byte.
  size_t copy_spaceless(std::string_view text) {
    if (buffer_.size() - filled_ < text.size() + kJsonLane) flush();
    size_t at = 0;
    while (at < text.size()) {
      const size_t plain = copy_json_lane(text.substr(at), buffer_.data() + filled_);
      filled_ += plain;
      at += plain;
      while (at < text.size() && static_cast<unsigned char>(text[at]) <= ' ') ++at;
    }
    return at;
  }
  // One that may need an escape.
  void put_character(char character) {
    static constexpr std::string_view kLetters = "\"\\bfnrt";
    for (const char letter : kLetters) {
      if (simple_json_escape(letter) != character) continue;
      put('\\');
      return put(letter);
    }
    put(character);
  }

  void flush() {
    if (filled_ > 0) sink_.take({buffer_.data(), filled_});
    filled_ = 0;
  }

  PromptSink& sink_;
  std::array<char, kBufferBytes> buffer_;
  size_t filled_ = 0;
  size_t changes_left_ = kChangesMax;
};

}  // namespace kvasir
