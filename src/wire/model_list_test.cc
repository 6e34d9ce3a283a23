#include "wire/model_list.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(ModelList, ModelsComeInOrder) {
  const auto models =
      parse_model_list(R"({"object":"list","data":[{"id":"Qwen/Qwen3-32B","object":"model",)"
                       R"("max_model_len":131072},{"id":"b"}]})");
  ASSERT_TRUE(models);
  EXPECT_EQ(*models, (std::vector<ListedModel>{{"Qwen/Qwen3-32B", 131072}, {"b", std::nullopt}}));
  EXPECT_TRUE(parse_model_list(R"({"data":[]})")->empty());
}

TEST(ModelList, OtherAnswersAreRefused) {
  for (const char* bad :
       {"", "[]", "{}", R"({"data":{}})", R"({"data":[1]})", R"({"data":[{"id":1}]})"}) {
    EXPECT_FALSE(parse_model_list(bad)) << bad;
  }
}

}  // namespace
}  // namespace kvasir
