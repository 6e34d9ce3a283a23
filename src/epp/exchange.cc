#include "epp/exchange.h"

#include <utility>

#include "epp/epp_thread.h"

namespace kvasir {

Exchange::Exchange(EppThread& thread, GrpcCall& call)
    : thread_(thread), call_(call), journey_(thread.pool_thread(), *this) {
  protocol_.request_body_mode = protocol_.response_body_mode = ExtProcBodyMode::kFullDuplexStreamed;
  thread_.probe().on_stream_started();
}

Exchange::~Exchange() {
  thread_.release_body_bytes(body_.capacity());
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
  observed_ = request.observability_mode;
  using Kind = ExtProcRequest::Kind;
  if (phase_ == Phase::kHeld && request.kind >= Kind::kResponseHeaders) {
    return fail(GrpcCode::kInvalidArgument, "an answer came before its request went on");
  }
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
  end(answer_complete_ ? Ending::kNatural : Ending::kClientGone);
  thread_.probe().on_stream_ended(GrpcCode::kCancelled, thread_.now() - journey_.began());
  thread_.remove(*this);
}

void Exchange::fail(GrpcCode code, std::string_view message) {
  end(Ending::kError);
  call_.finish(code, message);
  thread_.probe().on_stream_ended(code, thread_.now() - journey_.began());
  thread_.remove(*this);
}

void Exchange::finish(GrpcCode code) {
  fail(code, {});
}

// Whoever only observes gets no answers: what they would say is not done, but the decision is
// reported like any other.
void Exchange::send(std::string_view rest) {
  if (!observed_) call_.send(thread_.message(), rest);
}

}  // namespace kvasir
