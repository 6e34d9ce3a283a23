#include "vllm/schema/regex_sample.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/text.h"

namespace kvasir {

// One part of an expression.
struct RegexNode {
  enum class Kind : uint8_t { kSequence, kAlternatives, kRepeat, kClass };
  using Range = std::pair<char32_t, char32_t>;  // both ends included

  Kind kind = Kind::kSequence;
  std::vector<RegexNode> parts = {};
  std::vector<Range> ranges = {};  // of a class
  uint32_t least = 1;              // of a repetition
  std::optional<uint32_t> most = std::nullopt;
};

namespace {

using NodeKind = RegexNode::Kind;
using Ranges = std::vector<RegexNode::Range>;

constexpr char32_t kLastCharacter = 0x10ffff;
constexpr uint32_t kRepeatMost = 65536;
constexpr size_t kFlagsShown = 8;  // letters of "(?ims" that an error repeats

const Ranges kDigits = {{'0', '9'}};
const Ranges kWordCharacters = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const Ranges kSpaces = {{'\t', '\r'}, {' ', ' '}};
// Everything but line ends.
const Ranges kAnyCharacter = {{0, 9}, {11, 12}, {14, kLastCharacter}};

Ranges inverted(Ranges ranges) {
  std::sort(ranges.begin(), ranges.end());
  Ranges result;
  char32_t next = 0;
  for (const auto& [first, last] : ranges) {
    if (first > next) result.emplace_back(next, first - 1);
    next = std::max(next, static_cast<char32_t>(last + 1));
  }
  if (next <= kLastCharacter) result.emplace_back(next, kLastCharacter);
  return result;
}

void append_utf8(char32_t character, std::string& text) {
  const auto tail = [&](int shift) {
    text.push_back(static_cast<char>(0x80 | ((character >> shift) & 0x3f)));
  };
  if (character < 0x80) {
    text.push_back(static_cast<char>(character));
  } else if (character < 0x800) {
    text.push_back(static_cast<char>(0xc0 | (character >> 6)));
    tail(0);
  } else if (character < 0x10000) {
    text.push_back(static_cast<char>(0xe0 | (character >> 12)));
    tail(6);
    tail(0);
  } else {
    text.push_back(static_cast<char>(0xf0 | (character >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

class RegexParser {
 public:
  explicit RegexParser(std::string_view pattern) : rest_(pattern) {}

  Result<RegexNode> parse() {
    RegexNode root = alternatives(0);
    if (problem_.empty() && !rest_.empty()) problem_ = "a ')' has no '('";
    if (!problem_.empty()) return Error{problem_};
    return root;
  }

 private:
  RegexNode alternatives(int depth);
  RegexNode sequence(int depth);
  std::optional<RegexNode> item(int depth);
  std::optional<RegexNode> group(int depth);
  std::string group_refusal() const;
  RegexNode bracket();
  char32_t range_end();
  RegexNode repeated(RegexNode part);
  std::optional<std::pair<uint32_t, std::optional<uint32_t>>> braces();
  std::optional<uint32_t> number();
  Ranges escape(bool in_class);
  char32_t hexadecimal(size_t digits);
  char32_t character();
  bool take(std::string_view text) {
    if (rest_.substr(0, text.size()) != text) return false;
    rest_.remove_prefix(text.size());
    return true;
  }
  void fail(const std::string& why) {
    if (problem_.empty()) problem_ = why;
    rest_ = {};
  }
  static RegexNode one_of(Ranges ranges) { return {NodeKind::kClass, {}, std::move(ranges)}; }

  std::string_view rest_;
  std::string problem_;
};

RegexNode RegexParser::alternatives(int depth) {
  RegexNode node{NodeKind::kAlternatives, {}};
  node.parts.push_back(sequence(depth));
  while (take("|")) node.parts.push_back(sequence(depth));
  return node;
}

RegexNode RegexParser::sequence(int depth) {
  RegexNode node{NodeKind::kSequence, {}};
  while (!rest_.empty() && rest_.front() != '|' && rest_.front() != ')') {
    if (take("^") || take("$")) continue;
    std::optional<RegexNode> part = item(depth);
    if (part) node.parts.push_back(repeated(std::move(*part)));
  }
  return node;
}

std::optional<RegexNode> RegexParser::item(int depth) {
  if (take("(")) return group(depth);
  if (take("[")) return bracket();
  if (take(".")) return one_of(kAnyCharacter);
  if (take("\\")) return one_of(escape(false));
  if (rest_.front() == '*' || rest_.front() == '+' || rest_.front() == '?') {
    fail("nothing stands before a quantifier");
    return std::nullopt;
  }
  const char32_t literal = character();
  return one_of({{literal, literal}});
}

std::optional<RegexNode> RegexParser::group(int depth) {
  if (depth == kRegexDepthMost) {
    fail("groups are nested too deeply");
    return std::nullopt;
  }
  if (take("?")) {
    const bool named = rest_.size() > 1 && rest_[0] == '<' && rest_[1] != '=' && rest_[1] != '!';
    if (named || (rest_.size() > 1 && rest_[0] == 'P' && rest_[1] == '<')) {
      const size_t end = rest_.find('>');
      rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    } else if (!take(":")) {
      fail(group_refusal());
      return std::nullopt;
    }
  }
  RegexNode node = alternatives(depth + 1);
  if (problem_.empty() && !take(")")) fail("a '(' is not closed");
  return node;
}

// Why no group can begin so, behind "(?".
std::string RegexParser::group_refusal() const {
  const char kind = rest_.empty() ? '\0' : rest_.front();
  if (kind == '=' || kind == '!' || kind == '<') return "look-around is not supported";
  if (kind == 'P') return "a group that begins with '(?P' and no name is not supported";
  if (kind == '-' || is_letter(kind)) {
    size_t end = 0;
    while (end < rest_.size() && (rest_[end] == '-' || is_letter(rest_[end]))) ++end;
    return "flags, '(?" + std::string(rest_.substr(0, std::min(end, kFlagsShown))) +
           "', are not supported";
  }
  return "a group cannot begin with '(?' and what follows it here";
}

// Behind the opening bracket.
RegexNode RegexParser::bracket() {
  const bool negated = take("^");
  Ranges ranges;
  bool closed = false;
  while (!rest_.empty() && !(closed = take("]"))) {
    Ranges first;
    if (take("\\")) {
      first = escape(true);
    } else {
      const char32_t literal = character();
      first = {{literal, literal}};
    }
    const bool single = first.size() == 1 && first[0].first == first[0].second;
    if (single && rest_.size() > 1 && rest_[0] == '-' && rest_[1] != ']') {
      rest_.remove_prefix(1);
      const char32_t end = range_end();
      if (end < first[0].first) fail("a range in a class is backwards");
      first[0].second = end;
    }
    ranges.insert(ranges.end(), first.begin(), first.end());
  }
  if (!closed) fail("a '[' is not closed");
  if (negated) ranges = inverted(std::move(ranges));
  if (problem_.empty() && ranges.empty()) fail("a class is empty");
  return one_of(std::move(ranges));
}

char32_t RegexParser::range_end() {
  if (!take("\\")) return rest_.empty() ? 0 : character();
  const Ranges last = escape(true);
  return last.size() == 1 && last[0].first == last[0].second ? last[0].second : 0;
}

RegexNode RegexParser::repeated(RegexNode part) {
  std::optional<std::pair<uint32_t, std::optional<uint32_t>>> times;
  if (take("*")) {
    times.emplace(0, std::nullopt);
  } else if (take("+")) {
    times.emplace(1, std::nullopt);
  } else if (take("?")) {
    times.emplace(0, 1);
  } else {
    times = braces();
  }
  if (!times) return part;
  take("?");  // lazy: the same texts
  if (times->second && *times->second < times->first) fail("a repetition is backwards");
  RegexNode node{NodeKind::kRepeat, {}, {}, times->first, times->second};
  node.parts.push_back(std::move(part));
  return node;
}

// {3}, {3,}, {3,5}; anything else is a literal brace.
std::optional<std::pair<uint32_t, std::optional<uint32_t>>> RegexParser::braces() {
  const std::string_view before = rest_;
  if (!take("{")) return std::nullopt;
  const std::optional<uint32_t> least = number();
  std::optional<uint32_t> most = least;
  if (least && take(",")) most = number();
  if (least && take("}")) return std::make_pair(*least, most);
  rest_ = before;
  return std::nullopt;
}

std::optional<uint32_t> RegexParser::number() {
  std::optional<uint32_t> value;
  while (!rest_.empty() && is_digit(rest_.front())) {
    const uint32_t digit = static_cast<uint32_t>(rest_.front() - '0');
    value = std::min(kRepeatMost, value.value_or(0) * 10 + digit);
    rest_.remove_prefix(1);
  }
  return value;
}

// Behind the backslash.
Ranges RegexParser::escape(bool in_class) {
  if (rest_.empty()) {
    fail("it ends in a backslash");
    return {};
  }
  const char kind = rest_.front();
  rest_.remove_prefix(1);
  const auto single = [](char32_t value) { return Ranges{{value, value}}; };
  switch (kind) {
    case 'd':
      return kDigits;
    case 'D':
      return inverted(kDigits);
    case 'w':
      return kWordCharacters;
    case 'W':
      return inverted(kWordCharacters);
    case 's':
      return kSpaces;
    case 'S':
      return inverted(kSpaces);
    case 't':
      return single('\t');
    case 'n':
      return single('\n');
    case 'r':
      return single('\r');
    case 'f':
      return single('\f');
    case 'v':
      return single('\v');
    case '0':
      return single(0);
    case 'x':
      return single(hexadecimal(2));
    case 'u':
      return single(hexadecimal(4));
    default:
      break;
  }
  if (in_class && kind == 'b') return single('\b');
  if (is_letter(kind) || (kind >= '1' && kind <= '9')) {
    fail(std::string("\\") + kind + " is not supported");
    return {};
  }
  return single(static_cast<unsigned char>(kind));
}

char32_t RegexParser::hexadecimal(size_t digits) {
  char32_t value = 0;
  for (size_t i = 0; i < digits; ++i) {
    const int digit = rest_.empty() ? -1 : hex_value(rest_.front());
    if (digit < 0) {
      fail("a hexadecimal escape is too short");
      return 0;
    }
    value = value * 16 + static_cast<char32_t>(digit);
    rest_.remove_prefix(1);
  }
  return value;
}

// The next character of a UTF-8 text.
char32_t RegexParser::character() {
  const auto lead = static_cast<unsigned char>(rest_.front());
  const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  char32_t value = size == 1 ? lead : lead & (0xff >> (size + 1));
  for (size_t i = 1; i < size && i < rest_.size(); ++i) {
    value = value << 6 | (static_cast<unsigned char>(rest_[i]) & 0x3f);
  }
  rest_.remove_prefix(std::min(size, rest_.size()));
  return std::min(value, kLastCharacter);
}

class RegexWriter {
 public:
  RegexWriter(uint64_t seed, uint32_t spread) : random_(seed), spread_(spread) {}

  // False: the text would be too long.
  bool write(const RegexNode& node) {
    switch (node.kind) {
      case NodeKind::kSequence:
        return std::all_of(node.parts.begin(), node.parts.end(),
                           [&](const RegexNode& part) { return write(part); });
      case NodeKind::kAlternatives:
        return write(node.parts[random_.below(node.parts.size())]);
      case NodeKind::kRepeat:
        return write_repeated(node);
      case NodeKind::kClass:
        append_utf8(pick(node.ranges), text_);
        return ++characters_ < kRegexCharactersMost;
    }
    return false;
  }

  std::string take() { return std::move(text_); }

 private:
  bool write_repeated(const RegexNode& node) {
    uint32_t room = spread_;
    if (node.most) room = std::min(room, *node.most - node.least);
    const uint64_t times = node.least + random_.below(uint64_t{room} + 1);
    for (uint64_t i = 0; i < times; ++i) {
      if (++rounds_ > kRegexCharactersMost || !write(node.parts[0])) return false;
    }
    return true;
  }

  // Letters and digits where the class has any, then other printable ASCII, then whatever it has.
  char32_t pick(const Ranges& ranges) {
    static constexpr RegexNode::Range kPreferred[] = {
        {'a', 'z'}, {'0', '9'}, {'A', 'Z'}, {' ', '~'}, {0, kLastCharacter}};
    for (const auto& [first, last] : kPreferred) {
      Ranges common;
      uint64_t count = 0;
      for (const auto& [begin, end] : ranges) {
        const char32_t low = std::max(begin, first);
        const char32_t high = std::min(end, last);
        if (low > high) continue;
        common.emplace_back(low, high);
        count += high - low + 1;
      }
      if (count == 0) continue;
      uint64_t place = random_.below(count);
      for (const auto& [low, high] : common) {
        if (place <= high - low) return not_a_surrogate(low + static_cast<char32_t>(place));
        place -= high - low + 1;
      }
    }
    return ' ';
  }

  static char32_t not_a_surrogate(char32_t character) {
    return character >= 0xd800 && character < 0xe000 ? 0xfffd : character;
  }

  Random random_;
  const uint32_t spread_;
  std::string text_;
  size_t characters_ = 0;
  size_t rounds_ = 0;
};

}  // namespace

Result<RegexSampler> RegexSampler::create(std::string_view pattern) {
  if (pattern.size() > kRegexBytesMost) {
    return Error{"longer than " + std::to_string(kRegexBytesMost) + " bytes"};
  }
  Result<RegexNode> root = RegexParser(pattern).parse();
  if (!root) return root.error();
  RegexSampler sampler(std::make_shared<RegexNode>(std::move(*root)));
  if (!sampler.text(0, 0)) {
    return Error{"its texts are longer than " + std::to_string(kRegexCharactersMost) +
                 " characters"};
  }
  return sampler;
}

std::optional<std::string> RegexSampler::text(uint64_t seed, uint32_t spread) const {
  RegexWriter writer(seed, spread);
  if (!writer.write(*root_)) return std::nullopt;
  return writer.take();
}

}  // namespace kvasir
