// Tokens that are cut out of a text before it is split into words: special ones, and those that
// were added to a vocabulary later.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

struct AddedToken {
  std::string text;
  uint32_t id = 0;
  bool special = false;
  bool single_word = false;  // only where no word character is beside it
  bool left_strip = false;   // takes the white space before it
  bool right_strip = false;  // and behind it
  bool normalized = false;   // it is looked for in the normalized text
};

// Finds tokens of a set in a text: from the left, the longest that begins there. Immutable.
class AddedTokenFinder {
 public:
  // Of two with the same text the first counts; empty ones are left out.
  explicit AddedTokenFinder(const std::vector<AddedToken>& tokens);

  bool empty() const { return rules_.empty(); }
  // Calls `between(text)` and `token(id)` for the parts of `text`, in their order. Precondition: it
  // is UTF-8.
  template <class Between, class Token>
  void split(std::string_view text, Between&& between, Token&& token) const {
    size_t done = 0;
    for (size_t at = 0; at < text.size();) {
      Match match = find(text, at);
      if (match.rule == nullptr) break;
      at = match.end;
      if (!fits(text, match)) continue;
      stretch(text, done, match);
      if (done < match.begin) between(text.substr(done, match.begin - done));
      token(match.rule->id);
      done = match.end;
    }
    if (done < text.size()) between(text.substr(done));
  }

 private:
  struct Rule {
    uint32_t id;
    bool single_word;
    bool left_strip;
    bool right_strip;
  };
  struct Match {
    size_t begin = 0;
    size_t end = 0;
    const Rule* rule = nullptr;  // null: there is none
  };
  static constexpr uint32_t kNoNode = 0;
  static constexpr int32_t kNoRule = -1;
  // A node's children lie together, sorted by their byte.
  struct Node {
    uint32_t first_child = kNoNode;
    uint16_t children = 0;
    uint8_t byte = 0;
    int32_t rule = kNoRule;
  };

  void build(std::vector<std::pair<std::string_view, int32_t>>& sorted, size_t begin, size_t end,
             size_t depth, uint32_t node);
  Match find(std::string_view text, size_t at) const;
  bool fits(std::string_view text, const Match& match) const;
  static void stretch(std::string_view text, size_t done, Match& match);

  std::vector<Rule> rules_;
  std::vector<Node> nodes_;
  std::array<uint32_t, 256> roots_{};  // by first byte
};

}  // namespace kvasir
