// What a worker says of a request's tokens is what it then counts, and what the tokenizer files
// that it writes give.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "leased_port.h"
#include "net/io/event_loop.h"
#include "program.h"
#include "serving/token_cache.h"
#include "serving/token_source.h"
#include "tokens/model_tokenizers.h"
#include "tokens/tokenizer_json.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;

class WorkersTokens : public testing::Test {
 protected:
  WorkersTokens()
      : loop_(std::move(EventLoop::create().value())),
        port_(leased_port()),
        worker_({"worker", "--port", std::to_string(port_), "--model", "m",
                 "--enable-auto-tool-choice", "--tool-call-parser", "hermes"}) {
    const TimePoint end = SteadyClock().now() + std::chrono::seconds(30);
    while (post("/tokenize", R"({"prompt":"x"})").is_null() && SteadyClock().now() < end) {
    }
    options_.deadline = std::chrono::seconds(20);
  }

  // Null: there is no answer.
  Json post(const std::string& path, const std::string& body) const {
    const std::string answer =
        ask(port_,
            "POST " + path +
                " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n" +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    // An object, in chunks or not.
    const size_t begin = answer.find('{');
    if (begin == std::string::npos) return Json();
    return Json::parse(answer.substr(begin, answer.rfind('}') + 1 - begin), nullptr, false);
  }

  Tokens tokens_of(const std::string& body, RequestApi api,
                   const ModelTokenizers* files = nullptr) {
    HttpEngineCalls calls(*loop_, {options_.deadline});
    TokenCache cache(1 << 20, 1);
    TokenSource source(*loop_, options_, {files, &calls, &cache, nullptr},
                       [this](std::string_view) {
                         return EngineAddress{"127.0.0.1", resolve("127.0.0.1", port_).value()};
                       });
    const std::optional<RequestPeek> peek = peek_request(body, api);
    EXPECT_TRUE(peek);
    Tokens found;
    TokenSource::Started started = source.start({*peek, body, "", ""}, [&](const Tokens& tokens) {
      found = tokens;
      loop_->stop();
    });
    if (started.tokens) return *started.tokens;
    loop_->run();
    return found;
  }

  std::unique_ptr<EventLoop> loop_;
  const uint16_t port_;
  Program worker_;
  TokenSourceOptions options_;
};

TEST_F(WorkersTokens, AreAsManyAsItCounts) {
  const struct {
    std::string path;
    RequestApi api;
    std::string body;
  } cases[] = {
      {"/v1/completions", RequestApi::kCompletions,
       R"({"model":"m","prompt":" bab bac\n\"\u00e9","max_tokens":1})"},
      {"/v1/chat/completions", RequestApi::kChatCompletions,
       R"({"model":"m","max_tokens":1,"messages":[{"role":"system","content":"bab"},)"
       R"({"role":"user","content":[{"type":"text","text":"x"}]}],)"
       R"("tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]})"},
  };
  for (const auto& test : cases) {
    const Tokens tokens = tokens_of(test.body, test.api);
    ASSERT_NE(tokens.ids, nullptr) << label_of(tokens.why);
    EXPECT_EQ(label_of(tokens.origin), "engine");
    const Json answer = post(test.path, test.body);
    ASSERT_TRUE(answer.contains("usage")) << answer;
    EXPECT_EQ(answer["usage"]["prompt_tokens"], tokens.ids->size()) << answer;
  }
}

TEST_F(WorkersTokens, AreThoseOfItsTokenizerFile) {
  const std::string folder = testing::TempDir() + "/tokens_system_test";
  ASSERT_TRUE(write_tokenizer(folder).ok());
  const auto files = ModelTokenizers::load(folder);
  ASSERT_TRUE(files.ok()) << files.error().message;
  const std::string body = R"({"model":"m","prompt":" bab vovx \u00e9t\u00e9\n cabin"})";
  const Tokens by_file = tokens_of(body, RequestApi::kCompletions, files.value().get());
  const Tokens by_engine = tokens_of(body, RequestApi::kCompletions);
  ASSERT_NE(by_file.ids, nullptr);
  ASSERT_NE(by_engine.ids, nullptr);
  EXPECT_EQ(label_of(by_file.origin), "tokenizer");
  EXPECT_EQ(*by_file.ids, *by_engine.ids);
}

}  // namespace
}  // namespace kvasir
