// The sidecar as a process, between a worker that prefills and one that decodes: its answers are
// those of one worker alone, its page of metrics is the worker's and then its own, and its log has
// the lines that the tutorial looks for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "leased_port.h"
#include "program.h"

namespace kvasir {
namespace {

using nlohmann::json;
using ::testing::ContainsRegex, ::testing::HasSubstr, ::testing::StartsWith;

class Pair : public ::testing::Test {
 protected:
  // A worker whose blocks have bytes, so that a wrong one is a wrong answer.
  static std::unique_ptr<Program> worker(uint16_t port, bool transfers) {
    std::vector<std::string> flags = {
        "worker",       "m",   "--host", "127.0.0.1", "--port", std::to_string(port),
        "--time-scale", "100", "--seed", "11"};
    if (transfers) {
      setenv("VLLM_NIXL_SIDE_CHANNEL_HOST", "127.0.0.1", 1);
      setenv("VLLM_NIXL_SIDE_CHANNEL_PORT", std::to_string(leased_port()).c_str(), 1);
      flags.push_back("--kv-transfer-config");
      flags.push_back(R"({"kv_connector":"NixlConnector","kv_role":"kv_both"})");
    } else {
      flags.push_back("--kv-bytes");
    }
    auto program = std::make_unique<Program>(flags);
    EXPECT_TRUE(program->comes_to_say("serving on")) << program->output();
    return program;
  }
  void start(std::vector<std::string> flags = {}) {
    prefiller_ = worker(prefill_port_, true);
    decoder_ = worker(decode_port_, true);
    alone_ = worker(alone_port_, false);
    std::vector<std::string> all = {"sidecar", "-host=127.0.0.1", "-port=" + std::to_string(port_),
                                    "-vllm-port=" + std::to_string(decode_port_),
                                    "-connector=nixlv2", "-secure-proxy=false",
                                    // As public charts and guides start it.
                                    "-v=5", "--zap-encoder=console", "--zap-log-level=1", ""};
    all.insert(all.end(), flags.begin(), flags.end());
    sidecar_ = std::make_unique<Program>(all);
    EXPECT_TRUE(sidecar_->comes_to_say("serving on")) << sidecar_->output();
  }
  std::string post(uint16_t port, const json& body, const std::string& fields = "") {
    const std::string text = body.dump();
    return ask(port, "POST /v1/completions HTTP/1.1\r\nHost: w\r\nConnection: close\r\n" + fields +
                         "Content-Type: application/json\r\nContent-Length: " +
                         std::to_string(text.size()) + "\r\n\r\n" + text);
  }
  std::string prefilled(const json& body) {
    return post(port_, body,
                "x-prefiller-host-port: 127.0.0.1:" + std::to_string(prefill_port_) + "\r\n");
  }
  static std::string get(uint16_t port, const std::string& path) {
    return ask(port, "GET " + path + " HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n");
  }
  static std::string body_of(const std::string& answer) {
    const size_t begin = answer.find("\r\n\r\n");
    return begin == std::string::npos ? "" : answer.substr(begin + 4);
  }
  static json text_of(const std::string& answer) {
    const json parsed = json::parse(body_of(answer), nullptr, false);
    return parsed.is_object() && parsed.contains("choices") ? parsed["choices"][0]["text"] : parsed;
  }
  // Of a stream, whatever its framing.
  static std::string stream_text(const std::string& answer) {
    std::string text;
    const std::string key = "\"text\":\"";
    for (size_t at = 0; (at = answer.find(key, at)) != std::string::npos;) {
      at += key.size();
      text += answer.substr(at, answer.find('"', at) - at);
    }
    return text;
  }
  static json request(int number) {
    std::string prompt = "Story " + std::to_string(number) + ":";
    for (int i = 0; i < 20 + number * 17; ++i) prompt += " fox " + std::to_string(i * number);
    return {{"prompt", prompt}, {"max_tokens", 5 + number}, {"temperature", 0}};
  }

  const uint16_t prefill_port_ = leased_port(), decode_port_ = leased_port(),
                 alone_port_ = leased_port(), port_ = leased_port();
  std::unique_ptr<Program> prefiller_, decoder_, alone_, sidecar_;
};

TEST_F(Pair, AnswersAsOneWorkerDoes) {
  start({"--first-token-from-prefill", "--timing-comment"});
  for (int number = 0; number < 8; ++number) {
    json body = request(number);
    const std::string answer = prefilled(body), expected = post(alone_port_, body);
    ASSERT_THAT(answer, StartsWith("HTTP/1.1 200"));
    EXPECT_EQ(text_of(answer), text_of(expected));
    EXPECT_THAT(answer, HasSubstr("\r\nx-tokens-generated: " + std::to_string(5 + number)));
    body["stream"] = true;
    const std::string stream = prefilled(body);
    EXPECT_EQ(json(stream_text(stream)), text_of(expected)) << "with the prefiller's first token";
    EXPECT_THAT(stream, ContainsRegex("data: \\[DONE\\]\n\n.*: x-total-time-ms: [0-9.]+\n"));
  }
  const std::string page = get(port_, "/metrics");
  EXPECT_THAT(page, HasSubstr("vllm:num_requests_running"));
  EXPECT_THAT(page, HasSubstr("\nllmd_sidecar_requests_total{status=\"success\"} 16\n"));
  EXPECT_THAT(page, HasSubstr("\nkvasir_sidecar_decisions_total{path=\"two-legs\"} 1"));
  EXPECT_THAT(page,
              ContainsRegex("\nllmd_sidecar_kv_cache_transfer_bytes\\{source=\"engine\"\\} [1-9]"));
}

// The greps of the tutorial: kubectl logs POD -c routing-sidecar | grep "prefill_decision".
TEST_F(Pair, TheLogAndTheProbesSayWhatIsThere) {
  start();
  EXPECT_THAT(sidecar_->output(), HasSubstr("prefill_decision"));
  EXPECT_THAT(sidecar_->output(), HasSubstr("connector_error"));
  EXPECT_THAT(get(port_, "/ready"), StartsWith("HTTP/1.1 200"));
  prefiller_->signal(SIGKILL);
  prefiller_->wait();
  EXPECT_THAT(prefilled(request(1)), StartsWith("HTTP/1.1 502"));
  EXPECT_TRUE(sidecar_->comes_to_say("connector_error: prefill worker 127.0.0.1:" +
                                     std::to_string(prefill_port_)))
      << sidecar_->output();
  decoder_->signal(SIGKILL);
  decoder_->wait();
  EXPECT_THAT(get(port_, "/health"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(get(port_, "/ready"), StartsWith("HTTP/1.1 503"));
  EXPECT_THAT(body_of(get(port_, "/metrics")), StartsWith("# no page of the decode worker"));
}

// Upstream's configuration: the keys are flags.
TEST_F(Pair, AConfigurationStartsIt) {
  Program sidecar({"sidecar", "--host=127.0.0.1",
                   "--configuration={port: " + std::to_string(port_) + ", model-server-port: " +
                       std::to_string(decode_port_) + ", kv-connector: sglang}"});
  EXPECT_TRUE(sidecar.comes_to_say("connector sglang")) << sidecar.output();
  Program wrong({"sidecar", "--configuration=kv-conector: sglang"});
  EXPECT_EQ(wrong.wait(), 2);
  EXPECT_THAT(wrong.output(), HasSubstr("did you mean 'kv-connector'?"));
}

}  // namespace
}  // namespace kvasir
