// Texts that match a regular expression, made up: what a constrained answer consists of.
//
// The expression is ECMAScript's as far as JSON schemas use it: alternatives, groups, classes,
// escapes and quantifiers. Anchors stand for nothing, since a whole text is made. Look-around, back
// references and word boundaries are refused.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

inline constexpr size_t kRegexBytesMost = 4096;
inline constexpr int kRegexDepthMost = 64;             // groups within groups
inline constexpr size_t kRegexCharactersMost = 16384;  // of a text

struct RegexNode;

class RegexSampler {
 public:
  // Why not, in words.
  static Result<RegexSampler> create(std::string_view pattern);

  // The same seed gives the same text. `spread`: how far repetitions without an upper bound go
  // beyond their lower one, at most. nullopt: it would be longer than kRegexCharactersMost.
  std::optional<std::string> text(uint64_t seed, uint32_t spread = 4) const;

 private:
  explicit RegexSampler(std::shared_ptr<const RegexNode> root) : root_(std::move(root)) {}

  std::shared_ptr<const RegexNode> root_;
};

}  // namespace kvasir
