#include "gateway/visit.h"

#include <algorithm>
#include <utility>

#include "base/integer_text.h"
#include "gateway/visits.h"
#include "net/http/http_status.h"
#include "serving/journey.h"

namespace kvasir {
namespace {

// Of what clients write and logs repeat; a longer one is cut.
constexpr size_t kLoggedBytesMost = 256;

std::string_view cut_to_logged(std::string_view text) {
  return text.substr(0, kLoggedBytesMost);
}

// "HTTP/1.1 200 OK\r\n..."
int status_of_raw_head(std::string_view head) {
  const size_t begin = head.find(' ') + 1;
  return integer_of<int>(head.substr(begin, 3)).value_or(0);
}

}  // namespace

Visit::Visit(Visits& visits, HttpExchange& inner, TimePoint now)
    : visits_(visits),
      inner_(inner),
      began_(now),
      method_(inner.head().method()),
      path_(cut_to_logged(inner.head().path())) {
  inner_.set_observer(this);
  report_.request_bytes = inner.body().size();
}

void Visit::set_lease(TenantLease lease, uint64_t prompt_tokens) {
  lease_.emplace(std::move(lease));
  prompt_tokens_ = prompt_tokens;
}

void Visit::set_peek(RequestApi api, std::optional<RequestPeek> peek) {
  peeked_as_ = api;
  peek_ = std::move(peek);
  if (peek_) model_ = cut_to_logged(peek_->model);
}

void Visit::note(const Journey& journey, std::string_view endpoint) {
  const RequestNames& names = journey.names();
  const std::string_view model = names.model.empty() ? journey.request().model : names.model;
  if (!model.empty()) model_ = cut_to_logged(model);
  request_id_ = cut_to_logged(names.request_id);
  endpoint_ = endpoint;
  report_.held = journey.held();
  if (prompt_tokens_ == 0) prompt_tokens_ = journey.request().prompt_tokens;
  const UsageWatch& usage = journey.usage();
  note_usage(usage.prompt_tokens(), usage.completion_tokens(), usage.cached_tokens());
}

void Visit::note_usage(std::optional<uint32_t> prompt, std::optional<uint32_t> completion,
                       std::optional<uint32_t> cached) {
  report_.prompt_tokens = prompt;
  report_.completion_tokens = completion;
  report_.cached_tokens = cached;
}

// What stands in the peek are views of the body, and its texts are its own.
void Visit::release_body() {
  peeked_as_.reset();
  peek_.reset();
  inner_.release_body();
}

void Visit::set_target(std::string_view target, std::string_view host) {
  inner_.set_target(target, host);
}

void Visit::respond(int status, std::string_view fields, std::string_view body) {
  report_.status = status;
  note_bytes(body.size());
  end(VisitEnd::kComplete);
  std::string all(fields);
  if (tenant_ != nullptr) append_limit_fields(*tenant_, visits_.now(), all);
  inner_.respond(status, all, body);
  visits_.remove(*this);
}

void Visit::start(int status, std::string_view fields) {
  report_.status = status;
  std::string all(fields);
  if (tenant_ != nullptr) append_limit_fields(*tenant_, visits_.now(), all);
  inner_.start(status, all);
}

void Visit::write(std::string_view piece) {
  note_bytes(piece.size());
  inner_.write(piece);
}

void Visit::finish(std::string_view trailers) {
  end(VisitEnd::kComplete);
  inner_.finish(trailers);
  visits_.remove(*this);
}

RawRelay* Visit::raw() {
  raw_ = inner_.raw();
  return raw_ == nullptr ? nullptr : this;
}

// The limits stand behind the other fields, before the empty line.
void Visit::start_raw(std::string_view head, bool keep_alive) {
  report_.status = status_of_raw_head(head);
  if (tenant_ == nullptr || !tenant_->limits.any()) return raw_->start_raw(head, keep_alive);
  constexpr std::string_view kLineEnd = "\r\n";
  std::string all(head.substr(0, head.size() - kLineEnd.size()));
  append_limit_fields(*tenant_, visits_.now(), all);
  raw_->start_raw(all.append(kLineEnd), keep_alive);
}

size_t Visit::write_raw(std::string_view bytes) {
  note_bytes(bytes.size());
  return raw_->write_raw(bytes);
}

void Visit::finish_raw() {
  end(VisitEnd::kComplete);
  raw_->finish_raw();
  visits_.remove(*this);
}

void Visit::abort() {
  end(VisitEnd::kCut);
  inner_.abort();
  visits_.remove(*this);
}

// Who answers hears of it first, and tells what it knows.
void Visit::on_client_gone() {
  if (observer_ != nullptr) observer_->on_client_gone();
  end(VisitEnd::kClientGone);
  visits_.remove(*this);
}

void Visit::on_drained() {
  if (observer_ != nullptr) observer_->on_drained();
}

void Visit::note_bytes(size_t bytes) {
  report_.answer_bytes += bytes;
  if (!report_.first_byte && bytes > 0) report_.first_byte = visits_.now() - began_;
}

// An error costs nothing; a prompt whose client did not wait was worked on. Of an answer that says
// nothing of its usage the prompt counts as it was estimated, and each event of a stream for a
// token.
uint64_t Visit::counted_tokens(VisitEnd end) const {
  if (report_.prompt_tokens || report_.completion_tokens) {
    return report_.prompt_tokens.value_or(prompt_tokens_) + report_.completion_tokens.value_or(0);
  }
  const bool answered = report_.status >= kHttpOk && report_.status < kHttpErrors;
  const bool left_early = report_.status == 0 && end == VisitEnd::kClientGone;
  return answered || left_early ? prompt_tokens_ + events_.count() : 0;
}

void Visit::end(VisitEnd end) {
  if (!report_.prompt_tokens && !report_.completion_tokens) {
    note_usage(usage_.prompt_tokens(), usage_.completion_tokens(), usage_.cached_tokens());
  }
  report_.counted_tokens = counted_tokens(end);
  const TimePoint now = visits_.now();
  if (lease_) lease_->end(report_.counted_tokens, now);
  report_.tenant = tenant_.get();
  report_.request_id = request_id_;
  report_.method = method_;
  report_.path = path_;
  report_.model = model_;
  report_.route = route_;
  report_.endpoint = endpoint_;
  report_.end = end;
  if (end == VisitEnd::kClientGone) report_.status = kHttpClientClosedRequest;
  report_.total = now - began_;
  visits_.probe().on_visit_ended(report_);
}

}  // namespace kvasir
