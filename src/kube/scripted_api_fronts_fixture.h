// Two ways to a ScriptedApiServer: ScriptedKubeApi is a KubeApi on any executor, so that reflectors
// and elections are tested on virtual time; ScriptedHttpApi puts it behind HTTP/1.1 or TLS on a
// loop, for the real KubeClient.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/executor.h"
#include "base/lifeline.h"
#include "kube/kube_client.h"
#include "kube/scripted_api_server_fixture.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "net/io/tls_context.h"

namespace kvasir {

// A request reaches the server in the executor's next turn, and so does each piece of an answer.
class ScriptedKubeApi final : public KubeApi {
 public:
  ScriptedKubeApi(Executor& executor, ScriptedApiServer& server)
      : executor_(executor), server_(server) {}

  // Nobody answers any more; what is under way fails.
  void go_away();
  void come_back() { away_ = false; }
  std::string token;  // sent as a bearer token unless it is empty

  std::unique_ptr<KubeCall> start(KubeRequest request,
                                  std::function<void(KubeAnswer)> done) override;
  std::unique_ptr<KubeCall> watch(std::string target, KubeWatchObserver& observer) override;

 private:
  class Call;

  Executor& executor_;
  ScriptedApiServer& server_;
  bool away_ = false;
  std::vector<Call*> calls_;
};

class ScriptedKubeApi::Call final : public KubeCall, public ScriptedReply {
 public:
  // One of `done` and `observer`.
  Call(ScriptedKubeApi& api, ScriptedRequest request, std::function<void(KubeAnswer)> done,
       KubeWatchObserver* observer)
      : api_(api), done_(std::move(done)), observer_(observer) {
    api_.calls_.push_back(this);
    later([this, request = std::move(request)] {
      api_.away_ ? end(failed("cannot connect: connection refused"))
                 : api_.server_.handle(request, *this);
    });
  }
  ~Call() override {
    std::erase(api_.calls_, this);
    api_.server_.gone(*this);
  }

  void respond(int status, const std::string& fields, const std::string& body) override {
    KubeAnswer answer;
    answer.http_status = status;
    answer.body = body;
    if (!answer.ok()) answer.status = status_of(status, body, fields);
    if (observer_ != nullptr && answer.ok()) {
      write(body);
      return finish();
    }
    later([this, answer = std::move(answer)] { end(answer); });
  }
  void start(int) override {}
  void write(const std::string& bytes) override {
    later([this, bytes, alive = lifeline_.token()] {
      pending_ += bytes;
      for (size_t feed; *alive && (feed = pending_.find('\n')) != std::string::npos;) {
        const std::string line = pending_.substr(0, feed);
        pending_.erase(0, feed + 1);
        if (observer_ != nullptr) observer_->on_line(line);
      }
    });
  }
  void finish() override {
    later([this] {
      KubeAnswer answer;
      answer.http_status = 200;
      end(pending_.empty() ? answer : failed("the watch ended in the middle of an event"));
    });
  }
  void cut() override {
    later([this] { end(failed("connection lost: closed by the server")); });
  }

 private:
  template <class Work>
  void later(Work work) {
    api_.executor_.post(lifeline_.guard(std::move(work)));
  }
  static KubeAnswer failed(const std::string& why) {
    KubeAnswer answer;
    answer.status.message = why;
    return answer;
  }
  static KubeStatus status_of(int code, const std::string& body, const std::string& fields) {
    KubeStatus status;
    status.code = code;
    const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
    if (json.is_object()) {
      status.reason = json.value("reason", "");
      status.message = json.value("message", "");
      const nlohmann::json details = json.value("details", nlohmann::json::object());
      status.retry_after_seconds = details.value("retryAfterSeconds", 0);
      status.continue_token =
          json.value("metadata", nlohmann::json::object()).value("continue", "");
      const nlohmann::json causes = details.value("causes", nlohmann::json::array());
      if (!causes.empty()) status.cause = causes[0].value("reason", "");
    }
    if (fields.rfind("Retry-After: ", 0) == 0) {
      status.retry_after_seconds = std::stoi(fields.substr(13));
    }
    return status;
  }
  // May destroy this.
  void end(const KubeAnswer& answer) {
    const std::function<void(KubeAnswer)> done = std::exchange(done_, nullptr);
    if (done != nullptr) return done(answer);
    if (observer_ != nullptr) std::exchange(observer_, nullptr)->on_end(answer);
  }

  ScriptedKubeApi& api_;
  std::function<void(KubeAnswer)> done_;
  KubeWatchObserver* observer_;
  std::string pending_;
  Lifeline lifeline_;
};

inline void ScriptedKubeApi::go_away() {
  away_ = true;
  for (Call* call : calls_) {
    server_.gone(*call);
    call->cut();
  }
}

inline std::unique_ptr<KubeCall> ScriptedKubeApi::start(KubeRequest request,
                                                        std::function<void(KubeAnswer)> done) {
  ScriptedRequest asked;
  asked.method = request.method;
  asked.target = std::move(request.target);
  asked.body = std::move(request.body);
  asked.content_type = request.content_type;
  if (!token.empty()) asked.authorization = "Bearer " + token;
  return std::make_unique<Call>(*this, std::move(asked), std::move(done), nullptr);
}

inline std::unique_ptr<KubeCall> ScriptedKubeApi::watch(std::string target,
                                                        KubeWatchObserver& observer) {
  ScriptedRequest asked;
  asked.method = "GET";
  asked.target = std::move(target);
  if (!token.empty()) asked.authorization = "Bearer " + token;
  return std::make_unique<Call>(*this, std::move(asked), nullptr, &observer);
}

// Listens on 127.0.0.1.
class ScriptedHttpApi final : public HttpHandler {
 public:
  // `tls`: a folder with tls.crt and tls.key (net/io/tls_fixture.h); empty: plain.
  ScriptedHttpApi(EventLoop& loop, ScriptedApiServer& server, const std::string& tls = {})
      : loop_(loop), server_(server), folder_(tls) {
    TlsOptions options;
    options.protocol = TlsProtocol::kHttp1;
    if (!tls.empty()) tls_ = std::move(TlsContext::from_folder(tls, options).value());
    start();
  }
  ~ScriptedHttpApi() override { stop(); }

  uint16_t port() const { return port_; }
  size_t connections() const { return http_ == nullptr ? 0 : http_->connections(); }
  // As a KubeClient must have it, without credentials.
  KubeConfig config() const {
    KubeConfig config;
    config.server = {"127.0.0.1", port_};
    config.tls = !folder_.empty();
    if (config.tls) config.ca_file = folder_ + "/tls.crt";
    config.source = "test";
    return config;
  }
  // Closes the port and every connection; start() listens on the same port again.
  void stop() {
    http_.reset();
    for (const auto& [exchange, reply] : replies_) server_.gone(*reply);
    replies_.clear();
  }
  void start() {
    Descriptor socket = std::move(listen_tcp("127.0.0.1", port_, false).value());
    port_ = local_port(socket);
    http_ = std::make_unique<HttpServer>(loop_, std::move(socket), *this, HttpServerLimits{},
                                         nullptr, tls_.get());
  }
  // New connections are shown what the folder holds now.
  void reload_certificate() { EXPECT_TRUE(tls_->reload_if_changed().ok()); }

  void on_request(HttpExchange& exchange) override {
    const HttpHead& head = exchange.head();
    const auto field = [&](std::string_view name) {
      return std::string(head.find(name).value_or(""));
    };
    ScriptedRequest request;
    request.method = head.method();
    request.target = head.target();
    request.body = exchange.body();
    request.content_type = field("Content-Type");
    request.authorization = field("Authorization");
    request.user_agent = field("User-Agent");
    auto& reply = replies_[&exchange] = std::make_unique<Reply>(*this, exchange);
    exchange.set_observer(reply.get());
    server_.handle(std::move(request), *reply);
  }
  Refusal on_refused(int, std::string_view) override { return {"", "refused"}; }

 private:
  class Reply final : public ScriptedReply, public HttpExchange::Observer {
   public:
    Reply(ScriptedHttpApi& api, HttpExchange& exchange) : api_(api), exchange_(exchange) {}
    void respond(int status, const std::string& fields, const std::string& body) override {
      api_.end(exchange_, [&](HttpExchange& exchange) {
        exchange.respond(status, "Content-Type: application/json\r\n" + fields, body);
      });
    }
    void start(int status) override {
      exchange_.start(status, "Content-Type: application/json\r\n");
    }
    void write(const std::string& bytes) override { exchange_.write(bytes); }
    void finish() override {
      api_.end(exchange_, [](HttpExchange& exchange) { exchange.finish(); });
    }
    void cut() override {
      api_.end(exchange_, [](HttpExchange& exchange) { exchange.abort(); });
    }
    void on_client_gone() override {
      api_.end(exchange_, [](HttpExchange&) {});
    }

   private:
    ScriptedHttpApi& api_;
    HttpExchange& exchange_;
  };

  // The reply is on the call stack: it goes at the end of the iteration.
  template <class Use>
  void end(HttpExchange& exchange, Use use) {
    const auto found = replies_.find(&exchange);
    std::shared_ptr<Reply> reply = std::move(found->second);
    replies_.erase(found);
    server_.gone(*reply);
    loop_.defer([reply = std::move(reply)] {});
    use(exchange);
  }

  EventLoop& loop_;
  ScriptedApiServer& server_;
  const std::string folder_;
  std::unique_ptr<TlsContext> tls_;
  uint16_t port_ = 0;
  std::map<HttpExchange*, std::unique_ptr<Reply>> replies_;
  std::unique_ptr<HttpServer> http_;
};

}  // namespace kvasir
