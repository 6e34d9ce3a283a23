// For the tests of who carries legs: a worker that answers as it is told, and remembers what it was
// asked.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>

#include "base/text.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

class LegWorkerFixture final : public HttpHandler {
 public:
  explicit LegWorkerFixture(EventLoop& loop)
      : server_(loop, std::move(listen_tcp("127.0.0.1", 0, false).value()), *this) {}

  void on_request(HttpExchange& exchange) override {
    const HttpHead& head = exchange.head();
    if (const auto page = pages.find(std::string(head.path())); page != pages.end()) {
      return exchange.respond(200, "", page->second);
    }
    ++requests;
    line = std::string(head.method()) + " " + std::string(head.target());
    fields.clear();
    for (size_t i = 0; i < head.field_count(); ++i) {
      fields.emplace(lower_case(head.field(i).name), head.field(i).value);
    }
    body = exchange.body();
    if (holds) return held_.push_back(std::make_unique<Held>(*this, exchange)), void();
    answer_to(exchange);
  }
  // The request that is held longest, of those whose client has not left.
  void answer_held() {
    while (held_.front()->exchange == nullptr) held_.pop_front();
    HttpExchange& exchange = *held_.front()->exchange;
    exchange.set_observer(nullptr);
    held_.pop_front();
    answer_to(exchange);
  }

  Refusal on_refused(int, std::string_view) override { return {}; }

  HostPort host_port() const { return {"127.0.0.1", server_.port()}; }
  std::string address() const { return to_string(host_port()); }
  // Of the last request; empty: it had none.
  std::string field(const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }

  int status = 200;
  std::string answer = "{}", answer_fields = "Content-Type: application/json\r\n";
  bool holds = false, streams = false, breaks = false;
  int requests = 0, left = 0;
  std::string line, body;
  std::multimap<std::string, std::string> fields;
  std::map<std::string, std::string> pages;  // by path: answered with 200, and not counted

 private:
  struct Held final : HttpExchange::Observer {
    Held(LegWorkerFixture& its_worker, HttpExchange& its_exchange)
        : worker(its_worker), exchange(&its_exchange) {
      exchange->set_observer(this);
    }
    void on_client_gone() override {
      exchange = nullptr;
      ++worker.left;
    }
    LegWorkerFixture& worker;
    HttpExchange* exchange;  // null: its client has left
  };

  void answer_to(HttpExchange& exchange) {
    if (!streams) return exchange.respond(status, answer_fields, answer);
    exchange.start(status, "Content-Type: text/event-stream\r\n");
    exchange.write(answer);
    breaks ? exchange.abort() : exchange.finish();
  }

  std::deque<std::unique_ptr<Held>> held_;
  HttpServer server_;
};

}  // namespace kvasir
