// Starts a worker with launch lines as the guides of llm-d, KServe, production-stack and vLLM have
// them (launch_lines.json), and with what vLLM would refuse.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "plain_client.h"
#include "recorded.h"
#include "serving_process.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

int status_of(uint16_t port, const std::string& target) {
  return plain_request(port, "GET " + target + " HTTP/1.1\r\nhost: a\r\n\r\n").status;
}

OrderedJson json_of(uint16_t port, const std::string& target) {
  const PlainAnswer answer =
      plain_request(port, "GET " + target +
                              " HTTP/1.1\r\nhost: a\r\nauthorization: Bearer "
                              "token-abc123\r\n\r\n");
  return OrderedJson::parse(answer.body, nullptr, false);
}

TEST(VllmLaunch, EachLineOfTheGuidesStartsTheWorker) {
  const OrderedJson lines = load_recorded("launch_lines.json");
  EXPECT_GE(lines.size(), 25u);
  for (const OrderedJson& line : lines) {
    SCOPED_TRACE(line["from"].get<std::string>());
    auto arguments = line["arguments"].get<std::vector<std::string>>();
    const bool events = std::count(arguments.begin(), arguments.end(), "--kv-events-config") > 0;
    // Whoever else is on this machine may have the port of the line.
    if (events) arguments.push_back("--kv-events-config.endpoint=tcp://*:*");
    ServingProcess worker("worker", arguments);
    EXPECT_EQ(status_of(worker.port(), "/health"), 200);
    const OrderedJson models = json_of(worker.port(), "/v1/models");
    EXPECT_TRUE(models.is_object() && !models["data"].empty()) << models.dump();
    EXPECT_EQ(worker.terminate(), 0);
  }
}

TEST(VllmLaunch, ModelNamesAndAdaptersAreServed) {
  ServingProcess worker("worker", {"serve", "org/model", "--served-model-name", "a", "b",
                                   "--enable-lora", "--lora-modules", "tuned=/adapters/tuned"});
  std::vector<std::string> names;
  const OrderedJson models = json_of(worker.port(), "/v1/models");
  for (const OrderedJson& model : models["data"]) names.push_back(model["id"]);
  EXPECT_EQ(names, (std::vector<std::string>{"a", "b", "tuned"}));
  EXPECT_EQ(models["data"][0]["root"], "org/model");
  EXPECT_EQ(models["data"][2]["root"], "/adapters/tuned");
  EXPECT_EQ(models["data"][2]["parent"], "a");
}

TEST(VllmLaunch, AFileOfFlagsIsReadAndTheCommandLineWins) {
  const std::string file = ::testing::TempDir() + "vllm_flags.yaml";
  std::ofstream(file) << "# as vLLM's guide has it\n"
                         "model: org/model\n"
                         "served_model_name: [first, second]\n"
                         "max-model-len: 8k\n"
                         "enforce-eager: true\n"
                         "enable-prefix-caching: false\n"
                         "compilation-config:\n"
                         "  pass_config: {fuse_allreduce_rms: true}\n";
  ServingProcess worker("worker", {"--config", file, "--max-model-len", "4096"});
  const OrderedJson models = json_of(worker.port(), "/v1/models");
  EXPECT_EQ(models["data"][0]["id"], "first");
  EXPECT_EQ(models["data"][1]["id"], "second");
  EXPECT_EQ(models["data"][0]["max_model_len"], 4096);
  std::filesystem::remove(file);
}

TEST(VllmLaunch, WhatIsRefusedIsNamed) {
  struct Case {
    std::vector<std::string> arguments;
    std::string told;
  };
  const std::vector<Case> cases = {
      {{"m", "--max-model-length", "5"}, "did you mean --max-model-len?"},
      {{"m", "--tensor-paralell-size", "5"}, "did you mean --tensor-parallel-size?"},
      {{"m", "--max-num", "5"}, "--max-num: may be"},
      {{"m", "n"}, "'n': one model is served"},
      {{"m", "--dtype"}, "--dtype: a value is missing"},
      {{"m", "--max-model-len", "many"}, "--max-model-len: 'many'"},
      {{"m", "--kv-transfer-config", "{\"kv_role\":"}, "--kv-transfer-config: not valid JSON"},
      {{"m", "--ssl-keyfile", "/k", "--ssl-certfile", "/c"}, "--ssl-keyfile: the simulated worker"},
      {{"m", "--enable-auto-tool-choice"},
       "--enable-auto-tool-choice: it needs --tool-call-parser"},
      {{"m", "--lora-modules", "nameless"}, "--lora-modules: 'nameless'"},
      {{"m", "--config", "/no/such/file.yaml"}, "/no/such/file.yaml"},
      {{"m", "-x"}, "-x: neither vLLM nor this worker has that flag"},
  };
  for (const Case& refused : cases) {
    const WorkerRun run = run_worker_command(refused.arguments);
    EXPECT_EQ(run.status, 2) << run.output;
    EXPECT_THAT(run.output, HasSubstr(refused.told));
  }
}

TEST(VllmLaunch, HelpIsShown) {
  const WorkerRun run = run_worker_command({"--help"});
  EXPECT_EQ(run.status, 0);
  EXPECT_THAT(run.output, HasSubstr("--max-num-seqs"));
  EXPECT_THAT(run.output, HasSubstr("kvasir worker vllm serve"));
}

}  // namespace
}  // namespace kvasir
