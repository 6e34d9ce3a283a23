#include "epp/exchange.h"

#include <utility>

#include "epp/epp_thread.h"
#include "scheduling/decision_trace.h"

namespace kvasir {

Exchange::Exchange(EppThread& thread, GrpcCall& call)
    : thread_(thread), call_(call), began_(thread.now()), whole_(began_) {
  protocol_.request_body_mode = protocol_.response_body_mode = ExtProcBodyMode::kFullDuplexStreamed;
  thread_.probe().on_stream_started();
}

Exchange::~Exchange() {
  thread_.loop().cancel(deadline_);
  leave_admission();
  thread_.release_body_bytes(body_.capacity());
}

// A request that is held must be so no longer before anybody else touches routed_. One that was
// dispatched meanwhile, and whose verdict is on its way, is over here.
void Exchange::leave_admission() {
  if (phase_ != Phase::kHeld || !ticket_) return;
  if (thread_.pool().admission().cancel(*ticket_)) return;
  routed_->ended();
  thread_.pool().admission().ended(*ticket_, 0, 0);
}

void Exchange::on_message(std::string_view message) {
  ExtProcRequest& request = thread_.request();
  if (const Result<void> read = read_ext_proc_request(message, request); !read) {
    return fail(GrpcCode::kInvalidArgument, "not a ProcessingRequest");
  }
  if (request.protocol) protocol_ = *request.protocol;
  if (request.metadata.subset && phase_ != Phase::kSentOn) {
    subset_.emplace(request.metadata.subset->begin(), request.metadata.subset->end());
  }
  using Kind = ExtProcRequest::Kind;
  switch (request.kind) {
    case Kind::kRequestHeaders:
      return on_request_headers(request);
    case Kind::kRequestBody:
      return on_request_body(request);
    case Kind::kRequestTrailers:
      return on_request_trailers();
    case Kind::kResponseHeaders:
      return on_response_headers(request);
    case Kind::kResponseBody:
      return on_response_body(request);
    case Kind::kResponseTrailers:
      return on_response_trailers();
    case Kind::kNone:
      return;  // of a later version of the protocol
  }
}

// Envoy ends its streams with a reset; other clients close them.
void Exchange::on_half_close() {
  end(answer_complete_ || phase_ != Phase::kSentOn ? Ending::kNatural : Ending::kClientGone);
  finish(GrpcCode::kOk);
}

void Exchange::on_gone() {
  const TimePoint now = thread_.now();
  end(answer_complete_ ? Ending::kNatural : Ending::kClientGone, now);
  thread_.probe().on_stream_ended(GrpcCode::kCancelled, now - began_);
  thread_.remove(*this);
}

void Exchange::fail(GrpcCode code, std::string_view message) {
  const TimePoint now = thread_.now();
  end(Ending::kError, now);
  call_.finish(code, message);
  thread_.probe().on_stream_ended(code, now - began_);
  thread_.remove(*this);
}

void Exchange::finish(GrpcCode code) {
  fail(code, {});
}

}  // namespace kvasir
