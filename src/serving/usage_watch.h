// Notices the counts of an answer's usage as an answer passes, without parsing or keeping any of it.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace kvasir {

class UsageWatch {
 public:
  // The next bytes of the body. A count that is split between two calls is missed: it would only have taught
  // the TokenEstimator a little more.
  void look(std::string_view bytes);
  // The last count seen.
  std::optional<uint32_t> prompt_tokens() const { return prompt_tokens_; }
  // Of the same usage, when it stands in the same bytes.
  std::optional<uint32_t> completion_tokens() const { return completion_tokens_; }
  std::optional<uint32_t> cached_tokens() const { return cached_tokens_; }

 private:
  std::optional<uint32_t> prompt_tokens_;
  std::optional<uint32_t> completion_tokens_;
  std::optional<uint32_t> cached_tokens_;
};

}  // namespace kvasir
