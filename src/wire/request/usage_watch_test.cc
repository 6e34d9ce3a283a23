#include "wire/request/usage_watch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace kvasir {
namespace {

using Count = std::optional<uint32_t>;

struct Answer {
  const char* what;
  std::string text;
  Count prompt, completion, cached;
};

// As vLLM 0.32 and SGLang write them.
const std::vector<Answer>& answers() {
  static const std::vector<Answer> kAnswers = {
      {"completion",
       R"({"id":"cmpl-1","object":"text_completion","choices":[{"index":0,"text":" a","finish_reason":"length"}],)"
       R"("usage":{"prompt_tokens":1234,"total_tokens":1236,"completion_tokens":2,"prompt_tokens_details":)"
       R"({"cached_tokens":1024}},"kv_transfer_params":null})",
       1234, 2, 1024},
      {"completion without details",
       R"({"choices":[],"usage":{"prompt_tokens":7,"total_tokens":9,"completion_tokens":2,"prompt_tokens_details":null}})",
       7,
       2,
       {}},
      {"stream of a chat, usage at its end",
       "data: "
       "{\"choices\":[{\"delta\":{\"content\":\"\\\"usage\\\":{\\\"prompt_tokens\\\":5}\"}}],"
       "\"usage\":null}\n\n"
       "data: "
       "{\"choices\":[],\"usage\":{\"prompt_tokens\":55,\"total_tokens\":65,\"completion_tokens\":"
       "10}}\n\n"
       "data: [DONE]\n\n",
       55,
       10,
       {}},
      {"stream of a chat, usage in each event",
       "data: "
       "{\"choices\":[{}],\"usage\":{\"prompt_tokens\":55,\"total_tokens\":55,\"completion_"
       "tokens\":0}}\n\n"
       "data: "
       "{\"choices\":[{}],\"usage\":{\"prompt_tokens\":55,\"total_tokens\":56,\"completion_"
       "tokens\":1}}\n\n"
       "data: "
       "{\"choices\":[{}],\"usage\":{\"prompt_tokens\":55,\"total_tokens\":57,\"completion_"
       "tokens\":2}}\n\n"
       "data: [DONE]\n\n",
       55,
       2,
       {}},
      {"embedding",
       R"({"object":"list","data":[{"embedding":[0.1,-2e-3]}],"usage":{"prompt_tokens":4,"total_tokens":4,)"
       R"("completion_tokens":0,"prompt_tokens_details":null}})",
       4,
       0,
       {}},
      {"response",
       R"({"id":"resp_1","output":[{"content":[{"text":"x","type":"output_text"}]}],"usage":{"input_tokens":31,)"
       R"("input_tokens_details":{"cached_tokens":16,"input_tokens_per_turn":[31],"cached_tokens_per_turn":[16]},)"
       R"("output_tokens":12,"output_tokens_details":{"reasoning_tokens":3},"total_tokens":43},"user":null})",
       31, 12, 16},
      {"stream of a response",
       "event: response.created\ndata: "
       "{\"response\":{\"usage\":null},\"type\":\"response.created\"}\n\n"
       "event: response.output_text.delta\ndata: "
       "{\"delta\":\"usage\",\"type\":\"response.output_text.delta\"}\n\n"
       "event: response.completed\ndata: "
       "{\"response\":{\"usage\":{\"input_tokens\":31,\"input_tokens_details\":"
       "{\"cached_tokens\":0},\"output_tokens\":12,\"total_tokens\":43}},\"type\":\"response."
       "completed\"}\n\n",
       31, 12, 0},
      {"message",
       R"({"id":"msg_1","type":"message","role":"assistant","content":[{"type":"text","text":"hi"}],"usage":)"
       R"({"input_tokens":100,"output_tokens":20,"cache_creation_input_tokens":null,"cache_read_input_tokens":80}})",
       180, 20, 80},
      {"message, of which a part was written to the cache",
       R"({"type":"message","usage":{"input_tokens":50,"cache_creation_input_tokens":120,)"
       R"("cache_read_input_tokens":2400,"output_tokens":7}})",
       2570, 7, 2400},
      {"stream of a message whose beginning does not know the cache yet",
       "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"usage\":"
       "{\"input_tokens\":2010,\"output_tokens\":0}}}\n\n"
       "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"input_tokens\":10,"
       "\"output_tokens\":15,\"cache_read_input_tokens\":2000,"
       "\"cache_creation_input_tokens\":0}}\n\n",
       2010, 15, 2000},
      {"prompt_tokens are all of it, whatever else is told of the cache",
       R"({"usage":{"prompt_tokens":2010,"completion_tokens":3,"cache_creation_input_tokens":0,)"
       R"("cache_read_input_tokens":2000,"prompt_tokens_details":{"cached_tokens":2000}}})",
       2010, 3, 2000},
      {"stream of a message",
       "event: message_start\ndata: "
       "{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":25,"
       "\"output_tokens\":0,\"cache_read_input_tokens\":8}}}\n\n"
       "event: content_block_delta\ndata: "
       "{\"type\":\"content_block_delta\",\"delta\":{\"type\":\"text_delta\","
       "\"text\":\"\\\"input_tokens\\\":9\"}}\n\n"
       "event: message_delta\ndata: "
       "{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},"
       "\"usage\":{\"output_tokens\":15}}\n\nevent: message_stop\ndata: "
       "{\"type\":\"message_stop\"}\n\n",
       33, 15, 8},
      {"generate",
       R"({"text":" Paris","output_ids":[12095],"meta_info":{"id":"a","finish_reason":{"type":"length","length":1},)"
       R"("prompt_tokens":6,"weight_version":"default","completion_tokens":1,"cached_tokens":5,"e2e_latency":0.02}})",
       6, 1, 5},
      {"stream of generate",
       "data: "
       "{\"text\":\"a\",\"meta_info\":{\"finish_reason\":null,\"prompt_tokens\":6,\"completion_"
       "tokens\":1,"
       "\"input_token_logprobs\":[[-1.5,7,null],[-0.25,9,\"}\"]],\"cached_tokens\":0}}\n\n"
       "data: "
       "{\"text\":\"ab\",\"meta_info\":{\"finish_reason\":{\"type\":\"stop\"},\"prompt_tokens\":6,"
       "\"completion_tokens\":2,\"cached_tokens\":0}}\n\ndata: [DONE]\n\n",
       6, 2, 0},
      {"pretty printed",
       "{\n  \"usage\" : {\n    \"prompt_tokens\" : 12 ,\n    \"completion_tokens\"\n:\t3\n  "
       "}\n}\n",
       12,
       3,
       {}},
      {"texts and keys that only look like it",
       R"({"choices":[{"message":{"content":"\"usage\":{\"prompt_tokens\":1}","name":"usage","x":"\\\"usage",)"
       R"("y":"usage"}}],"metadata":{"prompt_tokens":2,"input_tokens":3},"tools":[{"prompt_tokens":{"type":"integer"}}],)"
       R"("usage":{"prompt_tokens":44,"note":"\"prompt_tokens\":5,","deep":{"er":{"cached_tokens":6},"prompt_tokens":7},)"
       R"("completion_tokens":8}})",
       44,
       8,
       {}},
      {"counts that are none",
       R"({"usage":{"prompt_tokens":5,"prompt_tokens":-4,"prompt_tokens":4.5,"prompt_tokens":4e1,"prompt_tokens":null,)"
       R"("prompt_tokens":"6","prompt_tokens":[7],"prompt_tokens":4294967296,"prompt_tokens":99999999999999999999999,)"
       R"("completion_tokens":4294967295,"a_key_that_is_much_longer_than_all_that_count":1,"":2}})",
       5,
       4294967295,
       {}},
      {"null", R"({"choices":[],"usage":null,"meta_info":[1,{"prompt_tokens":3}]})", {}, {}, {}},
      {"cut off, then another event",
       "data: {\"usage\":{\"prompt_tokens\":1,\"completion_\ndata: "
       "{\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":3}}",
       2,
       3,
       {}},
      {"empty", "", {}, {}, {}},
  };
  return kAnswers;
}

void expect_counts(const UsageWatch& watch, const Answer& answer, const std::string& cuts) {
  EXPECT_EQ(watch.prompt_tokens(), answer.prompt) << answer.what << cuts;
  EXPECT_EQ(watch.completion_tokens(), answer.completion) << answer.what << cuts;
  EXPECT_EQ(watch.cached_tokens(), answer.cached) << answer.what << cuts;
}

TEST(UsageWatch, CountsTheUsageOfEveryApi) {
  for (const Answer& answer : answers()) {
    UsageWatch watch;
    watch.look(answer.text);
    expect_counts(watch, answer, "");
  }
}

TEST(UsageWatch, ItDoesNotMatterWhereAnAnswerIsCut) {
  for (const Answer& answer : answers()) {
    const std::string_view text = answer.text;
    for (size_t cut = 0; cut <= text.size(); ++cut) {
      UsageWatch watch;
      watch.look(text.substr(0, cut));
      watch.look(text.substr(cut));
      expect_counts(watch, answer, " cut at " + std::to_string(cut));
    }
    UsageWatch byte_by_byte;
    for (size_t i = 0; i < text.size(); ++i) byte_by_byte.look(text.substr(i, 1));
    expect_counts(byte_by_byte, answer, " byte by byte");
  }
}

TEST(UsageWatch, AnyPiecesGiveTheSame) {
  Random random(7);
  for (const Answer& answer : answers()) {
    for (int round = 0; round < 300; ++round) {
      UsageWatch watch;
      std::string_view rest = answer.text;
      std::string cuts = " pieces of";
      while (!rest.empty()) {
        const size_t piece = std::min<size_t>(rest.size(), 1 + random.below(40));
        watch.look(rest.substr(0, piece));
        rest.remove_prefix(piece);
        cuts += " " + std::to_string(piece);
      }
      expect_counts(watch, answer, cuts);
    }
  }
}

TEST(UsageWatch, ANumberCountsWhenItsEndIsSeen) {
  UsageWatch watch;
  watch.look("data: {\"usage\":{\"prompt_tokens\":12");
  EXPECT_FALSE(watch.prompt_tokens());
  watch.look("34,\"completion_tokens\":5");
  EXPECT_EQ(watch.prompt_tokens(), 1234u);
  EXPECT_FALSE(watch.completion_tokens());
  watch.look("}");
  EXPECT_EQ(watch.completion_tokens(), 5u);
}

}  // namespace
}  // namespace kvasir
