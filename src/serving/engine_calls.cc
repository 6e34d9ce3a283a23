#include "serving/engine_calls.h"

#include <algorithm>
#include <utility>

#include "net/io/event_loop.h"

namespace kvasir {
namespace {

std::string head_of(const EngineAddress& engine, const EngineRequest& request) {
  std::string head = "POST " + request.path + " HTTP/1.1\r\nHost: " + engine.host +
                     "\r\nContent-Type: application/json\r\nContent-Length: " +
                     std::to_string(request.body.size());
  if (!request.authorization.empty()) head.append("\r\nAuthorization: " + request.authorization);
  return head.append("\r\n\r\n");
}

class HttpEngineCall final : public EngineCalls::Call, private HttpCallObserver {
 public:
  HttpEngineCall(EventLoop& loop, HttpClient& client, const EngineAddress& engine,
                 EngineRequest request, const EngineCallLimits& limits,
                 std::function<void(EngineAnswer)> done)
      : loop_(loop),
        head_(head_of(engine, request)),
        body_(std::move(request.body)),
        bytes_max_(limits.answer_bytes),
        done_(std::move(done)) {
    call_ = &client.start(head_, body_, *this);
    timer_ = loop_.after(std::min(limits.longest, HttpClients::kCallLongest), [this] {
      timer_ = kNoTimer;
      give_up();
    });
  }
  ~HttpEngineCall() override { stop(); }

 private:
  void on_head(const HttpHead& head) override { answer_.status = head.status(); }
  void on_body(std::string_view bytes) override {
    if (answer_.body.size() + bytes.size() > bytes_max_) return give_up();
    answer_.body.append(bytes);
  }
  void on_end() override {
    call_ = nullptr;
    finish(std::move(answer_));
  }
  void on_failure(const HttpFailure&) override {
    call_ = nullptr;
    finish({});
  }

  void stop() {
    if (call_ != nullptr) std::exchange(call_, nullptr)->cancel();
    loop_.cancel(std::exchange(timer_, kNoTimer));
  }
  void give_up() {
    stop();
    finish({});
  }
  void finish(EngineAnswer answer) {
    stop();
    const auto done = std::move(done_);  // `this` may die in it
    done(std::move(answer));
  }

  EventLoop& loop_;
  const std::string head_;
  const std::string body_;
  const size_t bytes_max_;
  std::function<void(EngineAnswer)> done_;
  HttpCall* call_ = nullptr;
  TimerId timer_ = kNoTimer;
  EngineAnswer answer_;
};

}  // namespace

HttpEngineCalls::HttpEngineCalls(EventLoop& loop, EngineCallLimits limits)
    : loop_(loop), limits_(limits), clients_(loop) {}

std::unique_ptr<EngineCalls::Call> HttpEngineCalls::start(const EngineAddress& engine,
                                                          EngineRequest request,
                                                          std::function<void(EngineAnswer)> done) {
  return std::make_unique<HttpEngineCall>(loop_, clients_.client_for(engine.address), engine,
                                          std::move(request), limits_, std::move(done));
}

}  // namespace kvasir
