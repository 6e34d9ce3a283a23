// instant_worker PORT: prefills and answers at once. A prefill leg gets a handoff; whatever has the
// field "x-bench-events: COUNT" gets a stream of so many events, all at once, or one each
// "x-bench-interval-ms: N"; everything else gets a short answer.
#include <charconv>
#include <cstdio>
#include <memory>
#include <string>

#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {
namespace {

constexpr std::string_view kJson = "Content-Type: application/json\r\n";
constexpr std::string_view kEventStream = "Content-Type: text/event-stream\r\n";
constexpr std::string_view kPrefillMark = "\"do_remote_decode\":true";
constexpr std::string_view kAnswer =
    R"({"id":"cmpl-bench","object":"text_completion","created":1,"model":"bench","choices":[{"index":0,)"
    R"("text":" and so it was done before the end of the day","logprobs":null,"finish_reason":"length"}],)"
    R"("usage":{"prompt_tokens":200,"completion_tokens":11,"total_tokens":211}})";
// As vLLM 0.32.0 writes it, of a prompt of 200 tokens.
constexpr std::string_view kHandoff =
    R"({"id":"cmpl-bench","object":"text_completion","created":1,"model":"bench","choices":[{"index":0,)"
    R"("text":" and","logprobs":null,"finish_reason":"length"}],"usage":{"prompt_tokens":200,)"
    R"("completion_tokens":1,"total_tokens":201},"kv_transfer_params":{"do_remote_prefill":true,)"
    R"("do_remote_decode":false,"remote_block_ids":[[1,2,3,4,5,6,7,8,9,10,11,12,13]],)"
    R"("remote_engine_id":"e1101616-3dbe-4f56-8d3c-0d6b2a1f7a9e",)"
    R"("remote_request_id":"cmpl-bench-0-a74a7b4a","remote_host":"127.0.0.1","remote_port":5600,)"
    R"("tp_size":1,"dcp_size":1,"pp_size":1,"remote_num_tokens":200,"remote_blocks_expiry_time":null,)"
    R"("transfer_mode":"pull","remote_prefill_cached_tokens":0}})";
constexpr std::string_view kEvent =
    "data: {\"id\":\"cmpl-bench\",\"object\":\"text_completion\",\"created\":1,\"model\":\"bench\","
    "\"choices\":[{\"index\":0,\"text\":\" and\",\"logprobs\":null,\"finish_reason\":null}]}\n\n";
constexpr std::string_view kDone = "data: [DONE]\n\n";

uint64_t number_of(const HttpHead& head, std::string_view name) {
  uint64_t number = 0;
  const std::string_view text = head.find(name).value_or("");
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// An answer whose events come one after another.
class Stream final : public HttpExchange::Observer {
 public:
  Stream(EventLoop& loop, HttpExchange& exchange, uint64_t events, Duration interval)
      : loop_(loop), exchange_(exchange), left_(events), interval_(interval) {
    exchange_.set_observer(this);
    exchange_.start(200, kEventStream);
    next();
  }
  ~Stream() override { loop_.cancel(timer_); }
  void on_client_gone() override { delete this; }

 private:
  void next() {
    exchange_.write(kEvent);
    if (--left_ > 0) {
      timer_ = loop_.after(interval_, [this] { next(); });
      return;
    }
    exchange_.write(kDone);
    exchange_.finish();
    loop_.defer([this] { delete this; });
  }

  EventLoop& loop_;
  HttpExchange& exchange_;
  uint64_t left_;
  const Duration interval_;
  TimerId timer_ = kNoTimer;
};

class InstantWorker final : public HttpHandler {
 public:
  explicit InstantWorker(EventLoop& loop) : loop_(loop) {}

  void on_request(HttpExchange& exchange) override {
    const HttpHead& head = exchange.head();
    if (head.method() != "POST") return exchange.respond(200, kJson, "{}");
    if (exchange.body().find(kPrefillMark) != std::string_view::npos) {
      return exchange.respond(200, kJson, kHandoff);
    }
    const uint64_t events = number_of(head, "x-bench-events");
    if (events == 0) return exchange.respond(200, kJson, kAnswer);
    const uint64_t interval = number_of(head, "x-bench-interval-ms");
    if (interval > 0) {
      new Stream(loop_, exchange, events, std::chrono::milliseconds(interval));
      return;
    }
    exchange.start(200, kEventStream);
    for (uint64_t event = 0; event < events; ++event) exchange.write(kEvent);
    exchange.write(kDone);
    exchange.finish();
  }

  Refusal on_refused(int, std::string_view) override { return {std::string(kJson), "{}"}; }

 private:
  EventLoop& loop_;
};

int serve(uint16_t port) {
  auto loop = EventLoop::create();
  auto listener = listen_tcp("127.0.0.1", port, false);
  if (!loop || !listener) {
    std::fprintf(stderr, "instant_worker: %s\n",
                 (!loop ? loop.error() : listener.error()).message.c_str());
    return 1;
  }
  InstantWorker worker(**loop);
  HttpServer server(**loop, std::move(*listener), worker, {});
  (*loop)->run();
  return 0;
}

}  // namespace
}  // namespace kvasir

int main(int count, char** arguments) {
  uint16_t port = 0;
  if (count == 2) {
    const std::string_view text = arguments[1];
    const auto parsed = std::from_chars(text.data(), text.data() + text.size(), port);
    if (parsed.ec == std::errc() && parsed.ptr == text.data() + text.size()) {
      return kvasir::serve(port);
    }
  }
  std::fprintf(stderr, "usage: instant_worker PORT\n");
  return 2;
}
