#include "reload_load.h"

#include <algorithm>
#include <utility>

#include "wire/ext_proc/ext_proc_client.h"

namespace kvasir {
namespace {

constexpr char kAnswer[] =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":50,\"completion_tokens\":3}}\n\n"
    "data: [DONE]\n\n";

Duration some_time(Random& random) {
  return std::chrono::milliseconds(5 + static_cast<int>(random.next() % 56));
}

// Of one of twenty conversations, so that caches and sessions have something to know.
std::string body_of(Random& random) {
  const std::string text(400 + 200 * (random.next() % 20), 'a');
  return R"({"model": "m", "stream": true, "prompt": ")" + text + "\"}";
}

std::string session_of(Random& random) {
  return "s" + std::to_string(random.next() % 20);
}

}  // namespace

struct StreamingWorkers::Answer final : HttpExchange::Observer {
  Answer(StreamingWorkers& all, HttpExchange& of) : workers(all), exchange(of) {
    exchange.set_observer(this);
    timer = workers.loop_.after(some_time(workers.random_), [this] {
      exchange.start(200, "Content-Type: text/event-stream\r\n");
      exchange.write(kAnswer);
      exchange.finish();
      remove();
    });
  }
  void on_client_gone() override {
    ++workers.clients_gone_;
    workers.loop_.cancel(timer);
    remove();
  }
  void remove() {
    workers.answers_.erase(this);
    delete this;
  }

  StreamingWorkers& workers;
  HttpExchange& exchange;
  TimerId timer = kNoTimer;
};

StreamingWorkers::StreamingWorkers(EventLoop& loop, int count) : loop_(loop) {
  for (int i = 0; i < count; ++i) {
    servers_.push_back(
        std::make_unique<HttpServer>(loop, listen_tcp("127.0.0.1", 0, false).value(), *this));
    ports_.push_back(servers_.back()->port());
  }
}

StreamingWorkers::~StreamingWorkers() {
  servers_.clear();
}

void StreamingWorkers::on_request(HttpExchange& exchange) {
  if (exchange.head().method() == "POST") {
    answers_.insert(new Answer(*this, exchange));
  } else if (exchange.head().path() == "/metrics") {
    exchange.respond(200, "", "vllm:num_requests_waiting 0\nvllm:num_requests_running 1\n");
  } else {
    exchange.respond(200, "", "");
  }
}

// One request to the gateway.
class SteadyLoad::Relayed final : public HttpCallObserver {
 public:
  explicit Relayed(SteadyLoad& load) : load_(load), body_(body_of(load.random_)) {
    head_ =
        "POST /v1/completions HTTP/1.1\r\nHost: gateway\r\nContent-Type: application/json\r\n"
        "x-session-id: " +
        session_of(load.random_) + "\r\nContent-Length: " + std::to_string(body_.size()) +
        "\r\n\r\n";
    load_.gateway_.start(head_, body_, *this);
  }
  void on_head(const HttpHead& head) override { status_ = head.status(); }
  void on_body(std::string_view bytes) override { answer_.append(bytes); }
  void on_end() override {
    over(status_ == 200 && answer_ == kAnswer, std::to_string(status_) + " " + answer_);
  }
  void on_failure(const HttpFailure& failure) override { over(false, failure.message); }

 private:
  void over(bool good, std::string what) {
    LoadCounts& counts = load_.gateway_counts_;
    good ? void(++counts.good) : counts.bad.push_back(std::move(what));
    load_.relayed_.erase(this);
    delete this;
  }

  SteadyLoad& load_;
  std::string head_;
  const std::string body_;
  int status_ = 0;
  std::string answer_;
};

// One request as Envoy tells the picker of it, from its headers to the end of its answer.
class SteadyLoad::Picked final : public GrpcClientCall::Observer {
 public:
  explicit Picked(SteadyLoad& load) : load_(load) {
    call_ = &load_.picker_.start("/envoy.service.ext_proc.v3.ExternalProcessor/Process", *this,
                                 Duration::zero());
    const std::string session = session_of(load.random_);
    write_headers_request(
        ExtProcSide::kRequest,
        {{":method", "POST"}, {":path", "/v1/completions"}, {"x-session-id", session}}, false, {},
        message_);
    call_->send(message_);
    write_body_request(ExtProcSide::kRequest, body_of(load.random_), true, {}, message_);
    call_->send(message_);
  }
  ~Picked() { load_.loop_.cancel(timer_); }

  void on_message(std::string_view message) override {
    const Result<ExtProcAnswer> answer = read_ext_proc_answer(message);
    if (!answer) return;
    using Kind = ExtProcAnswer::Kind;
    if (answer->kind == Kind::kImmediate) {
      refused_ = std::to_string(answer->status) + " " + std::string(answer->body);
    }
    if (answer->kind == Kind::kRequestHeaders &&
        answer->set_header("x-gateway-destination-endpoint")) {
      timer_ = load_.loop_.after(some_time(load_.random_), [this] { answer_it(); });
    }
  }
  void on_end(const GrpcStatus& status) override {
    LoadCounts& counts = load_.picker_counts_;
    if (status.ok() && answered_ && refused_.empty()) {
      ++counts.good;
    } else {
      counts.bad.push_back(refused_.empty() ? "code " + std::to_string(status.code) : refused_);
    }
    load_.picked_.erase(this);
    delete this;
  }

 private:
  void answer_it() {
    timer_ = kNoTimer;
    answered_ = true;
    write_headers_request(ExtProcSide::kResponse,
                          {{":status", "200"}, {"content-type", "text/event-stream"}}, false, {},
                          message_);
    call_->send(message_);
    write_body_request(ExtProcSide::kResponse, kAnswer, true, {}, message_);
    call_->send(message_);
    call_->half_close();
  }

  SteadyLoad& load_;
  GrpcClientCall* call_ = nullptr;
  std::string message_;
  TimerId timer_ = kNoTimer;
  bool answered_ = false;
  std::string refused_;
};

SteadyLoad::SteadyLoad(EventLoop& loop, uint16_t gateway, uint16_t picker, double per_second)
    : loop_(loop),
      interval_(from_seconds(1 / per_second)),
      gateway_(loop, resolve("127.0.0.1", gateway).value()),
      picker_(loop, resolve("127.0.0.1", picker).value(), "picker") {}

SteadyLoad::~SteadyLoad() {
  stop();
  for (Picked* call : picked_) delete call;
  for (Relayed* call : relayed_) delete call;
}

void SteadyLoad::stop() {
  loop_.cancel(std::exchange(timer_, kNoTimer));
}

void SteadyLoad::send() {
  next_ += interval_;
  const Duration pause = next_ - loop_.clock().now();
  timer_ = loop_.after(std::max(pause, Duration::zero()), [this] { send(); });
  ++gateway_counts_.sent;
  relayed_.insert(new Relayed(*this));
  ++picker_counts_.sent;
  picked_.insert(new Picked(*this));
}

}  // namespace kvasir
