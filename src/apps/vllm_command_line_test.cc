#include "apps/vllm_command_line.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "apps/vllm_flag_search.h"
#include "apps/vllm_flag_table.h"
#include "apps/vllm_flag_values.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

Words honoured(const Words& arguments) {
  const Result<VllmCommandLine> line = read_vllm_command_line(arguments);
  EXPECT_TRUE(line) << (line ? "" : line.error().message);
  return line ? line->arguments : Words();
}

Words without_effect(const Words& arguments) {
  const Result<VllmCommandLine> line = read_vllm_command_line(arguments);
  EXPECT_TRUE(line) << (line ? "" : line.error().message);
  return line ? line->without_effect : Words();
}

std::string refusal(const Words& arguments) {
  const Result<VllmCommandLine> line = read_vllm_command_line(arguments);
  EXPECT_FALSE(line);
  return line ? "" : line.error().message;
}

TEST(VllmFlags, EachNameIsThereOnceAndInOrder) {
  std::set<std::string_view> names;
  std::string_view last;
  for (const VllmFlag& flag : vllm_flags()) {
    EXPECT_TRUE(names.insert(flag.name).second) << flag.name;
    EXPECT_LT(last, flag.name);
    last = flag.name;
  }
  EXPECT_GT(names.size(), 350u);
}

TEST(VllmCommandLine, TheModelMayComeFirstLastOrByItsFlag) {
  for (const Words& arguments : {Words{"m", "--port", "1"}, Words{"serve", "m", "--port", "1"},
                                 Words{"vllm", "serve", "--port", "1", "m"},
                                 Words{"--model", "other", "m", "--port", "1"}}) {
    EXPECT_THAT(honoured(arguments), ElementsAre("--port", "1", "--model", "m"));
  }
  EXPECT_THAT(honoured({"python3", "-m", "vllm.entrypoints.openai.api_server", "--model=m"}),
              ElementsAre("--model", "m"));
}

TEST(VllmCommandLine, OneFlagHasManySpellings) {
  for (const Words& arguments :
       {Words{"--tensor-parallel-size", "2"}, Words{"--tensor_parallel_size=2"}, Words{"-tp", "2"},
        Words{"-tp=2"}, Words{"--tp", "2"}, Words{"--tensor-par", "2"}, Words{"-t", "2"},
        Words{"-tp", "4", "--tensor-parallel-size=2"}}) {
    EXPECT_THAT(honoured(arguments), ElementsAre("--tensor-parallel-size", "2")) << arguments[0];
  }
}

TEST(VllmCommandLine, SwitchesAreTurnedOffInEachOfTheirWays) {
  for (const char* off : {"--no-enable-prefix-caching", "--disable-prefix-caching",
                          "--enable-prefix-caching=False", "--no_enable_prefix_caching"}) {
    EXPECT_THAT(honoured({off}), ElementsAre("--enable-prefix-caching=false")) << off;
  }
  EXPECT_THAT(honoured({"--enable-prefix-caching", "m"}),
              ElementsAre("--enable-prefix-caching=true", "--model", "m"));
  EXPECT_THAT(honoured({"--enable-prefix-caching", "false", "m"}),
              ElementsAre("--enable-prefix-caching=false", "--model", "m"));
}

TEST(VllmCommandLine, CountsMayHaveSuffixes) {
  const std::pair<const char*, const char*> cases[] = {
      {"32768", "32768"}, {"32k", "32000"},  {"32K", "32768"}, {"25.6k", "25600"},
      {"1M", "1048576"},  {"1m", "1000000"}, {"auto", "auto"}, {"-1", "auto"}};
  for (const auto& [given, read] : cases) {
    EXPECT_THAT(honoured({"--max_model_len", given}), ElementsAre("--max-model-len", read));
  }
  for (const char* bad : {"", "k", "1.5", "1.5K", "0", "1e3", "99999999999T", "ten", "-2"}) {
    EXPECT_THAT(refusal({std::string("--max-model-len=") + bad}), HasSubstr("--max-model-len"))
        << bad;
  }
}

TEST(VllmCommandLine, ListsGoOnToTheNextFlag) {
  EXPECT_THAT(honoured({"--served-model-name", "a", "b", "--port=1"}),
              ElementsAre("--served-model-name", "a", "b", "--port", "1"));
  EXPECT_THAT(honoured({"--lora-modules", "a=/x", "{\"name\":\"b\",\"path\":\"/y\"}"}),
              ElementsAre("--lora-modules", "a=/x", "{\"name\":\"b\",\"path\":\"/y\"}"));
}

TEST(VllmCommandLine, AnObjectMayComeInPieces) {
  EXPECT_THAT(honoured({"--kv-events-config", R"({"topic": "a", "hwm": 5})",
                        "--kv-events-config.topic=b", "--kv_events_config.endpoint", "tcp://*:1",
                        "--kv-events-config.enable_kv_cache_events", "true"}),
              ElementsAre("--kv-events-config", R"({"topic":"b","hwm":5,"endpoint":"tcp://*:1",)"
                                                R"("enable_kv_cache_events":true})"));
  EXPECT_THAT(honoured({"--kv-transfer-config.kv_connector=NixlConnector",
                        "--kv_transfer_config.kv_role", "kv_both"}),
              ElementsAre("--kv-transfer-config",
                          R"({"kv_connector":"NixlConnector","kv_role":"kv_both"})"));
  EXPECT_THAT(refusal({"--kv-events-config.", "1"}), HasSubstr("a member without a name"));
  EXPECT_THAT(refusal({"--kv-events-config.topic"}), HasSubstr("a value is missing"));
  EXPECT_THAT(refusal({"--kv-events-config", "[]", "--kv-events-config.topic", "a"}),
              HasSubstr("not a JSON object"));
  EXPECT_THAT(refusal({"--port.x", "1"}), HasSubstr("--port takes no JSON"));
}

TEST(VllmCommandLine, WhatHasNoEffectIsNamedOnce) {
  EXPECT_THAT(without_effect({"m",
                              "-O3",
                              "-O",
                              "2",
                              "-O.level=1",
                              "-O.level",
                              "1",
                              "-cc.mode",
                              "3",
                              "--compilation-config.mode=3",
                              "--compilation_config",
                              "{\"mode\": 3}",
                              "-q",
                              "fp8",
                              "-qawq",
                              "--hf-token",
                              "--enforce-eager",
                              "--hf_token",
                              "x",
                              "--limit-mm-per-prompt",
                              "image=2",
                              "--no-enable-chunked-prefill",
                              "--speculative-config",
                              "{\"num_speculative_tokens\": 80m}"}),
              ElementsAre("--optimization-level", "--compilation-config", "--quantization",
                          "--hf-token", "--enforce-eager", "--limit-mm-per-prompt",
                          "--enable-chunked-prefill", "--speculative-config"));
  EXPECT_THAT(without_effect({"m", "--enable-chunked-prefill", "--port", "1"}), IsEmpty());
}

TEST(VllmCommandLine, RefusalsNameTheFlagAndWhatToDo) {
  const std::pair<Words, const char*> cases[] = {
      {{"--max-modle-len", "5"},
       "--max-modle-len: neither vLLM nor this worker has that flag; did "
       "you mean --max-model-len?"},
      {{"--frobnicate"}, "--frobnicate: neither vLLM nor this worker has that flag (kvasir"},
      {{"--"}, "--"},
      {{"--=x"}, "--"},
      {{"--max-num-"}, "may be --max-num-active-seqs"},
      {{"--port"}, "--port: a value is missing"},
      {{"--port", "--host", "x"}, "--port: a value is missing"},
      {{"--served-model-name"}, "--served-model-name: a value is missing"},
      {{"--kv-transfer-config.kv_role"}, "a value is missing"},
      {{"--port.x", "1"}, "--port.x: --port takes no JSON"},
      {{"--enforce-eager=maybe"}, "'maybe' is neither true nor false"},
      {{"--uds", "/run/x"}, "--uds: the simulated worker serves plain HTTP"},
      {{"--config", "a.yaml", "--config", "b.yaml"}, "--config: given twice"},
      {{"--config"}, "--config: a value is missing"},
      {{"--config", "/dev/zero"}, "only regular files are read"},
  };
  for (const auto& [arguments, told] : cases) EXPECT_THAT(refusal(arguments), HasSubstr(told));
}

class FlagFile : public ::testing::Test {
 protected:
  ~FlagFile() override { std::filesystem::remove(path_); }
  std::string write(const std::string& text) {
    std::ofstream(path_) << text;
    return path_;
  }
  const std::string path_ = ::testing::TempDir() + "kvasir_flags_" +
                            ::testing::UnitTest::GetInstance()->current_test_info()->name() +
                            ".yaml";
};

TEST_F(FlagFile, StandsForTheArgumentsItNames) {
  const std::string file = write(
      "port: 12323\nmodel: m\nserved-model-name: [a, b]\nenable_prefix_caching: false\n"
      "gpu-memory-utilization: 0.5\nmax-model-len: 4k\nspeculative-config: {method: ngram}\n"
      "download-dir: null\nallowed-local-media-path: ''\n");
  EXPECT_THAT(
      honoured({"--config", file, "--port", "1"}),
      ElementsAre("--model", "m", "--served-model-name", "a", "b", "--enable-prefix-caching=false",
                  "--gpu-memory-utilization", "0.5", "--max-model-len", "4000", "--port", "1"));
}

TEST_F(FlagFile, TheModelOfTheCommandLineWins) {
  EXPECT_THAT(honoured({"serve", "mine", "--config=" + write("model: theirs\n")}),
              ElementsAre("--model", "mine"));
}

TEST_F(FlagFile, ErrorsNameItAndTheFlag) {
  EXPECT_THAT(refusal({"--config", write("max-modle-len: 5\n")}),
              HasSubstr(path_ + ":1: --max-modle-len: neither"));
  EXPECT_THAT(refusal({"--config", write("- a\n")}), HasSubstr("not a map of flags and values"));
  EXPECT_THAT(refusal({"--config", write("a: [\n")}), HasSubstr(path_ + ":"));
  EXPECT_THAT(refusal({"--config", write("config: other.yaml\n")}),
              HasSubstr("cannot name another one"));
  EXPECT_THAT(honoured({"--config", write("# nothing\n"), "m"}), ElementsAre("--model", "m"));
}

TEST_F(FlagFile, AValueOfTheWrongKindIsAnErrorWithItsKeyAndLine) {
  const std::pair<const char*, const char*> cases[] = {
      {"max-num-seqs: [1, 2]", "--max-num-seqs: takes one value, not a list of 2"},
      {"port: [1, 2]", "--port: takes one value, not a list of 2"},
      {"model: [a, b]", "--model: takes one value, not a list of 2"},
      {"dtype: [a, b]", "--dtype: takes one value, not a list of 2"},
      {"enable-lora: [true, false]", "--enable-lora: takes one value, not a list of 2"},
      {"max-num-seqs: {a: 1}", "--max-num-seqs: takes a text or a number, not a map"},
      {"model: {name: m}", "--model: takes a text or a number, not a map"},
      {"model: [{name: m}]", "--model: takes a text or a number, not a map"},
      {"enable-lora: {a: 1}", "--enable-lora: takes true or false, not a map"},
      {"served-model-name: {a: 1}", "--served-model-name: takes texts or numbers, not a map"},
      {"served-model-name: [a, {b: 1}]", "--served-model-name: takes texts or numbers, not a map"},
      {"served-model-name: [a, [b]]", "--served-model-name: its list holds a list"},
      {"served-model-name: [a, null]", "--served-model-name: its list holds nothing"},
      {"model: true", "--model: takes a text or a number, not a boolean"},
      {"max-num-seqs: false", "--max-num-seqs: takes a text or a number, not a boolean"},
      {"enforce-eager: yes", "--enforce-eager: 'yes' is neither true nor false"},
      {"enforce-eager: 1", "--enforce-eager: '1' is neither true nor false"},
      {"model: --port", "--model: a value is missing"},
      {"max-modle-len: []", "did you mean --max-model-len?"},
      {"max_num_sqs: [1, 2]", "did you mean --max-num-seqs?"}};
  for (const auto& [line, told] : cases) {
    const std::string answer =
        refusal({"--config", write("host: 127.0.0.1\n" + std::string(line) + "\n")});
    EXPECT_THAT(answer, HasSubstr(path_ + ":2: ")) << line;
    EXPECT_THAT(answer, HasSubstr(told)) << line;
  }
}

TEST_F(FlagFile, AKeyWithoutAValueMustBeAFlagToo) {
  EXPECT_THAT(refusal({"--config", write("max-modle-len:\n")}),
              HasSubstr(path_ + ": --max-modle-len: neither"));
}

TEST_F(FlagFile, AListOfOneIsItsValueAndNothingIsNoFlag) {
  EXPECT_THAT(honoured({"--config", write("port: [1]\nmodel:\nhost: ~\nlora-modules: [{a: 1}]\n"
                                          "compilation-config.mode: 3\napi-key: []\n")}),
              ElementsAre("--port", "1", "--lora-modules", "{\"a\":1}"));
}

}  // namespace
}  // namespace kvasir
