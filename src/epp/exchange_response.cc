// The answer as it passes: noted, and given back unchanged.
#include <charconv>

#include "epp/epp_thread.h"
#include "epp/exchange.h"
#include "fleet/fleet.h"
#include "net/http/http_status.h"
#include "wire/request/error_answer.h"

namespace kvasir {
namespace {

constexpr Duration kFaultPause = std::chrono::seconds(1);

int status_of(const ExtProcRequest& request) {
  const std::string_view text = request.header(":status").value_or("");
  int status = 0;
  std::from_chars(text.data(), text.data() + text.size(), status);
  return status;
}

}  // namespace

void Exchange::on_response_headers(const ExtProcRequest& request) {
  const TimePoint begin = thread_.now();
  status_ = status_of(request);
  const std::string_view type = request.header("content-type").value_or("");
  streaming_ = type.find("text/event-stream") != std::string_view::npos;
  served_elsewhere_ = is_served_elsewhere(request.metadata.served_endpoint);
  const bool body_comes = protocol_.response_body_mode != ExtProcBodyMode::kNone;
  body_tells_ = routed_ && status_ == kHttpOk && !type.starts_with("application/grpc") &&
                (body_comes || request.end_of_stream);
  if (!body_tells_) judge_endpoint();
  if (body_tells_ && request.end_of_stream) look_for_error({});
  ExtProcHeadersAnswer& answer = thread_.headers_answer();
  answer.mutation.append = ExtProcAppend::kOverwrite;
  answer.mutation.set.push_back({"x-went-into-resp-headers", "true"});
  AnswerFields fields;
  if (chosen_) {
    fields =
        thread_.answer_fields(*chosen_, decision_, scheduling_, request.metadata.served_endpoint);
  }
  for (const auto& [name, value] : fields) answer.mutation.set.push_back({name, value});
  if (restorer_ && restores_body()) answer.mutation.remove.push_back("content-length");
  write_headers_answer(ExtProcSide::kResponse, answer, thread_.message());
  call_.send(thread_.message());
  const TimePoint done = note_processed(begin);
  if (request.end_of_stream) {
    answer_complete_ = true;
    end(Ending::kNatural, done);
  }
}

void Exchange::on_response_body(const ExtProcRequest& request) {
  if (answer_complete_) {
    if (request.body.empty()) return;  // its end is told twice
    return fail(GrpcCode::kInvalidArgument, "an answer goes on after its end");
  }
  const TimePoint begin = thread_.now();
  if (body_tells_ && (request.end_of_stream || !request.body.empty())) look_for_error(request.body);
  note_first_byte(begin);
  answer_bytes_ += request.body.size();
  usage_.look(request.body);
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
      call_.send(thread_.message(), chunk);
    });
  } else {
    ExtProcBodyAnswer answer;
    if (restorer_) answer.replaced_body = body;
    write_body_answer(ExtProcSide::kResponse, answer, thread_.message());
    call_.send(thread_.message());
  }
  const TimePoint done = note_processed(begin);
  if (request.end_of_stream) {
    answer_complete_ = true;
    end(Ending::kNatural, done);
  }
}

void Exchange::on_response_trailers() {
  if (body_tells_) look_for_error({});
  if (restorer_ && streams_answer()) {
    // What was held back of a body that its trailers end.
    restored_.clear();
    restorer_->flush(restored_);
    if (!restored_.empty()) {
      write_streamed_body_head(ExtProcSide::kResponse, restored_.size(), false, {},
                               thread_.message());
      call_.send(thread_.message(), restored_);
    }
  }
  write_trailers_answer(ExtProcSide::kResponse, {}, thread_.message());
  call_.send(thread_.message());
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

// Returns the time.
TimePoint Exchange::note_processed(TimePoint begin) {
  const TimePoint now = thread_.now();
  processing_ += now - begin;
  thread_.probe().on_answer_processed(now - begin);
  return now;
}

bool Exchange::is_served_elsewhere(std::string_view served) const {
  const std::string_view picked = std::string_view(destination_).substr(0, destination_.find(','));
  return !served.empty() && served != picked;
}

// Of a 200 whose body begins, or ends, here. Without a byte there is no answer, when a prompt was
// sent.
void Exchange::look_for_error(std::string_view first_bytes) {
  body_tells_ = false;
  failed_in_200_ =
      first_bytes.empty() ? routed_->request().prompt_bytes > 0 : is_error_answer(first_bytes);
  judge_endpoint();
}

// What the answer says of the endpoint that was picked: an error, or that another one had to answer
// for it.
void Exchange::judge_endpoint() {
  if (!routed_) return;
  const bool good = !served_elsewhere_ && status_ < kHttpServerErrors && !failed_in_200_;
  if (good) thread_.pool().feeds().report_served(decision_.endpoint);
  OutlierEjection* outliers = thread_.pool().feeds().outliers();
  if (outliers == nullptr) return;
  if (good) return outliers->succeeded(decision_.endpoint);
  outliers->failed(decision_.endpoint);
  // Failing is quick, and leaves an endpoint idle that must not be taken for a fast one.
  thread_.pool().scheduler().avoid(decision_.endpoint, kFaultPause);
}

void Exchange::note_first_byte(TimePoint now) {
  if (first_token_) return;
  first_token_ = now - began_;
  // Of an error it says nothing: no prompt was read for it.
  if (routed_ && status_ < kHttpErrors && !failed_in_200_) routed_->first_token();
}

void Exchange::end(Ending ending) { end(ending, thread_.now()); }

// Releases what is booked and reports, once.
void Exchange::end(Ending ending, TimePoint now) {
  if (std::exchange(body_tells_, false)) judge_endpoint();  // it never came: the status counts
  if (routed_ && booked_) {
    if (const auto tokens = usage_.prompt_tokens()) routed_->learn_prompt_tokens(*tokens);
    routed_->ended();
    thread_.pool().admission().ended(*ticket_, usage_.prompt_tokens().value_or(0),
                                     usage_.completion_tokens().value_or(0));
  }
  if (!std::exchange(booked_, false)) return;
  EndReport report;
  report.labels = labels();
  if (chosen_) report.endpoint_name = chosen_->name;
  report.status = status_;
  report.ending = ending;
  report.streaming = streaming_;
  report.total = now - began_;
  report.first_token = first_token_;
  report.answer_bytes = answer_bytes_;
  report.processing = processing_;
  report.prompt_tokens = usage_.prompt_tokens();
  report.completion_tokens = usage_.completion_tokens();
  report.cached_tokens = usage_.cached_tokens();
  thread_.probe().on_ended(report);
}

}  // namespace kvasir
