#include "gateway/filtered_exchange.h"

#include <utility>

#include "gateway/answer_head_text.h"
#include "gateway/gateway_error.h"
#include "net/http/http_status.h"
#include "routes/header_changes.h"

namespace kvasir {

FilteredExchanges::~FilteredExchanges() {
  for (FilteredExchange* const exchange : std::exchange(open_, {})) delete exchange;
}

FilteredExchange& FilteredExchanges::wrap(HttpExchange& exchange, AnswerFilters filters) {
  auto* const wrapped = new FilteredExchange(*this, exchange, std::move(filters));
  open_.insert(wrapped);
  return *wrapped;
}

FilteredExchange::FilteredExchange(FilteredExchanges& all, HttpExchange& inner,
                                   AnswerFilters filters)
    : all_(all),
      inner_(inner),
      filters_(std::move(filters)),
      origin_(filters_.cors != nullptr ? inner.head().find("Origin").value_or("") : "") {
  inner_.set_observer(this);
  if (filters_.time_limit) {
    timer_ = all_.executor().after(*filters_.time_limit, [this] {
      timer_ = kNoTimer;
      on_time_over();
    });
  }
}

FilteredExchange::~FilteredExchange() {
  all_.executor().cancel(timer_);
  all_.remove(*this);
}

// What is nearest to the backend comes first: of two that set one field the rule's wins, as in
// Envoy.
std::string FilteredExchange::changed(std::string_view fields) const {
  std::string text(fields);
  if (filters_.backend != nullptr && filters_.backend->filters.response_headers) {
    text = changed_fields(*filters_.backend->filters.response_headers, text);
  }
  if (filters_.rule != nullptr && filters_.rule->filters.response_headers) {
    text = changed_fields(*filters_.rule->filters.response_headers, text);
  }
  return filters_.cors == nullptr ? text : filters_.cors->answer_fields(origin_, text);
}

// Each end of the answer is this object's, too: nothing of it is touched after.

void FilteredExchange::respond(int status, std::string_view fields, std::string_view body) {
  const std::unique_ptr<FilteredExchange> self(this);
  inner_.respond(status, changed(fields), body);
}

void FilteredExchange::start(int status, std::string_view fields) {
  status_ = status;
  inner_.start(status, changed(fields));
}

void FilteredExchange::finish(std::string_view trailers) {
  const std::unique_ptr<FilteredExchange> self(this);
  inner_.finish(trailers);
}

void FilteredExchange::abort() {
  const std::unique_ptr<FilteredExchange> self(this);
  inner_.abort();
}

RawRelay* FilteredExchange::raw() {
  return inner_.raw() == nullptr ? nullptr : static_cast<RawRelay*>(this);
}

void FilteredExchange::start_raw(std::string_view head, bool keep_alive) {
  status_ = status_in(head);
  std::string changed_head(head.substr(0, head.find("\r\n") + 2));
  changed_head += changed(fields_in(head));
  inner_.raw()->start_raw(changed_head.append("\r\n"), keep_alive);
}

void FilteredExchange::finish_raw() {
  const std::unique_ptr<FilteredExchange> self(this);
  inner_.raw()->finish_raw();
}

void FilteredExchange::on_client_gone() {
  const std::unique_ptr<FilteredExchange> self(this);
  if (observer_ != nullptr) observer_->on_client_gone();
}

void FilteredExchange::on_drained() {
  if (observer_ != nullptr) observer_->on_drained();
}

void FilteredExchange::on_time_over() {
  const std::unique_ptr<FilteredExchange> self(this);
  if (observer_ != nullptr) std::exchange(observer_, nullptr)->on_time_over();
  if (status_ != 0) return inner_.abort();
  const ApiError error = gateway_error(kHttpGatewayTimeout, kTimeOverWords);
  inner_.respond(kHttpGatewayTimeout, changed(error_fields(error)), error_body(error));
}

}  // namespace kvasir
