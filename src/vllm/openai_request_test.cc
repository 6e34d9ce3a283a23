// What requests become as values; what is refused is compared with recorded answers in tests/vllm.
#include <gtest/gtest.h>

#include "vllm/chat_request.h"
#include "vllm/completion_request.h"
#include "vllm/tokenize_request.h"

namespace kvasir {
namespace {

constexpr std::string_view kJson = "application/json";

CompletionRequest completion(std::string_view body) {
  auto parsed = parse_completion_request(kJson, body);
  const ApiError* error = std::get_if<ApiError>(&parsed);
  EXPECT_EQ(error, nullptr) << body << ": " << (error == nullptr ? "" : error->message);
  return error == nullptr ? std::get<CompletionRequest>(std::move(parsed)) : CompletionRequest();
}

ApiError refused_completion(std::string_view body) {
  auto parsed = parse_completion_request(kJson, body);
  EXPECT_TRUE(std::holds_alternative<ApiError>(parsed)) << body;
  return std::holds_alternative<ApiError>(parsed) ? std::get<ApiError>(parsed) : ApiError();
}

ChatRequest chat(std::string_view body) {
  auto parsed = parse_chat_request(kJson, body);
  const ApiError* error = std::get_if<ApiError>(&parsed);
  EXPECT_EQ(error, nullptr) << body << ": " << (error == nullptr ? "" : error->message);
  return error == nullptr ? std::get<ChatRequest>(std::move(parsed)) : ChatRequest();
}

TEST(CompletionRequest, HasTheDefaultsOfVllm) {
  const CompletionRequest request = completion(R"({"prompt":"a"})");
  EXPECT_TRUE(request.generation.max_tokens == WideInt{16});
  EXPECT_EQ(request.generation.sampling.temperature, 1);
  EXPECT_FALSE(request.generation.stream);
  EXPECT_FALSE(request.generation.request_id);
}

TEST(CompletionRequest, TakesEveryFormOfPrompt) {
  EXPECT_EQ(std::get<std::string>(completion(R"({"prompt":"a"})").prompts.at(0)), "a");
  EXPECT_EQ(completion(R"({"prompt":["a","b"]})").prompts.size(), 2u);
  EXPECT_EQ(std::get<std::string>(completion(R"({"prompt":["1","2"]})").prompts.at(1)), "2");
  using Ids = std::vector<uint32_t>;
  EXPECT_EQ(std::get<Ids>(completion(R"({"prompt":[1,2.0,true]})").prompts.at(0)), Ids({1, 2, 1}));
  EXPECT_EQ(std::get<Ids>(completion(R"({"prompt":[["1"],["2","3"]]})").prompts.at(1)),
            Ids({2, 3}));
  EXPECT_EQ(std::get<Ids>(completion(R"({"prompt":[18446744073709551616]})").prompts.at(0)),
            Ids({UINT32_MAX}));
  EXPECT_TRUE(completion(R"({"prompt":[]})").prompts.empty());
}

TEST(CompletionRequest, ReadsStopStreamAndUsage) {
  const CompletionRequest request = completion(
      R"({"prompt":"a","stop":["x","y"],"stream":"yes","stream_options":{"include_usage":1,"continuous_usage_stats":true}})");
  EXPECT_EQ(request.generation.sampling.stop, std::vector<std::string>({"x", "y"}));
  EXPECT_TRUE(request.generation.stream && request.generation.include_usage);
  EXPECT_TRUE(request.generation.continuous_usage);
}

TEST(CompletionRequest, ErrorsComeInVllmsOrder) {
  EXPECT_EQ(refused_completion("{\"prompt\":").param, "body.10");
  EXPECT_EQ(refused_completion("[]").param, "body");
  EXPECT_EQ(refused_completion(R"({"max_tokens":"x","cache_salt":"","prompt":"a"})").param,
            "cache_salt");
  EXPECT_EQ(refused_completion(R"({"max_tokens":"x","echo":"x","prompt":"a"})").param, "body.echo");
  EXPECT_EQ(refused_completion(R"({"prompt":["a",5]})").param, "body.prompt.0");
  EXPECT_EQ(refused_completion(R"({"prompt":"a","stop":["a",null]})").param, "body.stop");
}

TEST(CompletionRequest, TheContentTypeMustBeJson) {
  const auto error = [](std::optional<std::string_view> type) {
    return std::get<ApiError>(parse_completion_request(type, R"({"prompt":"a")"));
  };
  EXPECT_EQ(error("text/plain").param, std::nullopt);
  EXPECT_EQ(error(std::nullopt).type, "Bad Request");
  EXPECT_EQ(error("application/vnd.api+json").param, "body.13");
}

TEST(ChatRequest, BecomesAPrompt) {
  const ChatRequest request = chat(
      R"({"messages":[{"role":"system","content":"A"},{"role":"user","content":[{"type":"text","text":"B"},{"type":"text","text":"C"}]}]})");
  EXPECT_EQ(chat_prompt(request.messages, request.prompt_end),
            "<|system|>A\n<|user|>BC\n<|assistant|>");
  EXPECT_FALSE(request.generation.max_tokens);
}

TEST(ChatRequest, MaxCompletionTokensGoBeforeMaxTokens) {
  const ChatRequest request = chat(
      R"({"messages":[{"role":"user","content":"A"}],"max_tokens":-1,"max_completion_tokens":2})");
  EXPECT_TRUE(request.generation.max_tokens == WideInt{2});
  EXPECT_EQ(request.generation.max_tokens_param, "max_completion_tokens");
}

TEST(ChatRequest, AnOpenLastMessageStaysOpen) {
  const ChatRequest request = chat(
      R"({"messages":[{"role":"assistant","content":"A"}],"continue_final_message":true,"add_generation_prompt":false})");
  EXPECT_EQ(chat_prompt(request.messages, request.prompt_end), "<|assistant|>A");
}

TEST(ChatRequest, WrongPartsAreFoundLate) {
  EXPECT_TRUE(chat(R"({"messages":[{"role":"user","content":["A"]}]})").content_problem);
  EXPECT_TRUE(
      chat(R"({"messages":[{"role":"user","content":[{"type":"image_url"}]}]})").content_problem);
  EXPECT_FALSE(chat(R"({"messages":[{"role":"user","content":[]}]})").content_problem);
}

TEST(TokenizeRequest, AConversationGoesBeforeAPrompt) {
  auto parsed =
      parse_tokenize_request(kJson, R"({"prompt":"a","messages":[{"role":"user","content":"b"}]})");
  const TokenizeRequest request = std::get<TokenizeRequest>(parsed);
  EXPECT_FALSE(request.prompt);
  EXPECT_EQ(request.messages.size(), 1u);
}

}  // namespace
}  // namespace kvasir
