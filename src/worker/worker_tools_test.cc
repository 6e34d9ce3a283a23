// Answers that call tools, and answers whose text has to fit something.
#include <gmock/gmock.h>

#include <set>

#include "worker/worker_fixture.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

constexpr const char* kWeather =
    R"({"type":"function","function":{"name":"get_weather","description":"of a city","parameters":
    {"type":"object","properties":{"city":{"type":"string","enum":["Bonn","Oslo"]},
    "days":{"type":"integer","minimum":1,"maximum":7}},"required":["city","days"],
    "additionalProperties":false}}})";
constexpr const char* kTime = R"({"type":"function","function":{"name":"get_time"}})";

class WorkerToolsTest : public WorkerFixture {
 protected:
  WorkerToolsTest() {
    WorkerOptions options = default_options();
    options.tools = {true, true};
    start_worker(std::move(options));
  }

  static std::string request(const std::string& more,
                             const std::string& content = "How warm is it?",
                             const std::string& tools = kWeather) {
    return R"({"messages":[{"role":"user","content":")" + content + R"("}],"tools":[)" + tools +
           "]" + more + "}";
  }

  // Whether the arguments are those of get_weather.
  static void expect_weather(const std::string& arguments) {
    const Json json = Json::parse(arguments, nullptr, false);
    ASSERT_TRUE(json.is_object()) << arguments;
    EXPECT_EQ(json.size(), 2u) << arguments;
    EXPECT_TRUE(json["city"] == "Bonn" || json["city"] == "Oslo") << arguments;
    ASSERT_TRUE(json["days"].is_number_integer()) << arguments;
    EXPECT_TRUE(json["days"] >= 1 && json["days"] <= 7) << arguments;
  }

  // The calls that the events of a stream tell of, put together.
  static std::vector<Json> assembled(const std::vector<Json>& events) {
    std::vector<Json> calls;
    for (const Json& event : events) {
      if (event["choices"].empty() || !event["choices"][0]["delta"].contains("tool_calls"))
        continue;
      for (const Json& delta : event["choices"][0]["delta"]["tool_calls"]) {
        const size_t index = delta["index"];
        if (index == calls.size()) {
          calls.push_back(delta);
          calls.back().erase("index");
          continue;
        }
        EXPECT_FALSE(delta.contains("id")) << delta;
        std::string arguments = calls[index]["function"]["arguments"];
        calls[index]["function"]["arguments"] =
            arguments + delta["function"]["arguments"].get<std::string>();
      }
    }
    return calls;
  }
};

TEST_F(WorkerToolsTest, AnAnswerToAUserCallsATool) {
  const Json answer = chat(request(""));
  const Json& choice = answer["choices"][0];
  EXPECT_EQ(choice["finish_reason"], "tool_calls");
  EXPECT_TRUE(choice["stop_reason"].is_null());
  EXPECT_TRUE(choice["message"]["content"].is_null());
  ASSERT_EQ(choice["message"]["tool_calls"].size(), 1u) << answer;
  const Json& call = choice["message"]["tool_calls"][0];
  EXPECT_EQ(call["type"], "function");
  EXPECT_THAT(call["id"].get<std::string>(), ::testing::StartsWith("chatcmpl-tool-"));
  EXPECT_EQ(call["function"]["name"], "get_weather");
  expect_weather(call["function"]["arguments"]);
}

TEST_F(WorkerToolsTest, AnAnswerToAToolsResultIsText) {
  const std::string conversation =
      R"({"messages":[{"role":"user","content":"How warm is it?"},
      {"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":
      {"name":"get_weather","arguments":"{}"}}]},{"role":"tool","tool_call_id":"a","content":"4"}],
      "max_tokens":5,"tools":[)";
  const Json answer = chat(conversation + kWeather + "]}");
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_FALSE(answer["choices"][0]["message"].contains("tool_calls"));
  EXPECT_EQ(answer["choices"][0]["message"]["content"].get<std::string>().size(), 20u);
}

TEST_F(WorkerToolsTest, ToolChoiceDecides) {
  const Json none = chat(request(R"(,"tool_choice":"none","max_tokens":4)"));
  EXPECT_FALSE(none["choices"][0]["message"].contains("tool_calls"));
  const Json required = chat(request(R"(,"tool_choice":"required")"));
  EXPECT_EQ(required["choices"][0]["finish_reason"], "tool_calls");
  EXPECT_EQ(required["choices"][0]["message"]["content"], "");
  EXPECT_EQ(required["choices"][0]["message"]["tool_calls"].size(), 1u);
  const std::string both = std::string(kWeather) + "," + kTime;
  const Json named =
      chat(request(R"(,"tool_choice":{"type":"function","function":{"name":"get_time"}})",
                   "How warm is it?", both));
  EXPECT_EQ(named["choices"][0]["finish_reason"], "stop");
  EXPECT_EQ(named["choices"][0]["message"]["tool_calls"][0]["function"]["name"], "get_time");
  EXPECT_EQ(named["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
}

TEST_F(WorkerToolsTest, WhichToolIsCalledDependsOnTheConversation) {
  const std::string both = std::string(kWeather) + "," + kTime;
  std::set<std::string> names;
  for (int i = 0; i < 12; ++i) {
    const Json answer = chat(request("", "Question " + std::to_string(i), both));
    names.insert(answer["choices"][0]["message"]["tool_calls"][0]["function"]["name"]);
  }
  EXPECT_EQ(names.size(), 2u);
}

TEST_F(WorkerToolsTest, ParallelCallsComeWhenAskedFor) {
  const std::string both = std::string(kWeather) + "," + kTime;
  for (const char* parallel : {"", R"(,"parallel_tool_calls":false)"}) {
    const Json answer = chat(request(parallel, "Hello", both));
    EXPECT_EQ(answer["choices"][0]["message"]["tool_calls"].size(), 1u);
  }
  const Json two = chat(request(R"(,"parallel_tool_calls":true)", "Hello", both));
  const Json& calls = two["choices"][0]["message"]["tool_calls"];
  ASSERT_EQ(calls.size(), 2u);
  EXPECT_NE(calls[0]["function"]["name"], calls[1]["function"]["name"]);
  EXPECT_NE(calls[0]["id"], calls[1]["id"]);
}

TEST_F(WorkerToolsTest, AStreamHasTheSameCallsInPieces) {
  const std::string both = std::string(kWeather) + "," + kTime;
  for (const char* more : {"", R"(,"parallel_tool_calls":true)", R"(,"tool_choice":"required")"}) {
    const Json whole = chat(request(more, "Hello", both));
    const auto events =
        post(
            "/v1/chat/completions",
            request(std::string(R"(,"stream":true,"stream_options":{"include_usage":true})") + more,
                    "Hello", both))
            .events();
    const std::vector<Json> calls = assembled(events);
    EXPECT_EQ(Json(calls), whole["choices"][0]["message"]["tool_calls"]);
    EXPECT_EQ(events.front()["choices"][0]["delta"]["role"], "assistant");
    const Json& last = events[events.size() - 2]["choices"][0];
    EXPECT_EQ(last["finish_reason"], "tool_calls");
    EXPECT_EQ(events.back()["usage"]["total_tokens"], whole["usage"]["total_tokens"]);
    for (size_t i = 1; i + 1 < events.size(); ++i) {
      EXPECT_FALSE(events[i]["choices"][0]["delta"].contains("content")) << events[i];
    }
  }
}

TEST_F(WorkerToolsTest, UsageCountsWhatTheModelWrote) {
  const Json answer = chat(request(R"(,"return_token_ids":true)"));
  const size_t tokens = answer["choices"][0]["token_ids"].size();
  EXPECT_EQ(answer["usage"]["completion_tokens"], tokens);
  const Json& call = answer["choices"][0]["message"]["tool_calls"][0]["function"];
  const std::string written = "<tool_call>{\"name\": \"get_weather\", \"arguments\": " +
                              call["arguments"].get<std::string>() + "}</tool_call>";
  EXPECT_EQ(tokens, encode(written).size() + 1);  // and the end of sequence
}

TEST_F(WorkerToolsTest, ACallThatIsCutOffSaysSo) {
  const Json answer = chat(request(R"(,"max_tokens":64)"));
  EXPECT_EQ(answer["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(answer["usage"]["completion_tokens"], 64);
  const Json early = chat(request(R"(,"max_tokens":3)"));
  EXPECT_EQ(early["choices"][0]["finish_reason"], "length");
  EXPECT_FALSE(early["choices"][0]["message"].contains("tool_calls"));
}

TEST_F(WorkerToolsTest, ToolsCountInThePromptAndAreCached) {
  const Json without = chat(R"({"messages":[{"role":"user","content":"Hi"}],"max_tokens":1})");
  const Json with = chat(request(R"(,"max_tokens":1)", "Hi"));
  EXPECT_GT(with["usage"]["prompt_tokens"], without["usage"]["prompt_tokens"].get<int>() + 100);
  const Json again = chat(request(R"(,"max_tokens":1)", "Other words"));
  EXPECT_GT(again["usage"]["prompt_tokens_details"]["cached_tokens"], 100);
}

// The next turn finds the call that the model wrote in its cache.
TEST_F(WorkerToolsTest, ACallIsCachedAsItIsShownInTheNextTurn) {
  const Json first = chat(request("", "Hi"));
  const std::string arguments =
      first["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"];
  Json call = first["choices"][0]["message"]["tool_calls"][0];
  Json next = Json::parse(request(R"(,"max_tokens":1)", "Hi"));
  next["messages"].push_back(
      {{"role", "assistant"}, {"content", nullptr}, {"tool_calls", Json::array({call})}});
  next["messages"].push_back({{"role", "tool"}, {"content", "4"}});
  const Json second = chat(next.dump());
  const int prompt = first["usage"]["prompt_tokens"];
  const int made = first["usage"]["completion_tokens"];
  const int cached = second["usage"]["prompt_tokens_details"]["cached_tokens"];
  EXPECT_GE(cached, prompt + made - 2 * 16) << second["usage"];
}

TEST_F(WorkerToolsTest, SchemasThatCannotBeUsedAreRefusedWhereACallIsForced) {
  const std::string bad =
      R"({"type":"function","function":{"name":"f","parameters":{"type":"integer","minimum":5,"maximum":3}}})";
  const Json forced = chat(request(R"(,"tool_choice":"required")", "Hi", bad));
  EXPECT_EQ(forced["error"]["code"], 400);
  EXPECT_THAT(forced["error"]["message"].get<std::string>(), HasSubstr("tool \"f\""));
  const Json automatic = chat(request("", "Hi", bad));
  EXPECT_EQ(automatic["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"], "{}");
}

TEST_F(WorkerToolsTest, ParametersMustBeAnObject) {
  const std::string bad = R"({"type":"function","function":{"name":"f","parameters":"x"}})";
  const Json refused = chat(request("", "Hi", bad));
  EXPECT_EQ(refused["error"]["code"], 400);
  EXPECT_EQ(refused["error"]["param"], "body.tools.0.function.parameters");
}

TEST_F(WorkerToolsTest, WithoutItsFlagsAServerRefusesTools) {
  WorkerOptions options = default_options();
  options.tools = {true, false};
  start_worker(std::move(options));
  EXPECT_EQ(post("/v1/chat/completions", request("")).status, 400);
  EXPECT_EQ(post("/v1/chat/completions", request(R"(,"tool_choice":"required")")).status, 200);
}

// --- Texts that have to fit
// -----------------------------------------------------------------------------------

constexpr const char* kPerson =
    R"({"type":"object","properties":{"name":{"type":"string","minLength":3},
    "age":{"type":"integer","minimum":18,"maximum":99},"tags":{"type":"array","items":
    {"type":"string"},"minItems":2,"maxItems":2}},"required":["name","age","tags"],
    "additionalProperties":false})";

void expect_person(const std::string& text) {
  const auto json = nlohmann::ordered_json::parse(text, nullptr, false);
  ASSERT_TRUE(json.is_object()) << text;
  EXPECT_EQ(json.size(), 3u) << text;
  EXPECT_GE(json["name"].get<std::string>().size(), 3u);
  EXPECT_TRUE(json["age"].is_number_integer() && json["age"] >= 18 && json["age"] <= 99) << text;
  EXPECT_TRUE(json["tags"].size() == 2 && json["tags"][0].is_string()) << text;
}

TEST_F(WorkerToolsTest, AJsonSchemaIsObeyedHoweverItIsAskedFor) {
  const std::string schema = kPerson;
  const std::string quoted = Json(schema).dump();
  for (const std::string& fields :
       {R"("response_format":{"type":"json_schema","json_schema":{"name":"p","schema":)" + schema +
            "}}",
        R"("structured_outputs":{"json":)" + schema + "}",
        R"("structured_outputs":{"json":)" + quoted + "}", R"("guided_json":)" + schema,
        R"("guided_json":)" + quoted}) {
    const Json chatted = chat(R"({"messages":[{"role":"user","content":"Who?"}],)" + fields + "}");
    expect_person(chatted["choices"][0]["message"]["content"]);
    EXPECT_EQ(chatted["choices"][0]["finish_reason"], "stop") << fields;
    const Json completed = complete(R"({"prompt":"Who?","max_tokens":500,)" + fields + "}");
    expect_person(completed["choices"][0]["text"]);
    EXPECT_EQ(completed["choices"][0]["finish_reason"], "stop") << fields;
    const std::string text = completed["choices"][0]["text"];
    EXPECT_EQ(completed["usage"]["completion_tokens"], encode(text).size() + 1);
  }
}

TEST_F(WorkerToolsTest, AnyJsonObjectRegexAndChoiceAreObeyed) {
  const Json object = chat(
      R"({"messages":[{"role":"user","content":"Hi"}],"response_format":{"type":"json_object"}})");
  EXPECT_TRUE(
      Json::parse(object["choices"][0]["message"]["content"].get<std::string>()).is_object());
  const Json regex = complete(
      R"({"prompt":"Hi","structured_outputs":{"regex":"[a-c]{3}-\\d{2}"},"max_tokens":50})");
  const std::string text = regex["choices"][0]["text"];
  EXPECT_THAT(text, ::testing::MatchesRegex("[abc][abc][abc]-[0-9][0-9]"));
  for (const char* field : {"structured_outputs\":{\"choice\":", "guided_choice\":"}) {
    const bool nested = std::string(field).find('{') != std::string::npos;
    const Json choice = complete(R"({"prompt":"Hi","max_tokens":50,")" + std::string(field) +
                                 R"(["yes","n\u00f6"])" + (nested ? "}}" : "}"));
    const std::string chosen = choice["choices"][0]["text"];
    EXPECT_TRUE(chosen == "yes" || chosen == "n\xc3\xb6") << choice;
  }
}

TEST_F(WorkerToolsTest, ChoicesOfOneRequestDifferAndWorkersAgree) {
  const std::string asked =
      R"({"prompt":"Who?","max_tokens":500,"n":20,"structured_outputs":{"json":)" +
      std::string(kPerson) + "}}";
  const Json answer = complete(asked);
  std::set<std::string> texts;
  for (const Json& choice : answer["choices"]) texts.insert(choice["text"].get<std::string>());
  EXPECT_GT(texts.size(), 5u);
  for (const std::string& text : texts) expect_person(text);
  WorkerOptions options = default_options();
  start_worker(std::move(options));
  EXPECT_EQ(complete(asked)["choices"], answer["choices"]);
}

TEST_F(WorkerToolsTest, ALimitCutsAndEndsAreWaitedForWithoutText) {
  const std::string format = R"("structured_outputs":{"json":)" + std::string(kPerson) + "}";
  const Json cut = complete(R"({"prompt":"Who?","max_tokens":10,)" + format + "}");
  EXPECT_EQ(cut["choices"][0]["finish_reason"], "length");
  EXPECT_EQ(cut["usage"]["completion_tokens"], 10);
  const Json longer =
      complete(R"({"prompt":"Who?","max_tokens":400,"ignore_eos":true,)" + format + "}");
  EXPECT_EQ(longer["usage"]["completion_tokens"], 400);
  expect_person(longer["choices"][0]["text"]);
}

TEST_F(WorkerToolsTest, AStreamedTextIsNeverCutInsideACharacter) {
  const auto events = post("/v1/completions",
                           R"({"prompt":"Hi","max_tokens":50,"stream":true,"structured_outputs":
                           {"choice":["\u00f6\u20ac\ud83d\ude00"]}})")
                          .events();
  std::string text;
  for (const Json& event : events) text += event["choices"][0]["text"].get<std::string>();
  EXPECT_EQ(text, "\xc3\xb6\xe2\x82\xac\xf0\x9f\x98\x80");
}

TEST_F(WorkerToolsTest, SchemasThatCannotBeUsedAreRefused) {
  for (const char* schema :
       {R"({"type":"bogus"})", R"({"$ref":"#/nowhere"})", "false", R"({"minItems":"x"})",
        R"({"type":"string","pattern":"("})", R"({"type":"array","minItems":1000000})",
        R"({"type":"object","required":["a"],"properties":{"a":{"$ref":"#"}}})"}) {
    const std::string body =
        R"({"prompt":"Who?","structured_outputs":{"json":)" + std::string(schema) + "}";
    const Json refused = complete(body + "}");
    EXPECT_EQ(refused["error"]["code"], 400) << schema << refused;
    EXPECT_EQ(refused["error"]["type"], "BadRequestError") << schema;
    const Call& streamed = post("/v1/completions", body + R"(,"stream":true})");
    EXPECT_EQ(streamed.status, 200);
    EXPECT_THAT(streamed.body, HasSubstr("\"code\": 400"));
  }
}

// However it is asked for, and in the same words.
TEST_F(WorkerToolsTest, WhatNoAnswerCanMatchIsRefusedForGuidedFieldsToo) {
  const std::vector<std::pair<std::string, std::string>> impossible = {
      {"regex", R"x("(")x"},
      {"regex", R"x("[a")x"},
      {"regex", R"x("a)")x"},
      {"regex", R"x("*")x"},
      {"regex", R"x("\\")x"},
      {"regex", "5"},
      {"regex", R"x("a**")x"},
      {"regex", R"x("(?=a)")x"},
      {"regex", R"x("(?i)abc")x"},
      {"regex", R"x("\\bw")x"},
      {"choice", "[]"},
      {"choice", R"x("yes")x"},
      {"choice", "[5]"},
      {"json", R"x("word")x"},
      {"json", "5"},
      {"json", R"x(["a"])x"},
      {"json", R"x({"type":"bogus"})x"}};
  for (const auto& [kind, value] : impossible) {
    const std::string structured = R"("structured_outputs":{")" + kind + "\":" + value + "}";
    const std::string guided = R"("guided_)" + kind + "\":" + value;
    const std::string completion = R"({"prompt":"Hi",)";
    const Json now = complete(completion + structured + "}");
    const Json before = complete(completion + guided + "}");
    EXPECT_EQ(before["error"]["code"], 400) << guided << before;
    EXPECT_EQ(before, now) << guided;
    const std::string chat_request = R"({"messages":[{"role":"user","content":"Hi"}],)";
    EXPECT_EQ(chat(chat_request + guided + "}"), chat(chat_request + structured + "}")) << guided;
  }
  for (const char* field : {R"("guided_grammar":"(")", R"("structured_outputs":{"grammar":"("})",
                            R"("guided_regex":null)", R"("guided_json":{})"}) {
    const Json taken = complete(R"({"prompt":"Hi","max_tokens":3,)" + std::string(field) + "}");
    EXPECT_TRUE(taken.contains("choices")) << field << taken;
  }
}

}  // namespace
}  // namespace kvasir
