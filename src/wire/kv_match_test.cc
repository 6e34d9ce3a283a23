#include "wire/kv_match.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

const MatchQuestion kSomeQuestion = {16, "Alice", "s", {"pod-1", "pod-2"}, {1, 0xfedcba9876543210}};

TEST(KvMatch, QuestionsAreReadAsTheyWereWritten) {
  const Result<MatchQuestion> read = read_match_question(write_match_question(kSomeQuestion));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->block_tokens, 16u);
  EXPECT_EQ(read->model, "Alice");
  EXPECT_EQ(read->cache_salt, "s");
  EXPECT_EQ(read->pods, kSomeQuestion.pods);
  EXPECT_EQ(read->contents, kSomeQuestion.contents);
}

TEST(KvMatch, TheBytesAreThoseOfTheDocument) {
  MatchQuestion question = {16, "m", "", {"p"}, {0x0102030405060708}};
  EXPECT_EQ(write_match_question(question),
            std::string("KVM1\x10\0\0\0\1\0\0\0\1\0\0\0\1\0\0\0m\1\0p\x08\7\6\5\4\3\2\1", 32));
  EXPECT_EQ(write_match_answer({{{"p", true, 32, 16}}}),
            std::string("KVM1\1\0\0\0\1\0p\1\x20\0\0\0\x10\0\0\0", 20));
}

TEST(KvMatch, AnswersAreReadAsTheyWereWritten) {
  const MatchAnswer answer = {{{"pod-1", true, 64, 32}, {"", false, 0, 0}}};
  const Result<MatchAnswer> read = read_match_answer(write_match_answer(answer));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->pods, answer.pods);
}

TEST(KvMatch, BytesThatEndTooEarlyOrTooLateAreRefused) {
  const std::string question = write_match_question(kSomeQuestion);
  const std::string answer = write_match_answer({{{"pod-1", true, 64, 32}}});
  for (size_t size = 0; size < question.size(); ++size) {
    EXPECT_FALSE(read_match_question(std::string_view(question).substr(0, size))) << size;
  }
  for (size_t size = 0; size < answer.size(); ++size) {
    EXPECT_FALSE(read_match_answer(std::string_view(answer).substr(0, size))) << size;
  }
  EXPECT_FALSE(read_match_question(question + "x"));
  EXPECT_FALSE(read_match_answer(answer + "x"));
}

TEST(KvMatch, WhatIsWrongIsSaid) {
  std::string question = write_match_question(kSomeQuestion);
  question[4] = 0;  // tokens of a block
  EXPECT_EQ(read_match_question(question).error().message, "blocks of no tokens at byte 20");
  std::string many = write_match_question(kSomeQuestion);
  many[11] = '\x7f';  // blocks
  EXPECT_EQ(read_match_question(many).error().message, "more than 1048576 blocks at byte 20");
  std::string later = write_match_question(kSomeQuestion);
  later[18] = 1;
  EXPECT_EQ(read_match_question(later).error().message, "a field of a later version at byte 20");
}

}  // namespace
}  // namespace kvasir
