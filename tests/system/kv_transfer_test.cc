// Two workers, one that prefills and one that decodes, driven by hand over HTTP: what the second
// answers is what one worker alone answers, whose blocks have bytes and whose seed is the same.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "leased_port.h"
#include "program.h"

namespace kvasir {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr int kTriesMost = 300;
constexpr Duration kPause = std::chrono::milliseconds(100);

struct Way {
  std::string name;
  std::string connector;
  std::string extra = {};  // members of kv_connector_extra_config, of both workers
  bool hands_over = true;  // the prefiller's answer says where the blocks are
};

class Worker {
 public:
  explicit Worker(std::vector<std::string> flags, const Way* way = nullptr,
                  const std::string& policy = "fail")
      : port_(leased_port()) {
    std::vector<std::string> arguments = {
        "worker",       "--host", "127.0.0.1", "--port", std::to_string(port_),
        "--time-scale", "100",    "--seed",    "11"};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    if (way != nullptr) {
      setenv("VLLM_NIXL_SIDE_CHANNEL_HOST", "127.0.0.1", 1);
      setenv("VLLM_NIXL_SIDE_CHANNEL_PORT", std::to_string(leased_port()).c_str(), 1);
      arguments.push_back("--kv-transfer-config");
      arguments.push_back(R"({"kv_connector":")" + way->connector +
                          R"(","kv_role":"kv_both","kv_load_failure_policy":")" + policy +
                          R"(","kv_connector_extra_config":{)" + way->extra + "}}");
    }
    program_ = std::make_unique<Program>(std::move(arguments));
  }

  bool serves() { return program_->comes_to_say("serving on"); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::string output() const { return program_->output(); }
  void kill() {
    program_->signal(SIGKILL);
    program_->wait();
  }

  std::string post(const std::string& path, const json& body) {
    const std::string text = body.dump();
    return ask(port_, "POST " + path +
                          " HTTP/1.1\r\nHost: w\r\nConnection: close\r\nContent-Type: "
                          "application/json\r\nContent-Length: " +
                          std::to_string(text.size()) + "\r\n\r\n" + text);
  }
  json answer(const std::string& path, const json& body) {
    const std::string answer = post(path, body);
    const size_t begin = answer.find("\r\n\r\n");
    return begin == std::string::npos ? json()
                                      : json::parse(answer.substr(begin + 4), nullptr, false);
  }
  double metric(const std::string& name) {
    const std::string page =
        ask(port_, "GET /metrics HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n");
    const size_t begin = page.find("\n" + name + "{");
    if (begin == std::string::npos) return -1;
    return std::stod(page.substr(page.find("} ", begin) + 2));
  }

 private:
  const uint16_t port_;
  std::unique_ptr<Program> program_;
};

bool comes(const std::function<bool()>& condition) {
  for (int i = 0; i < kTriesMost; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(kPause);
  }
  return false;
}

struct Request {
  std::string path;
  json body;
};

// Of all lengths, some with a beginning in common.
std::vector<Request> requests() {
  constexpr const char* kWords[] = {"river", "stone", "lamp", "north", "seven", "glass"};
  Random random(5);
  std::vector<Request> all;
  std::string common;
  for (int i = 0; i < 24; ++i) {
    std::string text = i % 3 == 0 ? std::string() : common;
    const uint64_t words = 1 + random.below(i % 4 == 0 ? 1500 : 200);
    for (uint64_t word = 0; word < words; ++word) {
      text.append(text.empty() ? "" : " ").append(kWords[random.below(6)]);
    }
    if (i % 3 == 0) common = text;
    const uint64_t length = 1 + random.below(40);
    if (i % 2 == 0) {
      all.push_back({"/v1/completions", {{"prompt", text}, {"max_tokens", length}}});
    } else {
      const json message = {{"role", "user"}, {"content", text}};
      all.push_back({"/v1/chat/completions",
                     {{"messages", json::array({message})}, {"max_tokens", length}, {"n", 2}}});
    }
  }
  return all;
}

// What a client reads of an answer.
json texts(const json& answer) {
  json texts = json::array();
  if (!answer.is_object() || !answer.contains("choices")) return answer;
  for (const json& choice : answer["choices"]) {
    const bool chat = choice.contains("message");
    texts.push_back({choice["index"], chat ? choice["message"]["content"] : choice["text"],
                     choice["finish_reason"]});
  }
  return texts;
}

// The first leg; the body of the second.
json prefilled(Worker& worker, const Way& way, const Request& request) {
  json first = request.body;
  first["max_tokens"] = 1;
  first.erase("n");
  if (way.hands_over) first["kv_transfer_params"] = {{"do_remote_decode", true}};
  const json answer = worker.answer(request.path, first);
  EXPECT_TRUE(answer.is_object() && answer.contains("choices")) << answer;
  json second = request.body;
  if (!way.hands_over || !answer.is_object()) return second;
  EXPECT_TRUE(answer["kv_transfer_params"].is_object()) << answer;
  second["kv_transfer_params"] = answer["kv_transfer_params"];
  return second;
}

class KvTransfer : public testing::TestWithParam<Way> {
 protected:
  KvTransfer() : directory_(std::filesystem::temp_directory_path() / "kv-transfer-XXXXXX") {
    std::string name = directory_.string();
    directory_ = mkdtemp(name.data());
  }
  ~KvTransfer() override { std::filesystem::remove_all(directory_); }

  Way way() const {
    Way way = GetParam();
    const size_t place = way.extra.find("DIRECTORY");
    if (place != std::string::npos) way.extra.replace(place, 9, directory_.string());
    return way;
  }

 private:
  std::filesystem::path directory_;
};

TEST_P(KvTransfer, TwoWorkersAnswerAsOneDoes) {
  const Way way = this->way();
  Worker alone({"--kv-bytes"});
  Worker prefiller({}, &way);
  Worker decoder({}, &way);
  ASSERT_TRUE(alone.serves()) << alone.output();
  ASSERT_TRUE(prefiller.serves()) << prefiller.output();
  ASSERT_TRUE(decoder.serves()) << decoder.output();
  for (const Request& request : requests()) {
    const json expected = texts(alone.answer(request.path, request.body));
    const json body = prefilled(prefiller, way, request);
    EXPECT_EQ(texts(decoder.answer(request.path, body)), expected) << request.body;
  }
  EXPECT_GT(decoder.metric("vllm:external_prefix_cache_hits_total"), 5000);
  EXPECT_EQ(decoder.metric("kvasir_kv_transfer_failures_total"), 0);
  EXPECT_GT(decoder.metric("kvasir_kv_transfer_bytes_total"), 5000 * 256);
  EXPECT_TRUE(comes([&] { return prefiller.metric("kvasir_kv_offers") == 0; }))
      << "every block is given back";
  EXPECT_TRUE(comes([&] { return prefiller.metric("vllm:kv_cache_usage_perc") == 0; }));
  EXPECT_EQ(decoder.metric("vllm:kv_cache_usage_perc"), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, KvTransfer,
    testing::Values(
        Way{"NixlOverTcp", "NixlConnector"},
        Way{"NixlThroughSharedMemory", "NixlConnector", R"("transport":"shm")"},
        Way{"NixlPipelined", "NixlConnector", R"("pipelining":true,"link_gb_per_s":50)"},
        Way{"FolderOfVllm", "ExampleConnector", R"("shared_storage_path":"DIRECTORY")", false},
        Way{"FolderOfOurs", "ExampleConnector",
            R"("shared_storage_path":"DIRECTORY","layout":"kvasir")", false}),
    [](const auto& tested) { return tested.param.name; });

// `kvasir pd-proxy` before pairs.
class PdProxyProgram {
 public:
  explicit PdProxyProgram(const std::vector<std::string>& flags) : port_(leased_port()) {
    std::vector<std::string> arguments = {"pd-proxy", "--host", "127.0.0.1", "--port",
                                          std::to_string(port_)};
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    program_ = std::make_unique<Program>(std::move(arguments));
  }
  bool serves() { return program_->comes_to_say("serving on"); }
  Program& program() { return *program_; }
  std::string get(const std::string& path) {
    return ask(port_, "GET " + path + " HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n");
  }
  std::string post(const std::string& path, const json& body) {
    const std::string text = body.dump();
    return ask(port_, "POST " + path +
                          " HTTP/1.1\r\nHost: p\r\nConnection: close\r\nContent-Type: "
                          "application/json\r\nContent-Length: " +
                          std::to_string(text.size()) + "\r\n\r\n" + text);
  }
  json answer(const std::string& path, const json& body) {
    const std::string answer = post(path, body);
    const size_t begin = answer.find("\r\n\r\n");
    return begin == std::string::npos ? json(answer)
                                      : json::parse(answer.substr(begin + 4), nullptr, false);
  }

 private:
  const uint16_t port_;
  std::unique_ptr<Program> program_;
};

class FsPair : public KvTransfer {};

// The id alone says nothing of a transfer: what the decoders read does.
TEST_P(FsPair, AProxyBeforeTwoPairsAnswersAsOneWorkerDoes) {
  const Way way = this->way();
  Worker alone({"--kv-bytes"});
  Worker prefill_a({}, &way), prefill_b({}, &way), decode_a({}, &way), decode_b({}, &way);
  PdProxyProgram proxy({"--backend", "fs", "--prefill", prefill_a.url() + "," + prefill_b.url(),
                        "--prefill-name", "prefill-a,prefill-b", "--decode",
                        decode_a.url() + "," + decode_b.url(), "--decode-name", "decode-a,decode-b",
                        "--fs-max-prompt-tokens", "0"});
  for (Worker* worker : {&alone, &prefill_a, &prefill_b, &decode_a, &decode_b}) {
    ASSERT_TRUE(worker->serves()) << worker->output();
  }
  ASSERT_TRUE(proxy.serves()) << proxy.program().output();
  ASSERT_TRUE(comes([&] { return proxy.get("/ready").starts_with("HTTP/1.1 200 "); }));
  std::map<std::string, int> named;
  for (const Request& request : requests()) {
    const json answer = proxy.answer(request.path, request.body);
    EXPECT_EQ(texts(answer), texts(alone.answer(request.path, request.body))) << request.body;
    const std::string id = answer.value("id", "");
    for (const char* name : {"prefill-a", "prefill-b", "decode-a", "decode-b"}) {
      named[name] += id.find(name) != std::string::npos;
    }
  }
  for (const auto& [name, times] : named) EXPECT_EQ(times, 12) << name << ": equal ones in turn";
  for (Worker* decoder : {&decode_a, &decode_b}) {
    EXPECT_GT(decoder->metric("vllm:external_prefix_cache_hits_total"), 1000);
    EXPECT_GT(decoder->metric("kvasir_kv_transfer_bytes_total"), 1000 * 256);
    EXPECT_EQ(decoder->metric("kvasir_kv_transfer_failures_total"), 0);
  }
  EXPECT_THAT(proxy.get("/metrics"), HasSubstr("\nvllm:num_requests_running 0\n"));
  prefill_a.kill();
  for (int i = 0; i < 4; ++i) {
    const Request request{
        "/v1/completions",
        {{"prompt", "after one prefiller died, number " + std::to_string(i)}, {"max_tokens", 4}}};
    const json answer = proxy.answer(request.path, request.body);
    EXPECT_EQ(texts(answer), texts(alone.answer(request.path, request.body)));
    EXPECT_THAT(answer.value("id", ""), HasSubstr("___prefill_addr_prefill-b___"));
  }
  proxy.program().signal(SIGTERM);
  EXPECT_EQ(proxy.program().wait(), 0);
}

INSTANTIATE_TEST_SUITE_P(
    Ways, FsPair,
    testing::Values(Way{"FolderOfVllm", "ExampleConnector", R"("shared_storage_path":"DIRECTORY")",
                        false},
                    Way{"FolderOfOurs", "ExampleConnector",
                        R"("shared_storage_path":"DIRECTORY","layout":"kvasir")", false}),
    [](const auto& tested) { return tested.param.name; });

class LostPrefiller : public testing::Test {
 protected:
  const Way way_{"nixl", "NixlConnector"};
  Request request_{"/v1/completions",
                   {{"prompt",
                     "one two three four five six seven eight nine ten eleven"
                     " and so on until more than a block is full"},
                    {"max_tokens", 9}}};
};

TEST_F(LostPrefiller, FailsTheRequest) {
  Worker prefiller({}, &way_);
  Worker decoder({}, &way_);
  ASSERT_TRUE(prefiller.serves() && decoder.serves()) << decoder.output();
  const json body = prefilled(prefiller, way_, request_);
  prefiller.kill();
  EXPECT_THAT(decoder.post(request_.path, body), HasSubstr("HTTP/1.1 500 "));
  EXPECT_EQ(decoder.metric("vllm:kv_cache_usage_perc"), 0);
}

TEST_F(LostPrefiller, OrCostsItsPromptOnceMore) {
  Worker alone({"--kv-bytes"});
  Worker prefiller({}, &way_);
  Worker decoder({}, &way_, "recompute");
  ASSERT_TRUE(alone.serves() && prefiller.serves() && decoder.serves()) << decoder.output();
  const json body = prefilled(prefiller, way_, request_);
  prefiller.kill();
  EXPECT_EQ(texts(decoder.answer(request_.path, body)),
            texts(alone.answer(request_.path, request_.body)));
}

// The first request is not the one that finds it out.
TEST(AStoreThatIsNotThere, IsNamedWhenTheWorkerStarts) {
  const std::string address = "127.0.0.1:" + std::to_string(leased_port());
  const Way way{"lmcache", "LMCacheConnectorV1", R"("remote_url":"redis://)" + address + "\""};
  Worker worker({}, &way);
  ASSERT_TRUE(worker.serves()) << worker.output();
  ASSERT_TRUE(comes([&] { return worker.metric("kvasir_kv_refused_peers_total") == 1; }))
      << worker.output();
  EXPECT_THAT(worker.output(), HasSubstr("the Redis at " + address + "/0 cannot be reached"));
  EXPECT_THAT(worker.output(), HasSubstr("prompts are computed here"));
  EXPECT_THAT(worker.post("/v1/completions", {{"prompt", "one two"}, {"max_tokens", 2}}),
              HasSubstr("HTTP/1.1 200 "));
}

}  // namespace
}  // namespace kvasir
