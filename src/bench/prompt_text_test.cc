#include "bench/prompt_text.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "bench/completion_request.h"
#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

TEST(PromptText, HasExactlyTheTokensOfTheRow) {
  for (const uint32_t tokens : {1u, 2u, 511u, 512u, 513u, 1024u, 1700u}) {
    TraceRow row{0, tokens, 1, {}};
    for (uint64_t id = 0; id * 512 < tokens; ++id) row.hash_ids.push_back(id + 5);
    const std::string text = prompt_text(row, 1);
    EXPECT_EQ(encode(text).size(), tokens);
    EXPECT_EQ(text.size(), tokens * 4);
  }
}

TEST(PromptText, DependsOnSeedAndIdsOnly) {
  const TraceRow row{0, 600, 1, {3, 4}};
  EXPECT_EQ(prompt_text(row, 1), prompt_text({9999, 600, 77, {3, 4}}, 1));
  EXPECT_NE(prompt_text(row, 1), prompt_text(row, 2));
  EXPECT_NE(prompt_text(row, 1), prompt_text({0, 600, 1, {5, 4}}, 1));
  // Written down once: the bytes must not change from one version to the next.
  EXPECT_EQ(prompt_text(row, 1).substr(0, 32), " teh biv naf tap har paf ris dod");
}

TEST(PromptText, SharedIdsShareTheirBytesAndNoMore) {
  const std::string a = prompt_text({0, 1024, 1, {1, 2}}, 1);
  const std::string b = prompt_text({0, 1000, 1, {1, 3}}, 1);
  const auto end = std::mismatch(b.begin(), b.end(), a.begin()).first - b.begin();
  EXPECT_GE(end, 512 * 4);
  EXPECT_LT(end, 512 * 4 + 16);
}

TEST(PromptText, MayBeSentAsTokenIds) {
  const TraceRow row{0, 600, 5, {3, 4}};
  CompletionOptions options;
  options.token_ids = true;
  const auto body = nlohmann::json::parse(completion_body(row, 0, options));
  EXPECT_EQ(body["prompt"].get<std::vector<TokenId>>(), encode(prompt_text(row, 1)));
  EXPECT_EQ(body["max_tokens"], 5);
}

}  // namespace
}  // namespace kvasir
