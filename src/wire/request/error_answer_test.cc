#include "wire/request/error_answer.h"

#include <gtest/gtest.h>

#include <string>

namespace kvasir {
namespace {

TEST(ErrorAnswer, KnowsTheErrorsOfEachApi) {
  for (const char* body : {
           R"({"error":{"message":"out of memory","code":500}})",
           R"({"object":"error","message":"out of memory","code":500})",
           R"({"message":"a, {\"b\"}","param":null,"object":"error"})",
           R"({"type":"error","error":{"type":"overloaded_error"}})",
           R"({"error":"the queue is full","error_type":"overloaded"})",
           R"({"id":"x","choices":[],"usage":{"a":[1,{"b":2}]},"error":{"code":502}})",
           R"({"error":{"message":"a text that is c)",
           " \r\n\t{ \"error\" :\n {\"message\": \"x\"} }",
           "data: {\"error\": {\"message\": \"x\"}}\n\ndata: [DONE]\n\n",
           "data:{\"error\":{}}\r\n\r\n",
           "data: {\"object\": \"error\", \"message\": \"x\"}\n\n",
           "event: error\ndata: {\"message\": \"x\"}\n\n",
           "event:error\r\ndata: x\r\n\r\n",
           "event: error",
           "event: message\ndata: {\"error\": {}}\n\n",
           "id: 1\nretry: 5\ndata: {\"error\": {}}\n\n",
           ": ping\n\ndata: {\"error\": {}}\n\n",
           "\n\ndata: {\"error\": true}\n\n",
       }) {
    EXPECT_TRUE(is_error_answer(body)) << body;
  }
}

TEST(ErrorAnswer, AnythingElseIsAnAnswer) {
  for (const char* body : {
           R"({"id":"x","object":"text_completion","choices":[{"text":"an error"}],"error":null})",
           R"({"error": null, "choices": [{"text": "x"}]})",
           R"({"error":null})",
           R"({"error":""})",
           R"({"error":false,"text":"x"})",
           R"({"id":"x","choices":[{"text":"{\"error\":{\"code\":500}}"}]})",
           R"({"choices":[{"error":{"code":500}}]})",
           R"({"text":"\",\"error\":{\"code\":500}"})",
           R"({"object":"list","data":[{"object":"embedding","embedding":[0.1,-2e-3],"index":0}]})",
           R"({"object":"errors"})",
           R"({"errors":{}})",
           R"({"object":"response","status":"completed","error":null,"output":[]})",
           R"({"type":"message","content":[{"type":"text","text":"error"}]})",
           "data: {\"id\":\"x\",\"choices\":[{\"delta\":{\"content\":\"error\"}}]}\n\n",
           "data: {\"choices\":[]}\n\ndata: {\"error\":{}}\n\n",
           "event: message_start\ndata: {\"type\":\"message_start\"}\n\nevent: error\n",
           "event: errors\ndata: {}\n\n",
           "event: response.created\ndata: {\"response\":{\"error\":{}}}\n\n",
           "data: [DONE]\n\n",
           "data: error\n\n",
           "error of the text",
           "{\"error\"",
           "{\"error\":",
           "{\"error\":\"",
           "{\"object\":\"err",
           "{]}",
           "{\"a\":]",
           "{\"a\":1}}, \"error\":{}",
           "{\"a\\",
           "{",
           "[{\"error\":{}}]",
           "",
           "\n",
           ": ping",
           "data:",
           "\x1f\x8b\x08",
       }) {
    EXPECT_FALSE(is_error_answer(body)) << body;
  }
}

TEST(ErrorAnswer, OnlyTheBeginningIsLookedAt) {
  EXPECT_FALSE(is_error_answer("{\"text\":\"" + std::string(100'000, 'x') + "\",\"error\":{}}"));
  EXPECT_TRUE(is_error_answer("{\"error\":{\"message\":\"" + std::string(100'000, 'x') + "\"}}"));
}

}  // namespace
}  // namespace kvasir
