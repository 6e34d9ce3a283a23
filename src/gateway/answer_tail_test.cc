#include "gateway/answer_tail.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvasir {
namespace {

bool ends(const std::vector<std::string>& pieces) {
  AnswerTail tail;
  for (const std::string& piece : pieces) tail.look(piece);
  return tail.is_end_of_stream();
}

TEST(AnswerTail, KnowsTheLastEventOfEachApi) {
  EXPECT_TRUE(ends({"data: {\"x\": 1}\n\n", "data: [DONE]\n\n"}));
  EXPECT_TRUE(ends({"data: [DONE]\r\n\r\n"}));
  EXPECT_TRUE(ends({"data:[DONE]\n\n"}));
  EXPECT_TRUE(ends({"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"}));
  EXPECT_TRUE(ends({"event: message_stop\r\ndata: {\"type\": \"message_stop\" }\r\n\r\n"}));
  EXPECT_TRUE(ends({"event: response.completed\ndata: {\"response\": {\"id\": \"r\"}}\n\n"}));
}

TEST(AnswerTail, HoweverItIsCut) {
  const std::string stream = "data: {\"choices\": [{\"text\": \"a\"}]}\n\ndata: [DONE]\n\n";
  for (size_t cut = 0; cut <= stream.size(); ++cut) {
    EXPECT_TRUE(ends({stream.substr(0, cut), stream.substr(cut)})) << cut;
  }
  std::vector<std::string> bytes;
  for (const char byte : stream) bytes.emplace_back(1, byte);
  EXPECT_TRUE(ends(bytes));
  bytes.pop_back();
  bytes.pop_back();
  EXPECT_FALSE(ends(bytes)) << "the event is not complete yet";
}

TEST(AnswerTail, NothingElseIsAnEnd) {
  EXPECT_FALSE(ends({}));
  EXPECT_FALSE(ends({"", "\n\n"}));
  EXPECT_FALSE(ends({"data: {\"text\": \"data: [DONE]\"}\n\n"}));
  EXPECT_FALSE(ends({"data: [DONE]\n\n", "data: {\"more\": 1}\n\n"}));
  EXPECT_FALSE(ends({"event: response.completed\ndata: {\"response\": {\"output\":"}));
  EXPECT_FALSE(ends({"{\"text\": \"a whole answer\"}"}));
}

}  // namespace
}  // namespace kvasir
