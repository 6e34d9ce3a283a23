#include "wire/request/prompt_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace kvasir {
namespace {

using Api = RequestApi;

class Collector final : public PromptSink {
 public:
  void take(std::string_view bytes) override { text.append(bytes); }
  std::string text;
};

std::string prompt_of(Api api, std::string_view body) {
  const std::optional<RequestPeek> peek = peek_request(body, api);
  EXPECT_TRUE(peek) << body;
  Collector collector;
  if (peek) write_prompt(*peek, collector);
  return collector.text;
}

struct Spelling {
  Api api;
  std::string body;
};

TEST(PromptText, WhatTheEngineSeesAsEqualIsEqual) {
  const std::vector<std::vector<Spelling>> groups = {
      // Content as a text or as parts; other order, other space, other escapes.
      {{Api::kChatCompletions, R"({"messages":[{"role":"user","content":"A/b"}]})"},
       {Api::kChatCompletions,
        R"({"messages":[{"role":"user","content":[{"type":"text","text":"A/b"}]}]})"},
       {Api::kChatCompletions,
        R"({"messages":[{"content":[{"text":"\u0041\/b","type":"text"}],"role":"user"}]})"},
       {Api::kChatCompletions, R"({"messages":[{"role":"user","content":["A/b"]}]})"},
       {Api::kChatCompletions,
        "{\"model\":\"m\", \"messages\" : [ {\n \"content\" : \"A/b\" ,\t\"role\" : \"user\" } ] "
        "}"},
       {Api::kChatCompletions,
        R"({"messages":[{"role":"us\u0065r","name":null,"tool_calls":[],"cont\u0065nt":"A/b"}]})"},
       {Api::kChatCompletions,
        R"({"temperature":1,"tools":[],"documents":null,"messages":[{"role":"user","content":"A/b"}]})"},
       {Api::kResponses, R"({"input":"A/b"})"},
       {Api::kResponses, R"({"input":[{"role":"user","content":"A/b"}]})"},
       {Api::kResponses, R"({"input":[{"type":"message","role":"user",
         "content":[{"type":"input_text","text":"A/b"}]}],"instructions":""})"},
       {Api::kAnthropicMessages,
        R"({"messages":[{"role":"user","content":[{"type":"text","text":"A/b",
            "cache_control":{"type":"ephemeral"}}]}]})"},
       {Api::kUnknown, R"({"messages":[{"role":"user","content":"A/b"}],"prompt":"no"})"}},
      // Several parts.
      {{Api::kChatCompletions, R"({"messages":[{"role":"user","content":"a\nb"}]})"},
       {Api::kChatCompletions, R"({"messages":[{"role":"user","content":[
          {"type":"text","text":"a"},{"type":"text","text":""},{"type":"text","text":"b"}]}]})"}},
      // A system text, wherever the API has it.
      {{Api::kChatCompletions,
        R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"u"}]})"},
       {Api::kAnthropicMessages, R"({"system":"s","messages":[{"role":"user","content":"u"}]})"},
       {Api::kAnthropicMessages, R"({"messages":[{"role":"user","content":"u"}],
          "system":[{"type":"text","text":"x-anthropic-billing-header: cch=1;"},
                    {"type":"text","text":"s","cache_control":{"type":"ephemeral"}}]})"},
       {Api::kResponses, R"({"input":"u","instructions":"s"})"}},
      // Tools: other order of members, other space, other place in the body.
      {{Api::kChatCompletions, R"({"tools":[{"type":"function","function":{"name":"f",
          "parameters":{"type":"object","properties":{}}}}],"messages":[{"role":"user","content":"u"}]})"},
       {Api::kChatCompletions, R"({"messages":[{"role":"user","content":"u"}],"tools":[{"function":{
          "parameters" : {"type" : "object", "properties" : { } }, "description":null,"name":"\u0066"},"type":"function",
          "cache_control":{"type":"ephemeral"}}]})"}},
      // Calls and answers of tools.
      {{Api::kChatCompletions, R"({"messages":[{"role":"assistant","content":null,"tool_calls":[
          {"id":"c","type":"function","function":{"name":"f","arguments":"{}"}}]},
          {"role":"tool","tool_call_id":"c","content":"7"}]})"},
       {Api::kChatCompletions, R"({"messages":[{"tool_calls":[
          {"function":{"arguments":"{}","name":"f"},"type":"function","id":"c"}],"role":"assistant"},
          {"content":[{"type":"text","text":"7"}],"role":"tool","tool_call_id":"c"}]})"}},
      {{Api::kAnthropicMessages, R"({"messages":[{"role":"user","content":[
          {"type":"tool_result","tool_use_id":"c","content":"7"}]}]})"},
       {Api::kAnthropicMessages, R"({"messages":[{"role":"user","content":[{"tool_use_id":"c",
          "content":[{"type":"text","text":"7"}],"type":"tool_result"}]}]})"}},
      {{Api::kResponses,
        R"({"input":[{"type":"function_call_output","call_id":"c","output":"7"}]})"},
       {Api::kResponses,
        R"({"input":[{"id":"fc_1","status":"completed","type":"function_call_output",
          "output":[{"type":"input_text","text":"7"}],"call_id":"c"}]})"}},
      // Parts that are no text.
      {{Api::kChatCompletions, R"({"messages":[{"role":"user","content":[
          {"type":"image_url","image_url":{"url":"http://x/1","detail":"low"}}]}]})"},
       {Api::kChatCompletions, R"({"messages":[{"role":"user","content":[
          {"image_url":{"detail":"low","url":"http:\/\/x\/1"},"type":"image_url"}]}]})"}},
      // A list of one prompt; token ids however they are spaced.
      {{Api::kCompletions, R"({"prompt":"a\"b"})"},
       {Api::kCompletions, R"({"prompt":[ "a\u0022b" ]})"},
       {Api::kEmbeddings, R"({"input":"a\"b"})"},
       {Api::kSglangGenerate, R"({"text":"a\"b"})"},
       {Api::kSglangGenerate, R"({"prompt":"a\"b"})"},
       {Api::kUnknown, R"({"prompt":"a\"b"})"}},
      {{Api::kCompletions, R"({"prompt":[1,22,333]})"},
       {Api::kCompletions, "{\"prompt\":[ 1,\n22, 333 ]}"},
       {Api::kCompletions, R"({"prompt":[[1, 22, 333]]})"},
       {Api::kVllmGenerate, R"({"token_ids":[1,22,333]})"},
       {Api::kSglangGenerate, R"({"input_ids":[1,22,333]})"}},
      {{Api::kResponses, R"({"input":"u","reasoning":{"effort":"low","summary":null}})"},
       {Api::kChatCompletions,
        R"({"messages":[{"role":"user","content":"u"}],"reasoning_effort":"low"})"},
       {Api::kAnthropicMessages,
        R"({"messages":[{"role":"user","content":"u"}],"output_config":{"effort":"low"}})"}},
  };
  for (const auto& group : groups) {
    const std::string first = prompt_of(group.front().api, group.front().body);
    EXPECT_FALSE(first.empty()) << group.front().body;
    for (const Spelling& other : group)
      EXPECT_EQ(prompt_of(other.api, other.body), first) << other.body;
  }
}

// Each differs from every other one.
TEST(PromptText, WhatTheEngineSeesAsDifferentIsDifferent) {
  const std::vector<Spelling> all = {
      {Api::kChatCompletions, R"({"messages":[{"role":"user","content":"u"}]})"},
      {Api::kChatCompletions, R"({"messages":[{"role":"system","content":"u"}]})"},
      {Api::kChatCompletions, R"({"messages":[{"role":"user","content":"u","name":"n"}]})"},
      {Api::kChatCompletions,
       R"({"messages":[{"role":"user","content":"u"},{"role":"user","content":""}]})"},
      {Api::kChatCompletions,
       R"({"messages":[{"role":"user","content":"u"}],"tools":[{"name":"f"}]})"},
      {Api::kChatCompletions,
       R"({"messages":[{"role":"user","content":"u"}],"tools":[{"name":"g"}]})"},
      {Api::kChatCompletions,
       R"({"messages":[{"role":"user","content":"u"}],"documents":[{"text":"d"}]})"},
      {Api::kChatCompletions,
       R"({"messages":[{"role":"user","content":"u"}],"chat_template":"t"})"},
      {Api::kChatCompletions,
       R"({"messages":[{"role":"user","content":"u"}],"chat_template_kwargs":{"thinking":true}})"},
      {Api::kChatCompletions,
       R"({"messages":[{"role":"user","content":"u"}],"reasoning_effort":"low"})"},
      {Api::kChatCompletions,
       R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"1"}}]}]})"},
      {Api::kChatCompletions,
       R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"2"}}]}]})"},
      {Api::kAnthropicMessages, R"({"system":"a","messages":[{"role":"user","content":"u"}]})"},
      {Api::kAnthropicMessages, R"({"system":"b","messages":[{"role":"user","content":"u"}]})"},
      {Api::kResponses, R"({"input":"u","previous_response_id":"resp_1"})"},
      {Api::kResponses, R"({"input":"u","previous_response_id":"resp_2"})"},
      {Api::kCompletions, R"({"prompt":"u"})"},
      {Api::kCompletions, R"({"prompt":"1,2"})"},
      {Api::kCompletions, R"({"prompt":["1","2"]})"},
      {Api::kCompletions, R"({"prompt":[1,2]})"},
      {Api::kCompletions, R"({"prompt":[12]})"},
      {Api::kCompletions, R"({"prompt":[[1],[2]]})"},
      {Api::kRerank, R"({"query":"u","documents":["d"]})"},
      {Api::kRerank, R"({"query":"v","documents":["d"]})"},
  };
  for (size_t i = 0; i < all.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      EXPECT_NE(prompt_of(all[i].api, all[i].body), prompt_of(all[j].api, all[j].body))
          << all[i].body << " " << all[j].body;
    }
  }
}

// Sampling and what is asked of the answer leave the prompt as it is.
TEST(PromptText, WhatOnlyConcernsTheAnswerDoesNotCount) {
  const std::string plain =
      prompt_of(Api::kChatCompletions, R"({"messages":[{"role":"user","content":"u"}]})");
  for (const char* more :
       {R"("temperature":0.5)", R"("stream":true)", R"("max_tokens":5)", R"("tool_choice":"none")",
        R"("response_format":{"type":"json_object"})", R"("user":"me")", R"("cache_salt":"s")",
        R"("structured_outputs":{"json":{}})", R"("model":"m")", R"("metadata":{"a":"b"})"}) {
    const std::string body =
        std::string(R"({"messages":[{"role":"user","content":"u"}],)") + more + "}";
    EXPECT_EQ(prompt_of(Api::kChatCompletions, body), plain) << body;
  }
}

TEST(PromptText, ConversationsThatGoOnBeginAlike) {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f"}}])";
  const std::string first =
      prompt_of(Api::kChatCompletions,
                R"({"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}],)" +
                    tools + "}");
  const std::string second = prompt_of(
      Api::kChatCompletions,
      "{" + tools + R"(,"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"},
        {"role":"assistant","content":"b"},{"role":"user","content":"c"}]})");
  EXPECT_THAT(second, ::testing::StartsWith(first));
  EXPECT_THAT(prompt_of(Api::kCompletions, R"({"prompt":[1, 2, 3, 4]})"),
              ::testing::StartsWith(prompt_of(Api::kCompletions, R"({"prompt":[1,2,3]})")));
}

TEST(PromptText, TextsComeOutAsTheyAre) {
  EXPECT_EQ(prompt_of(Api::kCompletions, R"({"prompt":"a\n\u00e9\u000a\/\\u0041\u0022"})"),
            R"(a\n)"
            "\xc3\xa9"
            R"(\n/\\u0041\")");
  EXPECT_EQ(prompt_of(Api::kCompletions, R"({"prompt":[ 1, 2 ]})"),
            "\x1f"
            "1,2");
  EXPECT_EQ(prompt_of(Api::kOpaque, R"({"prompt":"a"})"), "");
  EXPECT_EQ(prompt_of(Api::kUnknown, "{}"), "");
  std::string text, ids;
  for (int i = 0; i < 3000; ++i) {
    text += i % 7 == 0 ? "\\n" : "word ";
    ids += (ids.empty() ? "" : ", ") + std::to_string(i);
  }
  EXPECT_EQ(prompt_of(Api::kCompletions, "{\"prompt\":\"" + text + "\"}"), text);
  std::string spaceless = ids;
  spaceless.erase(std::remove(spaceless.begin(), spaceless.end(), ' '), spaceless.end());
  EXPECT_EQ(prompt_of(Api::kCompletions, "{\"prompt\":[" + ids + "]}"), "\x1f" + spaceless);
}

// What is not as the API asks ends somewhere, and soon.
TEST(PromptText, OddBodiesAreTakenAsTheyStand) {
  for (
      const char* body :
      {R"({"messages":[1,"x",null,[[]],{}]})", R"({"messages":[{"role":5,"content":{}}]})",
       R"({"messages":[{"role":"user","content":[{"type":"tool_result","content":[{"content":[{"content":[{}]}]}]}]}]})",
       R"({"messages":[[}]})", R"({"messages":[{"role" "user"}]})",
       R"({"messages":[],"system":{}})", R"({"prompt":[[1,"a"],[]]})", R"({"prompt":["a",1,[2]]})",
       R"({"tools":[[[[[[{"a":[}]]]]]]]})"}) {
    prompt_of(Api::kUnknown, body);
    prompt_of(Api::kChatCompletions, body);
    prompt_of(Api::kAnthropicMessages, body);
  }
  std::string nested(200'000, '[');
  nested.append(200'000, ']');
  prompt_of(Api::kChatCompletions, R"({"messages":)" + nested + "}");
  std::string contents;
  for (int i = 0; i < 100'000; ++i) contents += "[{\"content\":";
  for (int i = 0; i < 100'000; ++i) contents += "}]";
  prompt_of(Api::kChatCompletions, R"({"messages":)" + contents + "}");
  std::string members = "{";
  for (int i = 0; i < 200; ++i) members += "\"k" + std::to_string(i) + "\":1,";
  prompt_of(Api::kChatCompletions, R"({"messages":[],"tools":[)" + members + "\"z\":1}]}");
}

}  // namespace
}  // namespace kvasir
