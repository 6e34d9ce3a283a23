#include "wire/request/token_question.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

namespace kvasir {
namespace {

// A question and the body that it views.
class Asked {
 public:
  Asked(std::string body, RequestApi api)
      : body_(std::make_unique<const std::string>(std::move(body))) {
    const std::optional<RequestPeek> peek = peek_request(*body_, api);
    if (peek) question_ = TokenQuestion::read(*peek, *body_);
  }
  explicit operator bool() const { return question_.has_value(); }
  const TokenQuestion* operator->() const { return &*question_; }

 private:
  std::unique_ptr<const std::string> body_;
  std::optional<TokenQuestion> question_;
};

Asked question_of(std::string body, RequestApi api) {
  return {std::move(body), api};
}

std::string pieces_of(const std::string& body) {
  const auto question = question_of(body, RequestApi::kChatCompletions);
  std::string pieces;
  if (question) question->for_each_piece([&](std::string_view piece) { pieces.append(piece); });
  return pieces;
}

constexpr RequestApi kText = RequestApi::kCompletions;
constexpr RequestApi kChat = RequestApi::kChatCompletions;

TEST(TokenQuestions, WhatTokenizeIsTold) {
  const struct {
    std::string body;
    RequestApi api;
    std::string expected;
  } cases[] = {
      {R"({"model":"m","prompt":"a\nb","max_tokens":3})", kText,
       R"({"model":"n","prompt":"a\nb"})"},
      {R"({"prompt":["one"]})", kText, R"({"model":"n","prompt":"one"})"},
      {R"({"prompt":"x","add_special_tokens":false,"tools":[1]})", kText,
       R"({"model":"n","prompt":"x","add_special_tokens":false})"},
      {R"({"messages":[{"role":"user","content":"x"}],"temperature":1})", kChat,
       R"({"model":"n","messages":[{"role":"user","content":"x"}]})"},
      {R"({"tools":[{"type":"function"}],"messages":[],"chat_template_kwargs":{"a":1},"seed":2,
          "continue_final_message":true,"add_generation_prompt":false})",
       kChat,
       R"({"model":"n","messages":[],"tools":[{"type":"function"}],"chat_template_kwargs":{"a":1},)"
       R"("continue_final_message":true,"add_generation_prompt":false})"},
  };
  for (const auto& test : cases) {
    const auto question = question_of(test.body, test.api);
    ASSERT_TRUE(question) << test.body;
    EXPECT_TRUE(question->fits_tokenize());
    EXPECT_EQ(question->tokenize_body("n"), test.expected);
  }
  const auto question = question_of(R"({"prompt":"x"})", kText);
  EXPECT_EQ(question->tokenize_body(""), R"({"prompt":"x"})");
}

TEST(TokenQuestions, WhatTokenizeCannotBeTold) {
  for (const std::string extra :
       {R"("documents":[{"text":"x"}])", R"("reasoning_effort":"low")",
        R"("truncate_prompt_tokens":5)", R"("tools":[{}],"tool_choice":"none")"}) {
    const auto question = question_of("{\"messages\":[]," + extra + "}", kChat);
    ASSERT_TRUE(question);
    EXPECT_FALSE(question->fits_tokenize()) << extra;
  }
  for (const std::string extra :
       {R"("documents":null)", R"("tool_choice":"none")", R"("tools":[{}],"tool_choice":"auto")"}) {
    EXPECT_TRUE(question_of("{\"messages\":[]," + extra + "}", kChat)->fits_tokenize()) << extra;
  }
}

TEST(TokenQuestions, RenderIsToldTheRequestItself) {
  const std::string body = R"({"model":"m","messages":[],"x":1})";
  const auto question = question_of(body, kChat);
  EXPECT_EQ(question->render_path(), "/v1/chat/completions/render");
  EXPECT_EQ(question->render_body(""), body);
  EXPECT_EQ(question->render_body("n"), R"({"model":"n","messages":[],"x":1})");
  EXPECT_EQ(question_of(R"({"prompt":"x"})", kText)->render_path(), "/v1/completions/render");
  EXPECT_EQ(question_of(R"({"messages":[]})", RequestApi::kAnthropicMessages)->render_path(),
            "/v1/messages/render");
  EXPECT_EQ(question_of(R"({"text":"x"})", RequestApi::kSglangGenerate)->render_path(), "");
}

TEST(TokenQuestions, OnlyWhatDecidesAboutTokensCounts) {
  const std::string plain = pieces_of(R"({"model":"m","messages":[{"content":"x"}]})");
  EXPECT_FALSE(plain.empty());
  EXPECT_EQ(
      pieces_of(R"({"messages":[{"content":"x"}],"temperature":0.5,"max_tokens":7,"user":"u"})"),
      plain);
  EXPECT_NE(pieces_of(R"({"messages":[{"content":"y"}]})"), plain);
  EXPECT_NE(pieces_of(R"({"messages":[{"content":"x"}],"tools":[{}]})"), plain);
  EXPECT_NE(pieces_of(R"({"messages":[{"content":"x"}],"nobody_knows":1})"), plain);
}

TEST(TokenQuestions, SeveralPromptsAndNoneAreNoQuestion) {
  for (const std::string body : {R"({"prompt":["a","b"]})", R"({"prompt":[1,2]})", R"({"x":1})",
                                 R"({"prompt":[]})", R"({"prompt":[["a"]]})"}) {
    EXPECT_FALSE(question_of(body, kText)) << body;
  }
}

TEST(TokenQuestions, FlagsOfATextAreRead) {
  const auto plain = question_of(R"({"prompt":"x"})", kText);
  EXPECT_EQ(plain->text(), "x");
  EXPECT_TRUE(plain->adds_special_tokens());
  EXPECT_FALSE(plain->truncates());
  EXPECT_FALSE(
      question_of(R"({"prompt":"x","add_special_tokens":false})", kText)->adds_special_tokens());
  EXPECT_TRUE(question_of(R"({"prompt":"x","truncate_prompt_tokens":1})", kText)->truncates());
  EXPECT_FALSE(question_of(R"({"prompt":"x","truncate_prompt_tokens":null})", kText)->truncates());
}

TEST(TokenQuestions, MediaOfAConversationAreSeen) {
  const struct {
    std::string content;
    bool media;
  } cases[] = {
      {R"("an image_url, \"image_url\" and a \"video\"")", false},
      {R"([{"type":"text","text":"x"}])", false},
      {R"([{"type":"image_url","image_url":{"url":"x"}}])", true},
      {R"([{"type":"input_audio"}])", true},
      {R"([{"video_url":{}}])", true},
  };
  for (const auto& test : cases) {
    const auto question =
        question_of(R"({"messages":[{"role":"user","content":)" + test.content + "}]}", kChat);
    ASSERT_TRUE(question);
    EXPECT_EQ(question->has_media(), test.media) << test.content;
  }
}

// As vLLM 0.32.0 wrote them.
TEST(EngineTokensReading, RealAnswersAreRead) {
  const std::string rendered =
      R"({"request_id":"chatcmpl-a2bb6373ce46c639","token_ids":[0,29,1220,299,31],"token_offsets":null,)"
      R"("features":null,"content_parts":null,"sampling_params":{"presence_penalty":0.0,"stop":[],)"
      R"("stop_token_ids":[],"max_tokens":5,"bad_words":[]},"model":"m","return_token_ids":null,)"
      R"("output_mode":"tokens","stream":false,"cache_salt":null,"priority":0})";
  const std::string tokenized =
      R"({"count":5,"max_model_len":4096,"tokens":[0,29,1220,299,31],"token_strs":null})";
  for (const std::string& answer : {rendered, "[" + rendered + "]", tokenized}) {
    std::vector<uint32_t> ids;
    EXPECT_EQ(read_engine_tokens(answer, 100, ids), EngineTokens::kOne);
    EXPECT_EQ(ids, (std::vector<uint32_t>{0, 29, 1220, 299, 31}));
  }
}

TEST(EngineTokensReading, BothAnswersHoldTokens) {
  const struct {
    std::string answer;
    EngineTokens kind;
  } cases[] = {
      {R"({"count":2,"max_model_len":9,"tokens":[1,2],"token_strs":null})", EngineTokens::kOne},
      {R"({"request_id":"x","token_ids":[1,2],"features":null,"sampling_params":{"stop":[]}})",
       EngineTokens::kOne},
      {R"( [{"token_ids":[1,2]}] )", EngineTokens::kOne},
      {R"([{"token_ids":[1,2]},{"token_ids":[3]}])", EngineTokens::kSeveral},
      {R"({"token_ids":[1,2],"features":{"mm_hashes":{}}})", EngineTokens::kMedia},
      {R"({"token_ids":null})", EngineTokens::kNone},
      {R"({"token_ids":[-1]})", EngineTokens::kNone},
      {R"({"token_ids":[1,2])", EngineTokens::kNone},
      {R"({"error":{"code":400}})", EngineTokens::kNone},
      {"[]", EngineTokens::kNone},
      {"", EngineTokens::kNone},
      {"tokens", EngineTokens::kNone},
  };
  for (const auto& test : cases) {
    std::vector<uint32_t> ids;
    EXPECT_EQ(read_engine_tokens(test.answer, 100, ids), test.kind) << test.answer;
    if (test.kind == EngineTokens::kOne) {
      EXPECT_EQ(ids, (std::vector<uint32_t>{1, 2})) << test.answer;
    }
  }
  std::vector<uint32_t> ids;
  EXPECT_EQ(read_engine_tokens(R"({"tokens":[1,2]})", 1, ids), EngineTokens::kNone);
}

}  // namespace
}  // namespace kvasir
