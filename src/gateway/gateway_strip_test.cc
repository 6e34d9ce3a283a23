// What clients may not tell workers: where KV is to be fetched.
#include "gateway/gateway_fixture.h"

namespace kvasir {
namespace {

class GatewayStripTest : public GatewayTest {
 protected:
  // What the worker gets.
  std::string sent(const std::string& path, const std::string& body) {
    const Answer answer = call("POST " + path + " HTTP/1.1\r\nHost: g\r\nContent-Length: " +
                                   std::to_string(body.size()) + "\r\n\r\n",
                               body);
    FakeWorker& worker = a_.bodies.empty() ? b_ : a_;
    if (worker.bodies.empty()) return "refused with " + std::to_string(answer.head.status());
    std::string got = worker.bodies.back();
    a_.bodies.clear(), b_.bodies.clear();
    return got;
  }
};

TEST_F(GatewayStripTest, NoPathLetsThemThrough) {
  start();
  for (const char* path : {"/v1/completions", "/v1/chat/completions", "/v1/responses",
                           "/v1/messages", "/inference/v1/generate", "/v1/chat/completions/batch",
                           "/v1/embeddings", "/generate", "/invocations"}) {
    EXPECT_EQ(sent(path, R"({"a":1,"kv_transfer_params":{"remote_host":"evil"},"z":[1.0]})"),
              R"({"a":1,"z":[1.0]})")
        << path;
    EXPECT_EQ(sent(path, R"({"bootstrap_room":7,"\u006bv_transfer_params":{},"z":1})"),
              R"({"z":1})")
        << path;
  }
  EXPECT_EQ(sent("/v1/completions", R"({"vllm_xargs":{"kv_transfer_params":{},"k":1}})"),
            R"({"vllm_xargs":{"k":1}})");
  EXPECT_EQ(sent("/inference/v1/generate",
                 R"({"sampling_params":{"n":1,"extra_args":{"kv_transfer_params":{},"k":1}}})"),
            R"({"sampling_params":{"n":1,"extra_args":{"k":1}}})");
}

TEST_F(GatewayStripTest, AllElsePassesByteForByte) {
  start();
  for (
      const char* body :
      {R"({ "prompt" : "kv_transfer_params", "seed":9007199254740993 , "x":{"kv_transfer_params":1}})",
       R"({"vllm_xargs":{"k":1.0},"prompt":"x"})", "{}"}) {
    EXPECT_EQ(sent("/v1/completions", body), body);
  }
}

TEST_F(GatewayStripTest, ABodyThatHidesThemIsRefused) {
  start();
  std::string wide = "\xff\xfe";
  for (const char letter : std::string(R"({"prompt":"x","kv_transfer_params":{}})")) {
    wide += letter, wide += '\0';
  }
  EXPECT_EQ(sent("/v1/completions", wide), "refused with 400");
  EXPECT_EQ(sent("/invocations", wide), "refused with 400");
}

TEST_F(GatewayStripTest, AModelThatARuleReplacesStaysReplaced) {
  start();
  auto table = std::make_shared<ModelRewriteTable>();
  table->add("rule", {"base"}, {{"tuned", {}}});
  gateway_->pool().set_rewrites(table);
  EXPECT_EQ(sent("/v1/completions", R"({"model":"base","remote_port":1,"prompt":"x"})"),
            R"({"model":"tuned","prompt":"x"})");
}

TEST_F(GatewayStripTest, ASidecarHearsNothingOfClients) {
  for (const bool strips : {true, false}) {
    options_.strips_handoffs = strips;
    start();
    const std::string fields =
        "x-prefiller-host-port: evil:1\r\nX-Data-Parallel-Host-Port: evil:2\r\nx-mine: 1\r\n";
    const auto answer = begin(R"({"prompt":"x"})", fields);
    run_until([&] { return answer->over; });
    EXPECT_EQ(a_.heads[0].find("x-prefiller-host-port").has_value(), !strips);
    EXPECT_EQ(a_.heads[0].find("x-data-parallel-host-port").has_value(), !strips);
    EXPECT_EQ(a_.heads[0].find("x-mine"), "1");
    a_.heads.clear();
    client_.reset();
    gateway_.reset();
    probe_.forget();
  }
}

TEST_F(GatewayStripTest, ItCanBeTurnedOff) {
  options_.strips_handoffs = false;
  start();
  const std::string body = R"({"kv_transfer_params":{},"prompt":"x"})";
  EXPECT_EQ(sent("/v1/completions", body), body);
  EXPECT_EQ(sent("/invocations", body), body);
}

}  // namespace
}  // namespace kvasir
