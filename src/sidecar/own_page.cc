#include "sidecar/own_page.h"

#include <utility>

#include "legs/leg_requests.h"
#include "net/http/http_client.h"
#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "sidecar/sidecar_thread.h"

namespace kvasir {
namespace {

constexpr std::string_view kPlainPage = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace

OwnPage::OwnPage(SidecarThread& thread, HttpExchange& exchange, HttpClient& decoder,
                 const HostPort& address, Kind kind)
    : thread_(thread), exchange_(exchange), decoder_(to_string(address)), kind_(kind) {
  exchange_.set_observer(this);
  // A page in another format, or compressed, could not be gone on with.
  const std::string_view target = kind == Kind::kMetrics ? exchange.head().target() : "/health";
  request_.append("GET ").append(target).append(" HTTP/1.1\r\nHost: ");
  request_.append(decoder_).append("\r\nAccept: text/plain\r\n\r\n");
  deadline_ = thread_.loop().after(thread_.options().page_deadline, [this] {
    deadline_ = kNoTimer;
    answer("it has not answered in time");
  });
  call_ = &decoder.start(request_, {}, *this);
}

OwnPage::~OwnPage() {
  if (call_ != nullptr) call_->cancel();
  thread_.loop().cancel(deadline_);
}

void OwnPage::on_body(std::string_view bytes) {
  body_ += bytes;
  if (body_.size() > thread_.options().page_bytes_max) answer("its page is too large");
}

void OwnPage::on_failure(const HttpFailure& failure) {
  call_ = nullptr;
  answer(failure.message);
}

void OwnPage::on_client_gone() {
  thread_.remove(*this);
}

void OwnPage::answer(const std::string& problem) {
  if (problem.empty()) call_ = nullptr;
  std::string why = problem;
  if (why.empty() && head_.status() != 200) why = "it answers " + std::to_string(head_.status());
  kind_ == Kind::kMetrics ? answer_metrics(std::move(why)) : answer_ready(std::move(why));
  thread_.remove(*this);
}

void OwnPage::answer_metrics(std::string problem) {
  std::string page;
  std::string_view type = kPlainPage;
  if (problem.empty()) {
    type = head_.find("content-type").value_or(kPlainPage);
    page = std::move(body_);
    if (!page.empty() && page.back() != '\n') page += '\n';
  } else {
    page = "# no page of the decode worker at " + decoder_ + ": " + problem + "\n";
  }
  page += thread_.metrics_page(page);
  exchange_.respond(kHttpOk, std::string("Content-Type: ").append(type).append("\r\n"), page);
}

void OwnPage::answer_ready(std::string problem) {
  const PrefillerAllowlist* const allowlist = thread_.options().allowlist;
  if (problem.empty() && allowlist != nullptr && !allowlist->settled()) {
    const ApiError error = leg_error(kHttpServiceUnavailable, "allowlist_unknown",
                                     "which prefill workers may be named is not known yet");
    return exchange_.respond(error.status, leg_error_fields(error), error_body(error));
  }
  if (problem.empty()) return exchange_.respond(kHttpOk, "", "");
  const ApiError error =
      leg_error(kHttpServiceUnavailable, "decode_upstream_error",
                "the decode worker at " + decoder_ + " is not ready: " + problem);
  exchange_.respond(error.status, leg_error_fields(error), error_body(error));
}

}  // namespace kvasir
