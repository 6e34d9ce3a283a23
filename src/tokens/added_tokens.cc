#include "tokens/added_tokens.h"

#include <algorithm>
#include <map>
#include <utility>

#include "tokens/unicode_classes.h"
#include "tokens/utf8.h"

namespace kvasir {
namespace {

bool has_class(std::string_view text, size_t at, CharacterClass wanted) {
  return (UnicodeClasses::get().of(code_point_at(text, at).value) & wanted) != 0;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens) {
  std::map<std::string_view, int32_t> rule_of;
  for (const AddedToken& token : tokens) {
    if (token.text.empty()) continue;
    if (!rule_of.emplace(token.text, static_cast<int32_t>(rules_.size())).second) continue;
    rules_.push_back({token.id, token.single_word, token.left_strip, token.right_strip});
  }
  std::vector<std::pair<std::string_view, int32_t>> sorted(rule_of.begin(), rule_of.end());
  nodes_.emplace_back();
  build(sorted, 0, sorted.size(), 0, 0);
  for (uint32_t i = 0; i < nodes_[0].children; ++i) {
    const uint32_t child = nodes_[0].first_child + i;
    roots_[nodes_[child].byte] = child;
  }
}

// The tokens from `begin` to `end` have their first `depth` bytes in common, which lead to `node`.
void AddedTokenFinder::build(std::vector<std::pair<std::string_view, int32_t>>& sorted,
                             size_t begin, size_t end, size_t depth, uint32_t node) {
  struct Piece {
    size_t begin, end, depth;
    uint32_t node;
  };
  std::vector<Piece> open{{begin, end, depth, node}};
  while (!open.empty()) {
    Piece piece = open.back();
    open.pop_back();
    if (piece.begin < piece.end && sorted[piece.begin].first.size() == piece.depth) {
      nodes_[piece.node].rule = sorted[piece.begin++].second;
    }
    const auto first = static_cast<uint32_t>(nodes_.size());
    for (size_t i = piece.begin; i < piece.end;) {
      const char byte = sorted[i].first[piece.depth];
      size_t last = i;
      while (last < piece.end && sorted[last].first[piece.depth] == byte) ++last;
      Node child;
      child.byte = static_cast<uint8_t>(byte);
      open.push_back({i, last, piece.depth + 1, static_cast<uint32_t>(nodes_.size())});
      nodes_.push_back(child);
      i = last;
    }
    nodes_[piece.node].children = static_cast<uint16_t>(nodes_.size() - first);
    nodes_[piece.node].first_child = first;
  }
}

AddedTokenFinder::Match AddedTokenFinder::find(std::string_view text, size_t at) const {
  for (; at < text.size(); ++at) {
    uint32_t node = roots_[static_cast<uint8_t>(text[at])];
    if (node == kNoNode) continue;
    Match match{at, at, nullptr};
    for (size_t next = at + 1; node != kNoNode; ++next) {
      const Node& here = nodes_[node];
      if (here.rule != kNoRule) match = {at, next, &rules_[static_cast<size_t>(here.rule)]};
      if (next == text.size()) break;
      const auto byte = static_cast<uint8_t>(text[next]);
      const auto children = nodes_.begin() + here.first_child;
      const auto child = std::lower_bound(children, children + here.children, byte,
                                          [](const Node& a, uint8_t b) { return a.byte < b; });
      const bool found = child != children + here.children && child->byte == byte;
      node = found ? static_cast<uint32_t>(child - nodes_.begin()) : kNoNode;
    }
    if (match.rule != nullptr) return match;
  }
  return {};
}

bool AddedTokenFinder::fits(std::string_view text, const Match& match) const {
  if (!match.rule->single_word) return true;
  if (match.begin > 0 && has_class(text, code_point_before(text, match.begin), kWordClass)) {
    return false;
  }
  return match.end == text.size() || !has_class(text, match.end, kWordClass);
}

void AddedTokenFinder::stretch(std::string_view text, size_t done, Match& match) {
  while (match.rule->left_strip && match.begin > done) {
    const size_t before = code_point_before(text, match.begin);
    if (!has_class(text, before, kSpaceClass)) break;
    match.begin = before;
  }
  while (match.rule->right_strip && match.end < text.size()) {
    if (!has_class(text, match.end, kSpaceClass)) break;
    match.end += code_point_at(text, match.end).bytes;
  }
}

}  // namespace kvasir
