#include "wire/request/model_splice.h"

#include <gtest/gtest.h>

#include "wire/request/request_peek.h"

namespace kvasir {
namespace {

std::string spliced(std::string_view text, std::string_view model) {
  const std::string padded = std::string(text) + std::string(64, '\0');
  const std::string_view body = std::string_view(padded).substr(0, text.size());
  const std::optional<RequestPeek> peek = peek_request(body);
  if (!peek) return "not understood";
  const SplicedBody result = splice_model(body, peek->model_json, model);
  const std::string joined = whole(result);
  EXPECT_EQ(joined.size(), result.size());
  return joined;
}

TEST(SpliceModel, ChangesNothingButTheModel) {
  const struct {
    std::string_view body, model, expected;
  } cases[] = {
      {R"({"model":"a","prompt":"x"})", "b/c", R"({"model":"b/c","prompt":"x"})"},
      {"{ \"z\" : 1 ,\n\t\"model\"  :  \"a\"  , \"a\":2}\n", "b",
       "{ \"z\" : 1 ,\n\t\"model\"  :  \"b\"  , \"a\":2}\n"},
      {R"({"seed":9007199254740993,"model":"a","u":"\u00e9\/<","f":1.10})", "b",
       R"({"seed":9007199254740993,"model":"b","u":"\u00e9\/<","f":1.10})"},
      {R"({"messages":[{"content":"\"model\":\"a\""}],"x":{"model":"a"},"model":"a"})", "b",
       R"({"messages":[{"content":"\"model\":\"a\""}],"x":{"model":"a"},"model":"b"})"},
      {R"({"model":"a\"\\","p":1})", "new\"name\n", R"({"model":"new\"name\n","p":1})"},
      {R"({"mod\u0065l":"a"})", "b", R"({"mod\u0065l":"b"})"},
      {R"({"model":"a","model":"c"})", "b", R"({"model":"a","model":"b"})"},
      {R"({"model":""})", "b", R"({"model":"b"})"},
      {R"({"model":null,"x":1})", "b", R"({"model":"b","x":1})"},
      {R"({"x":1,"model":7})", "b", R"({"x":1,"model":"b"})"},
  };
  for (const auto& test : cases) EXPECT_EQ(spliced(test.body, test.model), test.expected);
}

// What simdjson's token carries behind a number is no white space; it goes with it.
TEST(SpliceModel, TakesAMalformedValueWhole) {
  EXPECT_EQ(spliced(std::string_view("{\"model\":5\0\0}", 13), "b"), R"({"model":"b"})");
}

TEST(SpliceModel, BodyWithoutOneGetsIt) {
  EXPECT_EQ(spliced(R"( {"prompt":"x"})", "b"), R"( {"model":"b","prompt":"x"})");
  EXPECT_EQ(spliced("{ \n}", "b"), "{\"model\":\"b\" \n}");
  EXPECT_EQ(spliced("{}", "b"), R"({"model":"b"})");
}

TEST(SpliceModel, OuterPiecesPointIntoTheBody) {
  const std::string_view body = R"({"a":1,"model":"m","b":2})";
  const SplicedBody result = splice_model(body, body.substr(15, 3), "n");
  EXPECT_EQ(result.prefix.data(), body.data());
  EXPECT_EQ(result.suffix.data() + result.suffix.size(), body.data() + body.size());
  EXPECT_EQ(result.text, "\"n\"");
  EXPECT_GE(whole(result, 64).capacity(), result.size() + 64);
}

}  // namespace
}  // namespace kvasir
