// For tests of requests that one worker prefills and another decodes.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "gateway/gateway_fixture.h"
#include "serving/apart_config_fixture.h"

namespace kvasir {

inline constexpr std::string_view kHandedOver =
    R"({"do_remote_prefill":true,"remote_block_ids":[[1,2]],"remote_engine_id":"e",)"
    R"("remote_request_id":"r","remote_host":"h","remote_port":5600,"more":9007199254740993})";

// p and q prefill, a and b decode.
class GatewayLegsTest : public GatewayTest {
 protected:
  GatewayLegsTest() : p_(*loop_, "p"), q_(*loop_, "q") {
    options_.pool.policy = "";
    options_.pool.config = kApartConfig;
    options_.pool.config_name = "test";
    serve({&p_, &q_}, {&a_, &b_});
    for (FakeWorker* worker : {&p_, &q_}) {
      worker->usually = FakeWorker::Act::kSay;
      worker->says = prefill_answer();
    }
  }

  static std::string prefill_answer(std::string_view params = kHandedOver) {
    return R"({"id":"x","kv_transfer_params":)" + std::string(params) + "}";
  }
  static Endpoint with_role(const FakeWorker& worker, const char* role) {
    Endpoint endpoint = worker_at(worker.port());
    endpoint.labels["llm-d.ai/role"] = role;
    return endpoint;
  }
  void serve(std::vector<FakeWorker*> prefillers, std::vector<FakeWorker*> decoders) {
    std::vector<Endpoint>& all = options_.pool.feeds.endpoints;
    all.clear();
    for (const FakeWorker* worker : prefillers) all.push_back(with_role(*worker, "prefill"));
    for (const FakeWorker* worker : decoders) all.push_back(with_role(*worker, "decode"));
  }
  void start_all() { start(static_cast<int>(options_.pool.feeds.endpoints.size())); }

  std::string name_of(const FakeWorker& worker) const {
    return "127.0.0.1:" + std::to_string(worker.port());
  }
  // Requests that the scheduler has booked somewhere.
  size_t booked() {
    size_t requests = 0;
    for (const SharedPart& part : gateway_->pool().scheduler().export_shared({})) {
      for (const SharedLoad& load : part.loads) requests += load.requests;
    }
    return requests;
  }
  // Nothing is booked and nothing runs.
  void expect_quiet() {
    EXPECT_EQ(booked(), 0u);
    EXPECT_EQ(probe_.in_flight, 0);
  }

  FakeWorker p_, q_;
};

}  // namespace kvasir
