// The request side of an exchange: reading it and deciding where it goes.
#include <algorithm>

#include "config/request_parsers.h"
#include "epp/epp_thread.h"
#include "epp/exchange.h"
#include "net/http/http_path.h"
#include "net/io/event_loop.h"
#include "wire/request/grpc_request.h"
#include "wire/request/gzip_reader.h"

namespace kvasir {
namespace {

// A body announced longer than this is believed as it arrives.
constexpr size_t kAnnouncedBytesMax = 1024 * 1024;

size_t announced_length(std::string_view text) {
  size_t length = 0;
  for (const char c : text) {
    if (c < '0' || c > '9' || length > kAnnouncedBytesMax) return 0;
    length = 10 * length + static_cast<size_t>(c - '0');
  }
  return length <= kAnnouncedBytesMax ? length : 0;
}

// The path as the endpoint will read it: another spelling must not be decided on otherwise.
// `storage` keeps it when it is another than the given one.
Result<std::string_view> normal_path(std::string_view path, std::string& storage) {
  if (!path.starts_with('/') || is_normal_target(path)) return path;
  Result<NormalTarget> normal = normal_target(path);
  if (!normal) return normal.error();
  if (normal->encoded_slash) {
    return Error{"the path has an encoded slash, which can be read in two ways"};
  }
  storage = std::move(normal->target);
  return std::string_view(storage);
}

bool is_whole(ExtProcBodyMode mode) {
  return mode == ExtProcBodyMode::kBuffered || mode == ExtProcBodyMode::kBufferedPartial;
}

}  // namespace

// Whether Envoy lets the body come although the headers are not answered yet.
bool Exchange::defers_headers() const {
  const ExtProcBodyMode mode = protocol_.request_body_mode;
  if (mode == ExtProcBodyMode::kFullDuplexStreamed || mode == ExtProcBodyMode::kGrpc) return true;
  return mode == ExtProcBodyMode::kStreamed && protocol_.body_without_waiting_for_header_response;
}

void Exchange::on_request_headers(const ExtProcRequest& request) {
  if (phase_ != Phase::kHeaders)
    return fail(GrpcCode::kInvalidArgument, "request_headers came twice");
  headers_seen_ = true;
  if (!head_.take(request.headers, thread_.options().header_bytes_max)) {
    return static_cast<void>(refuse_request(431, "the request's headers are too large"));
  }
  journey_.names().request_id = head_.find(kRequestIdHeader);
  phase_ = Phase::kBody;
  body_ended_ = request.end_of_stream;
  if (body_ended_) return decide_without_body();
  if (const size_t length = announced_length(head_.find("content-length"))) {
    if (thread_.take_body_bytes(length)) body_.prepare(length);
  }
  if (defers_headers()) return;
  if (is_whole(protocol_.request_body_mode)) return send_headers_answer(false);
  decide();  // no body will come before this is answered
}

void Exchange::on_request_body(const ExtProcRequest& request) {
  if (body_ended_) {
    if (request.body.empty()) return;  // the end is told twice: there is nothing left to answer
    return fail(GrpcCode::kInvalidArgument, "a body goes on after its end");
  }
  body_ended_ = request.end_of_stream;
  if (phase_ == Phase::kSentOn) return send_body_answer(false);  // STREAMED, decided by the headers
  if (phase_ == Phase::kHeld)
    return fail(GrpcCode::kInvalidArgument, "a body goes on after its end");
  phase_ = Phase::kBody;  // without headers when Envoy is told to skip them
  if (!keep_body(request.body)) return;
  ++unanswered_chunks_;
  if (request.end_of_stream || protocol_.request_body_mode == ExtProcBodyMode::kBufferedPartial)
    decide();
}

void Exchange::on_request_trailers() {
  if (phase_ == Phase::kHeld)
    return;  // of a request whose end was seen: nothing is to be done for them
  if (phase_ == Phase::kSentOn) {
    write_trailers_answer(ExtProcSide::kRequest, {}, thread_.message());
    return send();
  }
  ends_with_trailers_ = body_ended_ = true;
  decide();
}

bool Exchange::keep_body(std::string_view bytes) {
  const size_t before = body_.capacity();
  if (body_.size() + bytes.size() > thread_.options().body_bytes_max) {
    return refuse_request(413, "the request's body is too large");
  }
  if (body_.size() + bytes.size() > before) {
    const size_t wanted = std::max(body_.size() + bytes.size(), 2 * before);
    if (!thread_.take_body_bytes(wanted - before)) {
      refuse({429, "ResourceExhausted", "rejected-saturated", "too many request bodies are held"});
      return false;
    }
    body_.prepare(wanted - body_.size());
  }
  body_.append(bytes);
  return true;
}

// A GET or the like: any endpoint can answer it.
void Exchange::decide_without_body() {
  journey_.note_whole();
  Journey::More more;
  more.allowed = thread_.allowed(subset_);
  const std::string_view target =
      request_path([this](std::string_view name) -> std::optional<std::string_view> {
        return head_.find(name);
      });
  more.resets_cache = resets_cache(head_.find(":method"), target);
  if (!journey_.start_anywhere(std::move(more))) {
    return refuse({500, "Internal", "", "no pods available in datastore"});
  }
  send_decision();
}

void Exchange::decide() {
  journey_.note_whole();
  request_bytes_ = body_.size();
  std::optional<RequestPeek> peek;
  if (!read_body(peek)) return;
  phase_ = Phase::kHeld;
  Journey::More more;
  more.headers = head_.fields();
  more.body_bytes = request_bytes_;
  more.allowed = thread_.allowed(subset_);
  more.body = inflated_.empty() ? body_.view() : std::string_view(inflated_);
  more.authorization = head_.find("authorization");
  journey_.start(peek, std::move(more));
}

// False: it was refused.
bool Exchange::read_body(std::optional<RequestPeek>& peek) {
  const std::string_view path =
      request_path([this](std::string_view name) -> std::optional<std::string_view> {
        return head_.find(name);
      });
  std::string storage;
  const Result<std::string_view> normal = normal_path(path, storage);
  if (!normal) return refuse_request(400, normal.error().message);
  const std::optional<RequestRoute> route = thread_.pool_thread().parsers()->find(*normal);
  if (!route) {
    refuse({404, "NotFound", "", "no parser takes this path"});
    return false;
  }
  const bool passes = route->parser == RequestParser::kPassthrough;
  const bool names_model =
      !passes && route->parser != RequestParser::kSglangHttp && !is_grpc(route->api);
  if (body_.size() > 0 && route->api != RequestApi::kOpaque) {
    Result<RequestPeek> read = peek_body(route->api);
    if (read) {
      peek = std::move(*read);
    } else if (!passes) {
      return refuse_request(400, read.error().message);
    }
  }
  RequestNames& names = journey_.names();
  if (peek && !names_model) names.model = names.target_model = peek->model;  // there may be none
  if (peek && names_model) {
    if (!take_model(*peek)) return false;
    peek->model = names.target_model;  // that is whose cache and adapter count
  }
  return true;
}

// A compressed body is read in a copy; its bytes go on as they came.
Result<RequestPeek> Exchange::peek_body(RequestApi api) {
  const ContentCoding coding = content_coding(head_.find("content-encoding"));
  if (is_grpc(api)) return read_grpc_request(body_.view(), api);
  if (coding == ContentCoding::kIdentity) return read_request(body_.view(), api);
  InflateLimits limits;
  limits.output_bytes = thread_.options().body_bytes_max;
  Result<std::string> inflated =
      inflate_body(coding, body_.view(), limits, ByteBuffer::kReadablePadding);
  if (!inflated) {
    return Error{"error unmarshaling request bodyMap: " + inflated.error().message};
  }
  inflated_ = std::move(*inflated);
  return read_request(inflated_, api);
}

// Whose model it is, and under which name the endpoint gets it. False: it was refused.
bool Exchange::take_model(const RequestPeek& peek) {
  RequestNames& names = journey_.names();
  names.model = peek.model;
  const std::string_view rewritten = head_.find(kModelRewriteHeader);
  names.target_model = rewritten.empty() ? names.model : std::string(rewritten);
  // A rule for the client's model counts more than the header, as upstream.
  std::optional<std::string> ruled = thread_.pool_thread().rewritten_model(names.model);
  if (ruled) names.target_model = *ruled;
  if (names.target_model.empty()) return refuse_request(400, kModelNotFound);
  if (names.target_model == names.model) return true;
  if (!inflated_.empty() && !ruled) {
    return refuse_request(400, "the model of a compressed body cannot be rewritten");
  }
  if (protocol_.request_body_mode == ExtProcBodyMode::kStreamed) {
    return refuse_request(400, "the model of a STREAMED body cannot be rewritten");
  }
  // Who compressed the body knows nothing of the rule: it goes on as it was before that.
  const std::string_view body = inflated_.empty() ? body_.view() : std::string_view(inflated_);
  rewrite_ = splice_model(body, peek.model_json, names.target_model);
  restorer_ = std::make_unique<ModelRestorer>(names.target_model, names.model);
  return true;
}

// Ends the exchange.
void Exchange::refuse(const JourneyRefusal& refusal) {
  journey_.refused(refusal);
  send_refusal(refusal);
}

// The request itself is wrong. Returns false.
bool Exchange::refuse_request(int status, std::string_view text) {
  refuse({status, "BadRequest", "", text});
  return false;
}

}  // namespace kvasir
