#include "serving/token_source.h"

#include <gtest/gtest.h>

#include <deque>

#include "base/virtual_executor_fixture.h"
#include "serving/token_cache.h"
#include "serving/tokenizer_jobs.h"
#include "tokens/model_tokenizers.h"
#include "tokens/tokenizer_json.h"
#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Ids = std::vector<uint32_t>;

// Engines that keep what they are asked until the test answers.
class FakeEngines final : public EngineCalls {
 public:
  struct Asked {
    EngineRequest request;
    std::function<void(EngineAnswer)> done;
    bool given_up = false;
  };

  std::unique_ptr<Call> start(const EngineAddress&, EngineRequest request,
                              std::function<void(EngineAnswer)> done) override {
    asked_.push_back(std::make_shared<Asked>(Asked{std::move(request), std::move(done)}));
    return std::make_unique<OpenCall>(asked_.back());
  }
  size_t asked() const { return asked_.size(); }
  const Asked& last() const { return *asked_.back(); }
  void answer(int status, const std::string& body) { answer(asked_.size() - 1, status, body); }
  void answer(size_t which, int status, const std::string& body) {
    const auto done = std::move(asked_[which]->done);
    done({status, body});
  }

 private:
  struct OpenCall final : Call {
    explicit OpenCall(std::shared_ptr<Asked> of) : asked(std::move(of)) {}
    ~OpenCall() override { asked->given_up = true; }
    const std::shared_ptr<Asked> asked;
  };
  std::deque<std::shared_ptr<Asked>> asked_;
};

// Does what is started when the test says so.
class FakeJobs final : public TokenizerJobs {
 public:
  bool start(BackgroundJob::Work work) override {
    if (full_) return false;
    works_.push_back(std::move(work));
    return true;
  }
  void run() {
    const BackgroundJob::Use use = works_.front()();
    works_.pop_front();
    use();
  }
  std::deque<BackgroundJob::Work> works_;
  bool full_ = false;
};

struct Request {
  TokenSource::Started started;
  std::optional<Tokens> told;

  const Tokens* tokens() const {
    return started.tokens ? &*started.tokens : told ? &*told : nullptr;
  }
};

class TokenSourceTest : public testing::Test {
 protected:
  TokenSource& source() {
    if (!source_) {
      source_.emplace(executor_, options_,
                      TokenSource::Parts{tokenizers_.get(), &engines_, &cache_, &jobs_},
                      [this](std::string_view) { return engine_; });
    }
    return *source_;
  }

  Request& ask(const std::string& body, RequestApi api = RequestApi::kChatCompletions,
               std::string_view model = "", std::string_view authorization = "") {
    requests_.emplace_back();
    Request& request = requests_.back();
    const std::optional<RequestPeek> peek = peek_request(body, api);
    EXPECT_TRUE(peek) << body;
    request.started =
        source().start({*peek, body, model, authorization}, [&request](const Tokens& tokens) {
          EXPECT_FALSE(request.told);
          request.told = tokens;
        });
    EXPECT_NE(request.started.tokens.has_value(), request.started.waiting != nullptr);
    return request;
  }
  Request& ask_text(const std::string& body) { return ask(body, RequestApi::kCompletions); }
  // Another conversation each time.
  Request& ask_other() {
    return ask("{\"model\":\"m\",\"messages\":[{\"content\":\"" + std::to_string(requests_.size()) +
               "\"}]}");
  }
  static std::string why(const Request& request) {
    const Tokens* tokens = request.tokens();
    if (tokens == nullptr) return "waits";
    return std::string(tokens->ids ? label_of(tokens->origin) : label_of(tokens->why));
  }
  void advance(Duration by) { executor_.run_until(executor_.now() + by); }
  void use_simulated_tokenizer(TokenizerLimits limits = {}) {
    const std::string folder = testing::TempDir() + "/token_source_test";
    ASSERT_TRUE(write_tokenizer(folder).ok());
    auto loaded = ModelTokenizers::load(folder, limits);
    ASSERT_TRUE(loaded.ok()) << loaded.error().message;
    tokenizers_ = std::move(loaded).value();
  }

  VirtualExecutor executor_;
  TokenSourceOptions options_;
  FakeEngines engines_;
  FakeJobs jobs_;
  TokenCache cache_{1 << 20, 7};
  std::unique_ptr<ModelTokenizers> tokenizers_;
  std::optional<EngineAddress> engine_ =
      EngineAddress{"engine", resolve("127.0.0.1", 8000).value()};
  std::deque<Request> requests_;
  std::optional<TokenSource> source_;
};

constexpr const char* kChat = R"({"model":"m","messages":[{"role":"user","content":"x"}]})";
constexpr const char* kRendered = R"({"token_ids":[5,6,7],"features":null})";
constexpr const char* kTokenized = R"({"count":3,"max_model_len":99,"tokens":[5,6,7]})";

TEST_F(TokenSourceTest, IdsOfTheBodyAreItsTokens) {
  const Request& request = ask_text(R"({"prompt":[1, 2,3]})");
  EXPECT_EQ(why(request), "body");
  EXPECT_EQ(*request.tokens()->ids, (Ids{1, 2, 3}));
  EXPECT_EQ(why(ask_text(R"({"prompt":[1,-2]})")), "bad_ids");
  EXPECT_EQ(why(ask_text(R"({"prompt":[[1],[2]]})")), "several_prompts");
  EXPECT_EQ(why(ask(R"({"token_ids":[1,2],"sampling_params":{}})", RequestApi::kVllmGenerate)),
            "body");
  EXPECT_EQ(engines_.asked(), 0u);
}

TEST_F(TokenSourceTest, WhatHasNoTokensOfItsOwnIsUnknown) {
  EXPECT_EQ(why(ask_text(R"({"x":1})")), "no_prompt");
  EXPECT_EQ(why(ask_text(R"({"prompt":["a","b"]})")), "several_prompts");
  EXPECT_EQ(why(ask_text(R"({"prompt":"a","prompt_embeds":"x"})")), "media");
  EXPECT_EQ(why(ask(R"({"messages":[{"content":[{"type":"image_url"}]}]})")), "media");
  options_.body_bytes_max = 30;
  source_.reset();
  EXPECT_EQ(why(ask_text(R"({"prompt":"a                       a"})")), "too_long");
  EXPECT_EQ(engines_.asked(), 0u);
}

TEST_F(TokenSourceTest, ATokenizerFileIsUsedForTexts) {
  use_simulated_tokenizer();
  const Request& request = ask_text(R"({"prompt":" bab\n bac"})");
  EXPECT_EQ(why(request), "tokenizer");
  EXPECT_EQ(*request.tokens()->ids, encode(" bab\n bac"));
  EXPECT_EQ(why(ask_text(R"({"prompt":[" bab"]})")), "tokenizer");
  EXPECT_EQ(why(ask(R"({"text":" bab"})", RequestApi::kSglangGenerate)), "tokenizer");
  // A conversation becomes a text by the engine's template; so does the input of a response.
  EXPECT_EQ(why(ask(kChat)), "waits");
  EXPECT_EQ(why(ask(R"({"input":" bab"})", RequestApi::kResponses)), "waits");
  // What is cut off only the engine knows.
  EXPECT_EQ(why(ask_text(R"({"prompt":" bab","truncate_prompt_tokens":1})")), "waits");
}

TEST_F(TokenSourceTest, ATextIsTokenizedOnce) {
  use_simulated_tokenizer();
  const std::string text = R"({"model":"m","prompt":" bab bac"})";
  EXPECT_EQ(why(ask_text(text)), "tokenizer");
  const Request& again = ask_text(text);
  EXPECT_EQ(why(again), "remembered");
  EXPECT_EQ(*again.tokens()->ids, encode(" bab bac"));
  // What may change the tokens makes another question of it.
  EXPECT_EQ(why(ask_text(R"({"model":"n","prompt":" bab bac"})")), "tokenizer");
  EXPECT_EQ(why(ask_text(R"({"model":"m","prompt":" bab bac","add_special_tokens":false})")),
            "tokenizer");
  // A backslash of JSON is another than one of a gRPC message.
  EXPECT_EQ(*ask_text(R"({"model":"m","prompt":" bab\n"})").tokens()->ids, encode(" bab\n"));
  RequestPeek raw;
  raw.api = RequestApi::kVllmGrpcGenerate;
  raw.kind = PromptKind::kRawText;
  raw.model = "m";
  raw.prompt = R"( bab\n)";
  const TokenSource::Started started = source().start({raw, "", "", ""}, {});
  EXPECT_EQ(*started.tokens->ids, encode(R"( bab\n)"));
}

TEST_F(TokenSourceTest, LongTextsAreTokenizedOnceToo) {
  use_simulated_tokenizer();
  options_.text_bytes_in_place = 100;
  const std::string body = R"({"prompt":")" + std::string(101, 'x') + R"("})";
  const Request& first = ask_text(body);
  jobs_.run();
  EXPECT_EQ(why(first), "tokenizer");
  EXPECT_EQ(why(ask_text(body)), "remembered");
}

TEST_F(TokenSourceTest, ALongListOfIdsIsReadOnce) {
  std::string list = "[1";
  for (int i = 2; i <= 2000; ++i) list += "," + std::to_string(i);
  const Request& first = ask_text("{\"prompt\":" + list + "]}");
  const Request& again = ask_text("{\"prompt\":" + list + "],\"max_tokens\":7}");
  EXPECT_EQ(why(again), "body");
  EXPECT_EQ(first.tokens()->ids->size(), 2000u);
  EXPECT_EQ(again.tokens()->ids, first.tokens()->ids);
  EXPECT_EQ(ask_text("{\"prompt\":" + list + ",2001]}").tokens()->ids->size(), 2001u);
  // What is no list of ids is none the second time either.
  for (int i = 0; i < 2; ++i) EXPECT_EQ(why(ask_text("{\"prompt\":" + list + ",-1]}")), "bad_ids");
}

TEST_F(TokenSourceTest, LongTextsAreTokenizedElsewhere) {
  use_simulated_tokenizer();
  options_.text_bytes_in_place = 10;
  const Request& request = ask_text(R"({"prompt":" bab bac bad"})");
  EXPECT_EQ(why(request), "waits");
  jobs_.run();
  EXPECT_EQ(why(request), "tokenizer");
  EXPECT_EQ(*request.tokens()->ids, encode(" bab bac bad"));
  jobs_.full_ = true;
  EXPECT_EQ(why(ask_text(R"({"prompt":" bab bac bae"})")), "busy");
}

TEST_F(TokenSourceTest, ATextThatTakesTooLongToTokenizeIsNotWaitedFor) {
  use_simulated_tokenizer();
  options_.text_bytes_in_place = 10;
  const Request& request = ask_text(R"({"prompt":" bab bac bad"})");
  advance(options_.deadline);
  EXPECT_EQ(why(request), "deadline");
  jobs_.run();
  // And when the source is gone.
  const Request& other = ask_text(R"({"prompt":" bab bac bad"})");
  source_.reset();
  jobs_.run();
  advance(options_.deadline);
  EXPECT_EQ(why(other), "waits");
}

TEST_F(TokenSourceTest, EnginesRenderRequestsAsTheyAre) {
  const Request& request = ask(kChat, RequestApi::kChatCompletions, "", "Bearer x");
  EXPECT_EQ(why(request), "waits");
  EXPECT_EQ(engines_.last().request.path, "/v1/chat/completions/render");
  EXPECT_EQ(engines_.last().request.authorization, "Bearer x");
  EXPECT_EQ(engines_.last().request.body, kChat);
  engines_.answer(200, kRendered);
  EXPECT_EQ(why(request), "engine");
  EXPECT_EQ(*request.tokens()->ids, (Ids{5, 6, 7}));
  ask(kChat, RequestApi::kChatCompletions, "target");
  EXPECT_NE(engines_.last().request.body.find(R"("model":"target")"), std::string::npos);
}

TEST_F(TokenSourceTest, EqualQuestionsAreAskedOnce) {
  const Request& first = ask(kChat);
  const Request& second =
      ask(R"({"model":"m","messages":[{"role":"user","content":"x"}],"seed":1})");
  EXPECT_EQ(engines_.asked(), 1u);
  engines_.answer(200, kRendered);
  EXPECT_EQ(why(first), "engine");
  EXPECT_EQ(why(second), "engine");
  EXPECT_EQ(why(ask(kChat)), "remembered");
  // Another model, another api, other tools.
  EXPECT_EQ(why(ask(kChat, RequestApi::kChatCompletions, "other")), "waits");
  EXPECT_EQ(why(ask(kChat, RequestApi::kAnthropicMessages)), "waits");
  EXPECT_EQ(why(ask(R"({"model":"m","tools":[{}],"messages":[{"role":"user","content":"x"}]})")),
            "waits");
}

TEST_F(TokenSourceTest, AnEngineThatCannotRenderIsAskedToTokenize) {
  const Request& request = ask(kChat);
  engines_.answer(404, R"({"detail":"Not Found"})");
  EXPECT_EQ(why(request), "waits");
  EXPECT_EQ(engines_.last().request.path, "/tokenize");
  EXPECT_EQ(engines_.last().request.body, kChat);
  engines_.answer(200, kTokenized);
  EXPECT_EQ(why(request), "engine");
  // That is remembered for a while.
  ask_other();
  EXPECT_EQ(engines_.last().request.path, "/tokenize");
  engines_.answer(200, kTokenized);
  EXPECT_EQ(why(ask(R"({"model":"m","messages":[],"documents":[{}]})")), "unsupported");
  advance(options_.knowledge.unsupported_pause);
  ask_other();
  EXPECT_EQ(engines_.last().request.path, "/v1/chat/completions/render");
}

// As vLLM 0.32.0 does unless it is told to render.
TEST_F(TokenSourceTest, AnEngineThatMayNotRenderIsAskedToTokenize) {
  const Request& request = ask(kChat);
  engines_.answer(403, R"({"error":{"message":"Scale-out endpoints are disabled.","code":403}})");
  EXPECT_EQ(why(request), "waits");
  EXPECT_EQ(engines_.last().request.path, "/tokenize");
  engines_.answer(200, kTokenized);
  EXPECT_EQ(why(request), "engine");
}

TEST_F(TokenSourceTest, AnEngineThatKnowsNeitherIsLeftAlone) {
  const Request& request = ask(kChat);
  engines_.answer(404, "");
  engines_.answer(404, "");
  EXPECT_EQ(why(request), "unsupported");
  EXPECT_EQ(why(ask_other()), "unsupported");
  EXPECT_EQ(engines_.asked(), 2u);
  // Texts have another path to be rendered by, conversations of other models too.
  EXPECT_EQ(why(ask_text(R"({"model":"m","prompt":"x"})")), "waits");
  EXPECT_EQ(why(ask(kChat, RequestApi::kChatCompletions, "other")), "waits");
  advance(options_.knowledge.unsupported_pause);
  EXPECT_EQ(why(ask_other()), "waits");
}

TEST_F(TokenSourceTest, OneWayOnlyWhenTheOptionsSaySo) {
  options_.ask = TokenSourceOptions::Ask::kTokenize;
  ask(kChat);
  EXPECT_EQ(engines_.last().request.path, "/tokenize");
  options_.ask = TokenSourceOptions::Ask::kRender;
  source_.reset();
  const Request& request = ask_other();
  EXPECT_EQ(engines_.last().request.path, "/v1/chat/completions/render");
  engines_.answer(501, "");
  EXPECT_EQ(why(request), "unsupported");
  options_.ask = TokenSourceOptions::Ask::kNobody;
  source_.reset();
  EXPECT_EQ(why(ask_other()), "no_source");
}

TEST_F(TokenSourceTest, NoRequestWaitsLongerThanTheDeadline) {
  const Request& request = ask(kChat);
  advance(options_.deadline - milliseconds(1));
  EXPECT_EQ(why(request), "waits");
  advance(milliseconds(1));
  EXPECT_EQ(why(request), "deadline");
  // The answer comes all the same, and serves the next.
  EXPECT_FALSE(engines_.last().given_up);
  engines_.answer(200, kRendered);
  EXPECT_EQ(why(request), "deadline");
  EXPECT_EQ(why(ask(kChat)), "remembered");
}

TEST_F(TokenSourceTest, ARequestThatIsGoneIsNotTold) {
  Request& request = ask(kChat);
  request.started.waiting.reset();
  engines_.answer(200, kRendered);
  EXPECT_EQ(why(request), "waits");
  EXPECT_EQ(why(ask(kChat)), "remembered");
}

TEST_F(TokenSourceTest, WhoIsToldMayEndTheOthers) {
  const std::string body = kChat;
  const std::optional<RequestPeek> peek = peek_request(body, RequestApi::kChatCompletions);
  TokenSource::Started waiting[2];
  int told = 0;
  for (auto& each : waiting) {
    each = source().start({*peek, body, "", ""}, [&](const Tokens&) {
      ++told;
      for (auto& every : waiting) every.waiting.reset();
    });
  }
  engines_.answer(200, kRendered);
  EXPECT_EQ(told, 1);
}

TEST_F(TokenSourceTest, FailuresInARowMakeAPause) {
  for (uint32_t i = 0; i < options_.knowledge.failures_most; ++i) {
    const Request& request = ask_other();
    EXPECT_EQ(why(request), "waits");
    engines_.answer(i == 0 ? 0 : 500, "");
    EXPECT_EQ(why(request), "failed");
  }
  EXPECT_EQ(why(ask_other()), "paused");
  EXPECT_EQ(why(ask(kChat, RequestApi::kChatCompletions, "other")), "waits");
  // One may try; its failure makes a longer pause, its answer ends it.
  advance(options_.knowledge.pause_shortest);
  EXPECT_EQ(why(ask_other()), "waits");
  EXPECT_EQ(why(ask_other()), "paused");
  engines_.answer(503, "");
  advance(options_.knowledge.pause_shortest);
  EXPECT_EQ(why(ask_other()), "paused");
  advance(options_.knowledge.pause_shortest);
  EXPECT_EQ(why(ask_other()), "waits");
  engines_.answer(200, kRendered);
  EXPECT_EQ(why(ask_other()), "waits");
}

TEST_F(TokenSourceTest, EnginesThatAreTooSlowAreLeftAlone) {
  for (uint32_t i = 0; i < options_.knowledge.failures_most; ++i) {
    const Request& request = ask_other();
    advance(options_.deadline);
    EXPECT_EQ(why(request), "deadline");
    engines_.answer(200, kRendered);
  }
  EXPECT_EQ(why(ask_other()), "paused");
}

TEST_F(TokenSourceTest, ARequestThatIsRefusedSaysNothingOfTheEngine) {
  for (int i = 0; i < 10; ++i) {
    const Request& request = ask_other();
    engines_.answer(400, R"({"error":{}})");
    EXPECT_EQ(why(request), "failed");
  }
  EXPECT_EQ(why(ask_other()), "waits");
}

TEST_F(TokenSourceTest, NonsenseIsAFailure) {
  const Request& request = ask_other();
  engines_.answer(200, "tokens!");
  EXPECT_EQ(why(request), "failed");
  const Request& media = ask_other();
  engines_.answer(200, R"({"token_ids":[1],"features":{"mm_hashes":{}}})");
  EXPECT_EQ(why(media), "media");
}

TEST_F(TokenSourceTest, CallsAndThoseWhoWaitAreBounded) {
  options_.calls_most = 2;
  options_.waiting_most = 3;
  ask(kChat);
  ask_other();
  EXPECT_EQ(why(ask_other()), "busy");
  EXPECT_EQ(why(ask(kChat)), "waits");
  EXPECT_EQ(why(ask(kChat)), "busy");
  engines_.answer(0, 200, kRendered);
  EXPECT_EQ(why(ask_other()), "waits");
}

TEST_F(TokenSourceTest, WithoutAnEngineNobodyIsAsked) {
  engine_.reset();
  EXPECT_EQ(why(ask(kChat)), "no_source");
}

TEST_F(TokenSourceTest, AFieldThatWouldEndTheHeadIsNotSent) {
  ask(kChat, RequestApi::kChatCompletions, "", "Bearer x\r\nHost: elsewhere");
  EXPECT_EQ(engines_.last().request.authorization, "");
}

TEST_F(TokenSourceTest, CallsEndWithTheSource) {
  const Request& request = ask(kChat);
  source_.reset();
  EXPECT_TRUE(engines_.last().given_up);
  EXPECT_EQ(why(request), "waits");
}

TEST(TokenCacheTest, TheLeastRecentlyUsedGoFirst) {
  const auto ids = [](size_t count) { return std::make_shared<const Ids>(count, 1u); };
  TokenCache cache(4 * 1024, 1);
  cache.put({1, 1}, ids(100));
  cache.put({2, 2}, ids(100));
  for (uint64_t i = 3; i < 30; ++i) {
    EXPECT_NE(cache.find({1, 1}), nullptr);
    cache.put({i, i}, ids(100));
    EXPECT_LE(cache.bytes(), 4u * 1024);
  }
  EXPECT_EQ(cache.find({2, 2}), nullptr);
  cache.put({99, 99}, ids(1024));
  EXPECT_EQ(cache.find({99, 99}), nullptr) << "too large to be kept";
  EXPECT_NE(cache.find({1, 1}), nullptr);
}

TEST(TokenCacheTest, KeysDependOnTheSecretAndOnAllPieces) {
  const auto key_of = [](const TokenCache& cache, std::string_view first, std::string_view second) {
    TokenCache::Question question(cache);
    question.take(first);
    question.take(second);
    return question.key();
  };
  const TokenCache one(1024, 1);
  const TokenCache other(1024, 2);
  EXPECT_EQ(key_of(one, "ab", "c"), key_of(one, "a", "bc"));
  EXPECT_NE(key_of(one, "ab", "c"), key_of(one, "ab", "d"));
  EXPECT_NE(key_of(one, "ab", "c"), key_of(other, "ab", "c"));
}

}  // namespace
}  // namespace kvasir
