// For the tests of who carries legs: a worker that answers as it is told, and remembers what it was
// asked; and a request, to its end.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "net/http/http_fixture.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

class LegWorkerFixture final : public HttpHandler {
 public:
  explicit LegWorkerFixture(EventLoop& loop)
      : LegWorkerFixture(loop, std::move(listen_tcp("127.0.0.1", 0, false).value())) {}
  LegWorkerFixture(EventLoop& loop, Descriptor listener)
      : server_(loop, std::move(listener), *this) {}

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
    bodies.push_back(body);
    if (breaks_off) return exchange.abort();
    if (!next.empty()) {
      answer = next.front();
      next.pop_front();
    }
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

  uint16_t port() const { return server_.port(); }
  HostPort host_port() const { return {"127.0.0.1", port()}; }
  std::string address() const { return to_string(host_port()); }
  // Of the last request; empty: it had none.
  std::string field(const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }

  int status = 200;
  std::string answer = "{}", content_type = "application/json", more_fields;
  std::deque<std::string> next;  // answers to come, before `answer` stays
  bool holds = false, streams = false, breaks = false;
  bool breaks_off = false;       // without an answer
  bool stays_open = false;       // a stream, behind `answer`
  HttpExchange* open = nullptr;  // that stays so
  int requests = 0, left = 0;
  std::string line, body;
  std::vector<std::string> bodies;  // of all requests
  std::multimap<std::string, std::string> fields;
  std::map<std::string, std::string> pages;  // by path: answered with 200, and not counted

 private:
  struct Held final : HttpExchange::Observer {
    Held(LegWorkerFixture& its_worker, HttpExchange& its_exchange)
        : worker(its_worker), exchange(&its_exchange) {
      exchange->set_observer(this);
    }
    void on_client_gone() override {
      exchange = worker.open = nullptr;
      ++worker.left;
    }
    LegWorkerFixture& worker;
    HttpExchange* exchange;  // null: its client has left
  };

  void answer_to(HttpExchange& exchange) {
    if (!streams) {
      return exchange.respond(status, "Content-Type: " + content_type + "\r\n" + more_fields,
                              answer);
    }
    exchange.start(status, "Content-Type: text/event-stream\r\n" + more_fields);
    exchange.write(answer);
    if (stays_open) {
      open = &exchange;
      return held_.push_back(std::make_unique<Held>(*this, exchange)), void();
    }
    breaks ? exchange.abort() : exchange.finish();
  }

  std::deque<std::unique_ptr<Held>> held_;
  HttpServer server_;
};

inline Recorder ask(EventLoop& loop, HttpClient& client, std::string_view method,
                    std::string_view target, std::string_view fields, std::string_view body) {
  std::string head = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n";
  head.append(fields);
  if (!body.empty()) head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  head += "\r\n";
  Recorder recorder(loop);
  client.start(head, body, recorder);
  loop.run();
  return recorder;
}

}  // namespace kvasir
