// A client's exchange whose answer is changed on its way: header fields by the filters of a route
// or by flags, and an end when the time that a route gives it is over. Made for requests that need
// one of these alone; whoever answers cannot tell it from the client's own. Private to gateway/.
//
// Lives on its loop's thread, and as long as the exchange that it wraps.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_set>

#include "base/executor.h"
#include "net/http/http_exchange.h"
#include "routes/route_rule.h"

namespace kvasir {

class FilteredExchange;

// What a client is told that waited for longer than its route allows.
inline constexpr std::string_view kTimeOverWords = "the route's request timeout is over";

// Of one request. What it points to lives as long as `rule`, or longer than the exchange.
struct AnswerFilters {
  std::shared_ptr<const RouteRule> rule = nullptr;  // null: only flags say something
  // Of the rule's, the one that the request goes to: its filters change the answer before the
  // rule's do. Null: to none.
  const RouteBackend* backend = nullptr;
  const CorsPolicy* cors = nullptr;
  // From when it was made to the answer's last byte.
  std::optional<Duration> time_limit = std::nullopt;

  bool any() const {
    return cors != nullptr || time_limit || (rule != nullptr && rule->filters.response_headers) ||
           (backend != nullptr && backend->filters.response_headers);
  }
};

// Those of one thread. Destroyed after whoever answers them.
class FilteredExchanges {
 public:
  // It must outlive this.
  explicit FilteredExchanges(Executor& executor) : executor_(executor) {}
  ~FilteredExchanges();
  FilteredExchanges(const FilteredExchanges&) = delete;
  FilteredExchanges& operator=(const FilteredExchanges&) = delete;

  // Owns itself.
  FilteredExchange& wrap(HttpExchange& exchange, AnswerFilters filters);
  size_t size() const { return open_.size(); }

  // For the exchanges.
  Executor& executor() { return executor_; }
  void remove(FilteredExchange& exchange) { open_.erase(&exchange); }

 private:
  Executor& executor_;
  std::unordered_set<FilteredExchange*> open_;
};

class FilteredExchange final : public HttpExchange,
                               private RawRelay,
                               private HttpExchange::Observer {
 public:
  FilteredExchange(FilteredExchanges& all, HttpExchange& inner, AnswerFilters filters);
  ~FilteredExchange() override;
  FilteredExchange(const FilteredExchange&) = delete;
  FilteredExchange& operator=(const FilteredExchange&) = delete;

  const HttpHead& head() const override { return inner_.head(); }
  void set_target(std::string_view target, std::string_view host) override {
    inner_.set_target(target, host);
  }
  HttpHead& editable_head() override { return inner_.editable_head(); }
  std::string_view body() const override { return inner_.body(); }
  void release_body() override { inner_.release_body(); }
  void set_observer(HttpExchange::Observer* observer) override { observer_ = observer; }
  void respond(int status, std::string_view fields, std::string_view body) override;
  void start(int status, std::string_view fields) override;
  void write(std::string_view piece) override { inner_.write(piece); }
  void finish(std::string_view trailers) override;
  RawRelay* raw() override;
  void abort() override;
  size_t unsent_bytes() const override { return inner_.unsent_bytes(); }
  Watcher* watcher() override { return inner_.watcher(); }

 private:
  // RawRelay; only when the client's exchange has one.
  bool client_keeps_alive() const override { return inner_.raw()->client_keeps_alive(); }
  void start_raw(std::string_view head, bool keep_alive) override;
  size_t write_raw(std::string_view bytes) override { return inner_.raw()->write_raw(bytes); }
  void finish_raw() override;

  void on_client_gone() override;
  void on_time_over() override;
  void on_drained() override;

  std::string changed(std::string_view fields) const;

  FilteredExchanges& all_;
  HttpExchange& inner_;
  const AnswerFilters filters_;
  const std::string origin_;  // of the request, which filters may change
  HttpExchange::Observer* observer_ = nullptr;
  TimerId timer_ = kNoTimer;
  int status_ = 0;  // of the answer; 0: the client has nothing of it
};

}  // namespace kvasir
