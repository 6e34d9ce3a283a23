// The answer as it passes: noted, and given back unchanged.
#include <charconv>
#include <cstdio>

#include "epp/epp_thread.h"
#include "epp/exchange.h"
#include "net/http/http_status.h"

namespace kvasir {
namespace {

constexpr std::string_view kCacheKnowledge = "x-cache-knowledge";

int status_of(const ExtProcRequest& request) {
  const std::string_view text = request.header(":status").value_or("");
  int status = 0;
  std::from_chars(text.data(), text.data() + text.size(), status);
  return status;
}

// What clients are told of an endpoint.
std::string pod_name(const Endpoint& endpoint) {
  if (!endpoint.name.empty()) return endpoint.name;
  return to_string(HostPort{endpoint.host, endpoint.port});
}

}  // namespace

void Exchange::on_response_headers(const ExtProcRequest& request) {
  const TimePoint begin = thread_.now();
  const int status = status_of(request);
  journey_.answer_begins(status);
  const std::string_view type = request.header("content-type").value_or("");
  journey_.note_streaming(type.find("text/event-stream") != std::string_view::npos);
  const std::string_view served = request.metadata.served_endpoint;
  if (is_served_elsewhere(served)) journey_.note_served_elsewhere();
  const bool body_comes = protocol_.response_body_mode != ExtProcBodyMode::kNone;
  body_tells_ = journey_.scheduled() && status == kHttpOk &&
                !type.starts_with("application/grpc") && (body_comes || request.end_of_stream);
  if (!body_tells_) journey_.note_answered();
  if (body_tells_ && request.end_of_stream) judge_endpoint({});
  ExtProcHeadersAnswer& answer = thread_.headers_answer();
  answer.mutation.append = ExtProcAppend::kOverwrite;
  answer.mutation.set.push_back({"x-went-into-resp-headers", "true"});
  std::vector<std::pair<std::string, std::string>> fields;
  if (journey_.endpoint() != nullptr) fields = answer_fields(served);
  for (const auto& [name, value] : fields) answer.mutation.set.push_back({name, value});
  const bool tells = thread_.options().answer_headers && journey_.endpoint() != nullptr;
  if (tells && !journey_.decision().cached_exactly && request.header(kCacheKnowledge)) {
    answer.mutation.remove.push_back(kCacheKnowledge);  // the endpoint's own is not of our number
  }
  if (restorer_ && restores_body()) answer.mutation.remove.push_back("content-length");
  write_headers_answer(ExtProcSide::kResponse, answer, thread_.message());
  send();
  note_processed(begin);
  if (request.end_of_stream) {
    answer_complete_ = true;
    end(Ending::kNatural);
  }
}

void Exchange::on_response_body(const ExtProcRequest& request) {
  if (answer_complete_) {
    if (request.body.empty()) return;  // its end is told twice
    return fail(GrpcCode::kInvalidArgument, "an answer goes on after its end");
  }
  const TimePoint begin = thread_.now();
  if (body_tells_ && (request.end_of_stream || !request.body.empty())) judge_endpoint(request.body);
  journey_.first_byte();
  journey_.look(request.body);
  std::string_view body = request.body;
  if (restorer_) {
    restored_.clear();
    restorer_->feed(request.body, restored_);
    if (request.end_of_stream || is_whole_answer()) restorer_->flush(restored_);
    body = restored_;
  }
  if (streams_answer()) {
    for_each_chunk(body, [&](std::string_view chunk, bool last) {
      write_streamed_body_head(ExtProcSide::kResponse, chunk.size(), last && request.end_of_stream,
                               {}, thread_.message());
      send(chunk);
    });
  } else {
    ExtProcBodyAnswer answer;
    if (restorer_) answer.replaced_body = body;
    write_body_answer(ExtProcSide::kResponse, answer, thread_.message());
    send();
  }
  note_processed(begin);
  if (request.end_of_stream) {
    answer_complete_ = true;
    end(Ending::kNatural);
  }
}

void Exchange::on_response_trailers() {
  if (body_tells_) judge_endpoint({});
  if (restorer_ && streams_answer()) {
    // What was held back of a body that its trailers end.
    restored_.clear();
    restorer_->flush(restored_);
    if (!restored_.empty()) {
      write_streamed_body_head(ExtProcSide::kResponse, restored_.size(), false, {},
                               thread_.message());
      send(restored_);
    }
  }
  write_trailers_answer(ExtProcSide::kResponse, {}, thread_.message());
  send();
  answer_complete_ = true;
  end(Ending::kNatural);
}

bool Exchange::streams_answer() const {
  const ExtProcBodyMode mode = protocol_.response_body_mode;
  return mode == ExtProcBodyMode::kFullDuplexStreamed || mode == ExtProcBodyMode::kGrpc;
}

bool Exchange::is_whole_answer() const {
  const ExtProcBodyMode mode = protocol_.response_body_mode;
  return mode == ExtProcBodyMode::kBuffered || mode == ExtProcBodyMode::kBufferedPartial;
}

bool Exchange::restores_body() const {
  return protocol_.response_body_mode != ExtProcBodyMode::kNone;
}

void Exchange::note_processed(TimePoint begin) {
  const Duration took = thread_.now() - begin;
  journey_.note_work(took);
  thread_.probe().on_answer_processed(took);
}

bool Exchange::is_served_elsewhere(std::string_view served) const {
  const std::string_view picked = std::string_view(destination_).substr(0, destination_.find(','));
  return !served.empty() && served != picked;
}

// By a 200 whose body begins, or ends, here.
void Exchange::judge_endpoint(std::string_view first_bytes) {
  body_tells_ = false;
  journey_.look_for_error(first_bytes);
  journey_.note_answered();
}

void Exchange::end(Ending ending) {
  if (std::exchange(body_tells_, false)) journey_.note_answered();  // it never came
  journey_.end(ending);
}

// What the client is told with the answer. `served`: HOST:PORT of the endpoint that answers, as
// the gateway says; empty: it does not.
std::vector<std::pair<std::string, std::string>> Exchange::answer_fields(std::string_view served) {
  auto fields = journey_.answer_fields(served);
  if (!thread_.options().answer_headers) return fields;
  const Decision& decision = journey_.decision();
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", to_milliseconds(journey_.scheduling()));
  fields.emplace_back("x-selected-pod", pod_name(*journey_.endpoint()));
  fields.emplace_back("x-cache-hit", decision.cached_tokens > 0 ? "true" : "false");
  fields.emplace_back("x-cache-prefix-length", std::to_string(decision.cached_tokens));
  if (decision.cached_exactly) fields.emplace_back(kCacheKnowledge, "exact");
  fields.emplace_back("x-scheduling-time-ms", text);
  if (decision.prefill) {
    fields.emplace_back("x-prefill-pod", pod_name(*journey_.endpoint_at(*decision.prefill)));
    fields.emplace_back("x-decode-pod", pod_name(*journey_.endpoint()));
  }
  return fields;
}

}  // namespace kvasir
