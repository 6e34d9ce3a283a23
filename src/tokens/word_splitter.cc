#include "tokens/word_splitter.h"

#include "tokens/unicode_classes.h"
#include "tokens/utf8.h"

namespace kvasir {
namespace {

using Kind = SplitRules::Kind;

struct KnownExpression {
  std::string_view text;
  SplitRules rules;
};

constexpr KnownExpression kExpressions[] = {
    // GPT-2
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", {}},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", {}},
    // Llama-3
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Kind::kModern, 3, false}},
    // The same as GPT-4 writes it
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)",
     {Kind::kModern, 3, false}},
    // Qwen2, Qwen3
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Kind::kModern, 1, false}},
    // Qwen3.5
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)",
     {Kind::kModern, 1, true}},
};

// A place in the text that moves on.
class Place {
 public:
  Place(std::string_view text, size_t at, const UnicodeClasses& classes)
      : text_(text), at_(at), classes_(classes) {}

  size_t at() const { return at_; }
  bool at_end() const { return at_ == text_.size(); }
  // Precondition of the next two: not at_end().
  char byte() const { return text_[at_]; }
  uint8_t character_class() const {
    const auto first = static_cast<uint8_t>(text_[at_]);
    return first < 0x80 ? classes_.of_ascii(first) : classes_.of(code_point_at(text_, at_).value);
  }
  // 0 at the end.
  uint8_t class_here() const { return at_end() ? 0 : character_class(); }

  void step() {
    const auto first = static_cast<uint8_t>(text_[at_]);
    at_ += first < 0x80 ? 1 : code_point_at(text_, at_).bytes;
  }
  // Over all characters with a class in `mask`, `most` at most; 0: all there are.
  void skip(uint8_t mask, uint32_t most) {
    if (most == 0) return skip(mask);
    for (; most > 0 && !at_end() && (character_class() & mask) != 0; --most) step();
  }
  void skip(uint8_t mask) {
    while (!at_end() && (character_class() & mask) != 0) step();
  }
  void skip_without(uint8_t mask) {
    while (!at_end() && (character_class() & mask) == 0) step();
  }

 private:
  const std::string_view text_;
  size_t at_;
  const UnicodeClasses& classes_;
};

// The bytes of a contraction behind the apostrophe `text` begins with; 0: there is none.
size_t contraction_bytes(std::string_view text, bool any_case) {
  const auto letter = [&](size_t i) -> char {
    if (i >= text.size()) return '\0';
    const char c = text[i];
    return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
  };
  switch (letter(1)) {
    case 's':
    case 't':
    case 'm':
    case 'd':
      return 2;
    case 'r':
    case 'v':
      return letter(2) == 'e' ? 3 : 0;
    case 'l':
      return letter(2) == 'l' ? 3 : 0;
    default:
      // The long s is an s in another case.
      return any_case && text.substr(1, 2) == "\xc5\xbf" ? 3 : 0;
  }
}

// White space from `place` on; it ends before its last character when a word follows that takes it.
// `modern`: at the last line break, if there is one.
size_t space_end(Place place, std::string_view text, bool modern) {
  const size_t begin = place.at();
  size_t last = begin;
  size_t newline_end = begin;
  while (!place.at_end()) {
    const uint8_t here = place.character_class();
    if ((here & kSpaceClass) == 0) break;
    last = place.at();
    place.step();
    if ((here & kNewlineClass) != 0) newline_end = place.at();
  }
  if (modern && newline_end > begin) return newline_end;
  return place.at() == text.size() || last == begin ? place.at() : last;
}

size_t modern_word_end(std::string_view text, size_t at, const SplitRules& rules,
                       const UnicodeClasses& classes) {
  const uint8_t letters = rules.marks_are_letters ? kLetterClass | kMarkClass : kLetterClass;
  const uint8_t not_others = letters | kNumberClass | kSpaceClass;
  Place place(text, at, classes);
  const uint8_t first = place.character_class();
  if ((first & letters) != 0) {
    place.skip(letters);
    return place.at();
  }
  if ((first & kNumberClass) != 0) {
    place.skip(kNumberClass, rules.numbers_most);
    return place.at();
  }
  if (place.byte() == '\'') {
    if (const size_t bytes = contraction_bytes(text.substr(at), true)) return at + bytes;
  }
  const Place begin = place;
  place.step();
  const uint8_t second = place.class_here();
  if ((first & kNewlineClass) == 0 && (second & letters) != 0) {
    place.skip(letters);
    return place.at();
  }
  const bool space_before_others = text[at] == ' ' && !place.at_end() && (second & not_others) == 0;
  if ((first & kSpaceClass) == 0 || space_before_others) {
    place.skip_without(not_others);
    place.skip(kNewlineClass);
    return place.at();
  }
  return space_end(begin, text, true);
}

size_t gpt2_word_end(std::string_view text, size_t at, const UnicodeClasses& classes) {
  constexpr uint8_t kNotOthers = kLetterClass | kNumberClass | kSpaceClass;
  Place place(text, at, classes);
  if (place.byte() == '\'') {
    if (const size_t bytes = contraction_bytes(text.substr(at), false)) return at + bytes;
  }
  const Place begin = place;
  if (place.byte() == ' ') place.step();
  const uint8_t first = place.class_here();
  if (place.at_end() || (first & kSpaceClass) != 0) return space_end(begin, text, false);
  if ((first & kLetterClass) != 0) {
    place.skip(kLetterClass);
  } else if ((first & kNumberClass) != 0) {
    place.skip(kNumberClass);
  } else {
    place.skip_without(kNotOthers);
  }
  return place.at();
}

size_t number_end(std::string_view text, size_t at, const SplitRules& rules,
                  const UnicodeClasses& classes) {
  Place place(text, at, classes);
  if ((place.character_class() & kNumberClass) == 0) {
    place.skip_without(kNumberClass);
  } else {
    place.skip(kNumberClass, rules.numbers_most);
  }
  return place.at();
}

}  // namespace

std::optional<SplitRules> split_rules_of(std::string_view regular_expression) {
  for (const KnownExpression& known : kExpressions) {
    if (known.text == regular_expression) return known.rules;
  }
  return std::nullopt;
}

WordSplitter::WordSplitter(SplitRules rules) : rules_(rules), classes_(&UnicodeClasses::get()) {}

size_t WordSplitter::word_end(std::string_view text, size_t at) const {
  switch (rules_.kind) {
    case Kind::kGpt2:
      return gpt2_word_end(text, at, *classes_);
    case Kind::kModern:
      return modern_word_end(text, at, rules_, *classes_);
    case Kind::kNumbers:
      return number_end(text, at, rules_, *classes_);
  }
  return text.size();
}

}  // namespace kvasir
