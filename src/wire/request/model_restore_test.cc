#include "wire/request/model_restore.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace kvasir {
namespace {

std::string restored(std::string_view text, std::string_view target, std::string_view incoming,
                     size_t chunk = std::string_view::npos) {
  ModelRestorer restorer(target, incoming);
  std::string output;
  for (size_t at = 0; at < text.size(); at += std::min(chunk, text.size())) {
    restorer.feed(text.substr(at, chunk), output);
  }
  restorer.flush(output);
  return output;
}

struct Case {
  std::string_view text, target, incoming, expected;
};

// The first lines are llm-d's own vectors.
const Case kCases[] = {
    {R"({"model":"t"})", "t", "in", R"({"model":"in"})"},
    {R"({"model": "t"})", "t", "in", R"({"model": "in"})"},
    {R"({"model":"t"})", "t", "t", R"({"model":"t"})"},
    {R"({"model":"t"})", "", "in", R"({"model":"t"})"},
    {R"({"model":"t"})", "t", "", R"({"model":"t"})"},
    {R"({"id":"1"})", "t", "in", R"({"id":"1"})"},
    {"data: [DONE]\n\n", "t", "in", "data: [DONE]\n\n"},

    {R"({"model":"t2","a":{"model":"t"}})", "t", "in", R"({"model":"t2","a":{"model":"in"}})"},
    {"data: {\"model\":\"t\"}\n\ndata: {\"model\": \"t\"}\n\n", "t", "longer",
     "data: {\"model\":\"longer\"}\n\ndata: {\"model\": \"longer\"}\n\n"},
    {R"({"model":  "t"})", "t", "in", R"({"model":  "t"})"},
    {R"({"content":"say \"model\":\"t\" now"})", "t", "in",
     R"({"content":"say \"model\":\"t\" now"})"},
    {R"({"odd\"model":"t"})", "t", "in", R"({"odd\"model":"t"})"},
    {R"({"model":"model":"t"})", "t", "in", R"({"model":"model":"in"})"},
    {R"("model":"model":"t")", "model", "in", R"("model":"in":"t")"},
    {R"({"model":"a\"b\\"})", "a\"b\\", "c\"d", R"({"model":"c\"d"})"},
    {R"({"model":"t)", "t", "in", R"({"model":"t)"},
    {R"({"mode)", "t", "in", R"({"mode)"},
    {"", "t", "in", ""},
};

TEST(ModelRestorer, PutsTheIncomingNameBack) {
  for (const Case& test : kCases) {
    EXPECT_EQ(restored(test.text, test.target, test.incoming), test.expected) << test.text;
  }
}

TEST(ModelRestorer, DoesNotMindWhereChunksAreCut) {
  for (const Case& test : kCases) {
    for (size_t size = 1; size <= test.text.size(); ++size) {
      EXPECT_EQ(restored(test.text, test.target, test.incoming, size), test.expected) << size;
    }
  }
}

TEST(ModelRestorer, RandomPiecesInRandomChunks) {
  const std::string_view pieces[] = {"\"model\":", " ", "\"t\"", "\"", "\\",
                                     "model",      ":", "t",     "x",  ","};
  std::mt19937 random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 30; ++i) text += pieces[random() % std::size(pieces)];
    const std::string expected = restored(text, "t", "in");
    ModelRestorer restorer("t", "in");
    std::string output;
    for (size_t at = 0; at < text.size();) {
      const size_t size = random() % 6;
      restorer.feed(std::string_view(text).substr(at, size), output);
      at += std::min(size, text.size() - at);
    }
    restorer.flush(output);
    ASSERT_EQ(output, expected) << text;
  }
}

TEST(ModelRestorer, HoldsBackNoMoreThanAnOccurrence) {
  ModelRestorer restorer("target", "in");
  std::string output;
  const std::string text = "data: {\"model\": \"target\", \"model\": \"targe";
  for (size_t at = 0; at < text.size(); ++at) {
    restorer.feed(std::string_view(text).substr(at, 1), output);
    EXPECT_LE(at + 1,
              output.size() + restorer.held_bytes_max() + 4);  // 4: what the first one shrank by
  }
  EXPECT_EQ(output, "data: {\"model\": \"in\", ");
}

TEST(ModelRestorer, WhatIsNothingToDoPassesAtOnce) {
  ModelRestorer restorer("same", "same");
  EXPECT_FALSE(restorer.active());
  std::string output;
  restorer.feed("\"mod", output);
  EXPECT_EQ(output, "\"mod");
}

}  // namespace
}  // namespace kvasir
