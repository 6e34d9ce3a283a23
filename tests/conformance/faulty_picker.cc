#include "faulty_picker.h"

#include <algorithm>

#include "wire/ext_proc/ext_proc_response.h"

namespace kvasir {
namespace {

constexpr char kDestination[] = "x-gateway-destination-endpoint";

bool allowed(const std::vector<std::string_view>& subset, const std::string& endpoint,
             bool needs_port) {
  const std::string ip = endpoint.substr(0, endpoint.rfind(':'));
  return std::any_of(subset.begin(), subset.end(), [&](std::string_view entry) {
    return entry == endpoint || (!needs_port && entry == ip);
  });
}

}  // namespace

std::string FaultyPicker::pick(const ExtProcMetadata& metadata) {
  const bool any = !metadata.subset || commits(Fault::kSubsetIgnored) ||
                   (metadata.subset->empty() && commits(Fault::kEmptySubsetIsAny));
  for (size_t i = 0; i < pool_.size(); ++i) {
    const std::string& endpoint = pool_[turn_++ % pool_.size()];
    if (any || allowed(*metadata.subset, endpoint, commits(Fault::kSubsetNeedsPort)))
      return endpoint;
  }
  return "";
}

class FaultyPicker::ScriptedExchange final : public GrpcCall::Observer {
 public:
  ScriptedExchange(FaultyPicker& picker, GrpcCall& call) : picker_(picker), call_(call) {
    picker_.open_.insert(this);
  }
  ~ScriptedExchange() override { picker_.open_.erase(this); }

  void on_message(std::string_view message) override {
    if (!read_ext_proc_request(message, request_)) return on_garbage();
    if (request_.protocol) mode_ = request_.protocol->request_body_mode;
    switch (request_.kind) {
      case ExtProcRequest::Kind::kRequestHeaders:
        return on_request_headers();
      case ExtProcRequest::Kind::kRequestBody:
        return on_request_body();
      case ExtProcRequest::Kind::kRequestTrailers:
        return on_request_trailers();
      case ExtProcRequest::Kind::kResponseHeaders:
        return on_response_headers();
      case ExtProcRequest::Kind::kResponseBody:
        return on_response_body();
      case ExtProcRequest::Kind::kResponseTrailers:
        return on_response_trailers();
      case ExtProcRequest::Kind::kNone:
        return;
    }
  }
  void on_half_close() override { end(GrpcCode::kOk, ""); }
  void on_gone() override { delete this; }

 private:
  bool commits(Fault fault) const { return picker_.commits(fault); }
  bool duplex() const {
    return mode_ == ExtProcBodyMode::kFullDuplexStreamed || mode_ == ExtProcBodyMode::kNone;
  }

  void end(GrpcCode code, std::string_view message) {
    call_.finish(code, message);
    delete this;
  }

  void on_garbage() {
    if (commits(Fault::kGarbageIgnored)) return;
    if (commits(Fault::kSickAfterGarbage)) picker_.healthy_ = false;
    if (commits(Fault::kGarbageEndsAll)) {
      const std::set<ScriptedExchange*> others = picker_.open_;
      for (ScriptedExchange* other : others) {
        if (other != this) other->end(GrpcCode::kInternal, "another stream sent garbage");
      }
    }
    end(GrpcCode::kInvalidArgument, "not a ProcessingRequest");
  }

  // --- The request ---------------------------------------------------------------------

  void on_request_headers() {
    saw_headers_ = true;
    headers_.clear();
    for (const ExtProcHeader& header : request_.headers)
      headers_.emplace_back(header.key, header.value);
    if (request_.end_of_stream) {
      if (commits(Fault::kBodylessUnanswered)) return;
      decide();
      if (!pick_.empty()) return answer_headers();
      refuse(503, "inference error: ServiceUnavailable - no endpoint", "");
      return;
    }
    if (!duplex() && !commits(Fault::kBufferedIgnored)) {
      decide();
      return answer_headers();
    }
    if (commits(Fault::kHeadersAtOnce)) {
      decide();
      answer_headers();
    }
  }

  std::string& body() { return commits(Fault::kExchangesMixed) ? picker_.shared_body_ : body_; }

  void on_request_body() {
    if (!duplex() && !commits(Fault::kBufferedIgnored)) return on_buffered_body();
    body().append(request_.body);
    if (!request_.end_of_stream) return;
    if (answer_request(true)) close_behind_decision();
  }

  void on_request_trailers() {
    if (answered_) return;
    if (commits(Fault::kTrailersDoNotEnd)) return;
    if (!answer_request(false)) return;
    if (!refused_) send_trailers(ExtProcSide::kRequest);
    close_behind_decision();
  }

  // Left alone. Without headers, the answer to the body carries the pick.
  void on_buffered_body() {
    if (saw_headers_) {
      write_body_answer(ExtProcSide::kRequest, {}, message_);
      return call_.send(message_);
    }
    if (commits(Fault::kHeadersRequired)) return end(GrpcCode::kInvalidArgument, "no headers");
    decide();
    ExtProcBodyAnswer answer;
    answer.mutation.set = {{kDestination, pick_}};
    write_body_answer(ExtProcSide::kRequest, answer, message_);
    call_.send(message_);
  }

  void decide() {
    pick_ = picker_.pick(request_.metadata);
    if (picker_.pool_.empty()) {
      if (commits(Fault::kNobodyIsPicked)) pick_ = "192.0.2.200:1";
      return;
    }
    if (commits(Fault::kHostName)) pick_ = "worker-1.example:8000";
    if (commits(Fault::kForeignEndpoint) && !request_.metadata.subset) pick_ = "192.0.2.200:1";
  }

  bool body_is_bad() const {
    const std::string& text = body_;
    if (commits(Fault::kAnyBodyTaken) || commits(Fault::kExchangesMixed)) return false;
    const bool object = text.size() > 1 && text.front() == '{' && text.back() == '}';
    const bool model =
        commits(Fault::kModelNotNeeded) || text.find("\"model\"") != std::string::npos;
    return !object || !model;
  }

  void close_behind_decision() {
    if (refused_) return;
    if (commits(Fault::kClosesAfterDecision)) return end(GrpcCode::kOk, "");
    if (commits(Fault::kClosesAfterDecisionBadly)) end(GrpcCode::kInternal, "tired");
  }

  // False: the stream ended, and this exchange with it.
  bool answer_request(bool end_of_stream) {
    answered_ = true;
    if (body_is_bad()) return refuse(400, "inference error: BadRequest - not a request", "");
    if (!commits(Fault::kHeadersAtOnce)) decide();
    if (pick_.empty()) {
      return refuse(503, "inference error: ServiceUnavailable - no endpoint",
                    "rejected-no-endpoints");
    }
    if (commits(Fault::kBodyBeforeHeaders)) send_request_body(end_of_stream);
    if (!commits(Fault::kHeadersAtOnce)) answer_headers();
    if (!commits(Fault::kBodyBeforeHeaders)) send_request_body(end_of_stream);
    body().clear();
    return true;
  }

  // As answer_request().
  bool refuse(uint32_t status, std::string_view text, std::string_view reason) {
    refused_ = true;
    const bool as_grpc_error =
        commits(Fault::kRefusalIsGrpcError) ||
        (commits(Fault::kNobodyIsGrpcError) && picker_.pool_.empty());
    if (as_grpc_error && status == 503) {
      end(GrpcCode::kUnavailable, text);
      return false;
    }
    ExtProcImmediate answer;
    answer.status = commits(Fault::kRefusalIs200) && status == 503 ? 200 : status;
    if (!reason.empty() && !commits(Fault::kReasonMissing)) {
      answer.mutation.set = {{"x-llm-d-request-dropped-reason", reason}};
    }
    answer.body = text;
    write_immediate_answer(answer, message_);
    call_.send(message_);
    if (commits(Fault::kTalksAfterRefusal)) send_request_body(true);
    return true;
  }

  void answer_headers() {
    ExtProcHeadersAnswer answer;
    answer.clear_route_cache = !commits(Fault::kRouteCacheKept);
    const std::string length =
        std::to_string(body().size() + (commits(Fault::kWrongContentLength) ? 1 : 0));
    if (!commits(Fault::kHeaderMissing)) answer.mutation.set.push_back({kDestination, pick_});
    if (answered_) answer.mutation.set.push_back({"Content-Length", length});
    echo_headers(answer.mutation);
    if (commits(Fault::kMetadataOtherValue)) {
      answer.metadata = {{kDestination, "192.0.2.99:8000"}};
    } else if (commits(Fault::kMetadataOtherNamespace)) {
      answer.metadata = {{"x-gateway-destination", pick_}};
    } else if (!commits(Fault::kMetadataMissing)) {
      answer.metadata = {{kDestination, pick_}};
    }
    write_headers_answer(ExtProcSide::kRequest, answer, message_);
    call_.send(message_);
  }

  // As the reference does: all but the system's own, pseudo-headers included.
  void echo_headers(ExtProcMutation& mutation) {
    for (const auto& header : headers_) {
      if (header.first == "content-length") continue;
      if (header.first == kDestination && !commits(Fault::kClientDestinationPassedOn)) continue;
      const bool changed = header.first == ":path" && commits(Fault::kPseudoHeaderChanged);
      mutation.set.push_back({header.first, changed ? std::string_view("/") : header.second});
    }
  }

  void send_piece(ExtProcSide side, std::string_view piece, bool end_of_stream) {
    write_streamed_body_head(side, piece.size(), end_of_stream, {}, message_);
    call_.send(message_, piece);
  }

  void send_request_body(bool end_of_stream) {
    std::string& whole = body();
    if (commits(Fault::kBodyCorrupted) && !whole.empty()) whole[whole.size() / 2] ^= 1;
    if (commits(Fault::kLargeBodyCorrupted) && whole.size() > kExtProcChunkBytes) {
      whole.erase(kExtProcChunkBytes, 1);
    }
    const bool end = end_of_stream && !commits(Fault::kEndMissing);
    if (commits(Fault::kOversizedPieces)) return send_piece(ExtProcSide::kRequest, whole, end);
    for_each_chunk(whole, [&](std::string_view piece, bool last) {
      send_piece(ExtProcSide::kRequest, piece, last && end);
    });
    if (commits(Fault::kEndTwice)) send_piece(ExtProcSide::kRequest, "", true);
  }

  // --- The response --------------------------------------------------------------------

  void on_response_headers() {
    if (commits(Fault::kResponseHeadersLate)) {
      late_headers_ = true;
      return;
    }
    write_headers_answer(ExtProcSide::kResponse, {}, message_);
    call_.send(message_);
    if (commits(Fault::kClosesAfterResponseHeaders)) end(GrpcCode::kOk, "");
  }

  void on_response_body() {
    if (late_headers_) {
      late_headers_ = false;
      write_headers_answer(ExtProcSide::kResponse, {}, message_);
      call_.send(message_);
    }
    const bool end = request_.end_of_stream;
    if (commits(Fault::kResponsePieceSwallowed) && ++response_pieces_ == 2 &&
        request_.body.size() < 1000)
      return;
    std::string piece(request_.body);
    if (commits(Fault::kResponseChanged)) std::replace(piece.begin(), piece.end(), '\n', ' ');
    send_piece(ExtProcSide::kResponse, piece, end && !commits(Fault::kResponseEndLost));
  }

  void on_response_trailers() {
    if (!commits(Fault::kResponseTrailersUnanswered)) send_trailers(ExtProcSide::kResponse);
  }

  void send_trailers(ExtProcSide side) {
    write_trailers_answer(side, {}, message_);
    call_.send(message_);
  }

  FaultyPicker& picker_;
  GrpcCall& call_;
  ExtProcRequest request_;
  std::string message_;
  ExtProcBodyMode mode_ = ExtProcBodyMode::kNone;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::string body_;
  std::string pick_;
  bool saw_headers_ = false;
  bool answered_ = false;
  bool refused_ = false;
  bool late_headers_ = false;
  int response_pieces_ = 0;
};

void FaultyPicker::on_call(GrpcCall& call) {
  call.set_observer(*new ScriptedExchange(*this, call));
}

}  // namespace kvasir
