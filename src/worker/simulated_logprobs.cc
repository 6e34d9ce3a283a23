#include "worker/simulated_logprobs.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace kvasir {
namespace {

// Seeds of prompts differ from those of answers.
constexpr uint64_t kPromptSalt = 0x70726f6d7074ULL;

struct Candidate {
  TokenId token;
  double logprob;
  uint32_t rank;
};

double rounded(double value) {
  return std::round(value * 1e6) / 1e6;
}

// The token first, then its rivals, each less likely than the one before.
std::vector<Candidate> candidates(uint64_t seed, uint32_t position, TokenId token,
                                  uint32_t alternatives) {
  Random random(mix64(seed ^ mix64(position)));
  double logprob = -0.05 - 1.5 * random.uniform();
  std::vector<Candidate> result = {{token, rounded(logprob), 1}};
  while (result.size() < alternatives) {
    logprob -= 0.1 + random.uniform();
    const TokenId rival = kFirstSpacedWord + static_cast<TokenId>(random.below(kWords));
    const bool known = std::any_of(result.begin(), result.end(),
                                   [&](const Candidate& other) { return other.token == rival; });
    if (known) continue;
    result.push_back({rival, rounded(logprob), static_cast<uint32_t>(result.size() + 1)});
  }
  return result;
}

}  // namespace

std::string token_text(TokenId token) {
  std::string text;
  append_token_text(token, text);
  return text;
}

TokenLogprob simulated_logprob(uint64_t seed, uint32_t position, TokenId token,
                               uint32_t alternatives, size_t text_offset) {
  TokenLogprob result;
  result.text_offset = text_offset;
  for (const Candidate& candidate : candidates(seed, position, token, alternatives)) {
    result.top.emplace_back(token_text(candidate.token), candidate.logprob);
  }
  result.token = result.top.front().first;
  result.logprob = result.top.front().second;
  return result;
}

PromptLogprobs simulated_prompt_logprobs(uint64_t seed, const std::vector<TokenId>& prompt,
                                         uint32_t alternatives) {
  PromptLogprobs result(prompt.size());
  for (uint32_t i = 1; i < prompt.size(); ++i) {
    for (const Candidate& candidate : candidates(seed ^ kPromptSalt, i, prompt[i], alternatives)) {
      result[i].push_back(
          {candidate.token, candidate.logprob, candidate.rank, token_text(candidate.token)});
    }
  }
  return result;
}

std::vector<TokenLogprob> echoed_logprobs(uint64_t seed, const std::vector<TokenId>& prompt,
                                          uint32_t alternatives) {
  std::vector<TokenLogprob> result;
  size_t offset = 0;
  for (uint32_t i = 0; i < prompt.size(); ++i) {
    result.push_back(simulated_logprob(seed ^ kPromptSalt, i, prompt[i], alternatives, offset));
    offset += result.back().token.size();
  }
  if (!result.empty()) {
    result.front().logprob.reset();
    result.front().top.clear();
  }
  return result;
}

}  // namespace kvasir
