// Cuts text into words as the regular expressions of GPT-2, Llama-3 and Qwen do.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace kvasir {

class UnicodeClasses;

// What one of these expressions says. In each of them a word is the first of: a contraction;
// letters with one character before them; numbers; others; white space, of which the last character
// is left to the word behind it.
struct SplitRules {
  enum class Kind : uint8_t {
    kGpt2,
    // Llama-3 and after: contractions in upper case, too; any character that is neither letter,
    // number nor line break may stand before letters, not only a space; line breaks end a word.
    kModern,
    kNumbers,  // no expression: numbers are words of their own, and so is what is between them
  };
  Kind kind = Kind::kGpt2;
  uint32_t numbers_most = 0;  // in one word; 0: as many as there are
  bool marks_are_letters = false;

  bool operator==(const SplitRules&) const = default;
};

// nullopt: none of the expressions that are known.
std::optional<SplitRules> split_rules_of(std::string_view regular_expression);
// That of a ByteLevel pre-tokenizer.
inline constexpr SplitRules kGpt2Rules{};

class WordSplitter {
 public:
  explicit WordSplitter(SplitRules rules);

  // Where the word that begins at `at` ends. Precondition: `text` is UTF-8, and a word begins
  // there.
  size_t word_end(std::string_view text, size_t at) const;

 private:
  SplitRules rules_;
  const UnicodeClasses* classes_;
};

}  // namespace kvasir
