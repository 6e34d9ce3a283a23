// One request as its client sees it, from its head to the end of its answer: it stands between the
// server and whoever answers, and knows whose request it is, what it takes of the tenant's limits,
// and what became of it. Only where there are tenants or an access log. Private to gateway/.
//
// Belongs to Visits; is gone when the exchange is over.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "gateway/visit_report.h"
#include "net/http/http_exchange.h"
#include "tenants/tenant_lease.h"
#include "wire/request/request_peek.h"
#include "wire/request/usage_watch.h"
#include "wire/stream_events.h"

namespace kvasir {

class Journey;
class Visits;

class Visit final : public HttpExchange,
                    public HttpExchange::Watcher,
                    private HttpExchange::Observer,
                    private RawRelay {
 public:
  Visit(Visits& visits, HttpExchange& inner, TimePoint now);
  ~Visit() override = default;
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

  // Whose it is; null: nobody's who is known.
  const Tenant* tenant() const { return tenant_.get(); }
  void set_tenant(std::shared_ptr<const Tenant> tenant) { tenant_ = std::move(tenant); }
  // The request counts among the tenant's from now on. `prompt_tokens`: what its prompt is
  // estimated to have.
  void set_lease(TenantLease lease, uint64_t prompt_tokens);
  void set_refusal(TenantRefusal refusal) { report_.refusal = refusal; }
  // What was found out about the body; points into it.
  void set_peek(RequestApi api, std::optional<RequestPeek> peek);
  // Null: nobody looked yet, or looked for another API.
  const std::optional<RequestPeek>* peek(RequestApi api) const {
    return peeked_as_ == api ? &peek_ : nullptr;
  }

  void set_request_id(std::string_view id) { request_id_ = id; }
  void set_route(std::string route) { route_ = std::move(route); }
  // Of an answer whose usage a journey watches; see on_answer_body().
  void count_events(std::string_view body) { events_.look(body); }
  // What a journey that ended knows. `endpoint`: that was asked last.
  void note(const Journey& journey, std::string_view endpoint);

  // HttpExchange::Watcher
  void on_sent_to(std::string_view endpoint) override { endpoint_ = endpoint; }
  void on_answer_body(std::string_view bytes) override {
    usage_.look(bytes);
    events_.look(bytes);
  }

 private:
  friend class Visits;

  // HttpExchange
  const HttpHead& head() const override { return inner_.head(); }
  void set_target(std::string_view target, std::string_view host) override;
  HttpHead& editable_head() override { return inner_.editable_head(); }
  std::string_view body() const override { return inner_.body(); }
  void release_body() override;
  void set_observer(HttpExchange::Observer* observer) override { observer_ = observer; }
  void respond(int status, std::string_view fields, std::string_view body) override;
  void start(int status, std::string_view fields) override;
  void write(std::string_view piece) override;
  void finish(std::string_view trailers) override;
  RawRelay* raw() override;
  void abort() override;
  size_t unsent_bytes() const override { return inner_.unsent_bytes(); }
  HttpExchange::Watcher* watcher() override { return this; }
  // RawRelay
  bool client_keeps_alive() const override { return raw_->client_keeps_alive(); }
  void start_raw(std::string_view head, bool keep_alive) override;
  size_t write_raw(std::string_view bytes) override;
  void finish_raw() override;
  // HttpExchange::Observer
  void on_client_gone() override;
  void on_drained() override;

  void note_bytes(size_t bytes);
  void note_usage(std::optional<uint32_t> prompt, std::optional<uint32_t> completion,
                  std::optional<uint32_t> cached);
  // The tenant's limits get back what is theirs, then it is reported: a client that has the end of
  // its answer finds room for the next request.
  void end(VisitEnd end);
  uint64_t counted_tokens(VisitEnd end) const;

  Visits& visits_;
  HttpExchange& inner_;
  RawRelay* raw_ = nullptr;  // of inner_, when somebody asked
  HttpExchange::Observer* observer_ = nullptr;
  const TimePoint began_;
  VisitReport report_;
  std::string method_, path_, model_, request_id_, route_, endpoint_;
  std::shared_ptr<const Tenant> tenant_;
  std::optional<TenantLease> lease_;
  uint64_t prompt_tokens_ = 0;  // estimated; 0: not yet
  std::optional<RequestApi> peeked_as_;
  std::optional<RequestPeek> peek_;
  UsageWatch usage_;
  StreamEvents events_;
};

// Of an exchange that the gateway's own code was given. Null: there are neither tenants nor an
// access log.
inline Visit* visit_of(HttpExchange& exchange) {
  return static_cast<Visit*>(exchange.watcher());
}

}  // namespace kvasir
