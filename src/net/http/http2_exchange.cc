#include "net/http/http2_exchange.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/text.h"
#include "net/http/body_budget.h"
#include "net/http/http2_server_connection.h"
#include "net/http/http_status.h"

namespace kvasir {
namespace {

// Head and body of a request are charged in steps of this much.
constexpr size_t kStreamChargeBytes = 4 * 1024;
// An output buffer that grew beyond this is not kept for what follows.
constexpr size_t kKeptOutputBytes = 16 * 1024;
constexpr std::string_view kNoRoom =
    "too many bytes of requests are held at this time; try again soon";

// What an answer's head over HTTP/2 does not have.
bool is_of_connection(std::string_view name) {
  for (const std::string_view one :
       {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}) {
    if (equal_ignoring_case(name, one)) return true;
  }
  return false;
}

// Appends what "Name: value\r\n" lines say.
void append_fields(std::string_view lines, std::vector<Http2Field>& fields) {
  while (!lines.empty()) {
    const std::string_view line = lines.substr(0, lines.find("\r\n"));
    lines.remove_prefix(std::min(line.size() + 2, lines.size()));
    const size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0) continue;
    const std::string_view name = line.substr(0, colon);
    if (!is_of_connection(name)) fields.push_back({name, trimmed(line.substr(colon + 1))});
  }
}

}  // namespace

Http2Exchange::Http2Exchange(Http2ServerConnection& connection, int32_t id)
    : connection_(connection),
      id_(id),
      request_({connection.limits().head_bytes, connection.limits().head_fields}),
      began_(connection.now()),
      last_progress_(began_) {}

Http2Exchange::~Http2Exchange() {
  if (charged_bytes_ > 0) connection_.bodies()->give_back(charged_bytes_);
}

// --- The request -----------------------------------------------------------------------

void Http2Exchange::on_field(std::string_view name, std::string_view value) {
  if (phase_ != Phase::kHead) return;
  request_.take_field(name, value);
  // Compressed, a few bytes may stand for very many: such a head is not even read to its end.
  constexpr size_t kTimesTooLarge = 4;
  if (request_.bytes() > kTimesTooLarge * connection_.limits().head_bytes) {
    connection_.give_up(Http2Error::kEnhanceYourCalm);
  }
}

void Http2Exchange::on_head_end(bool ends) {
  const HttpServerLimits& limits = connection_.limits();
  phase_ = Phase::kBody;
  began_ = last_progress_ = connection_.now();
  if (const Http2RequestHead::Fault fault = request_.finish(); fault.status != 0) {
    return refuse(fault.status, fault.reason);
  }
  const auto expect = head().find("expect");
  if (expect && !equal_ignoring_case(*expect, "100-continue")) {
    return refuse(417, "the only expectation that is understood is 100-continue");
  }
  const uint64_t announced = head().content_length().value_or(0);
  if (announced > limits.body_bytes) return refuse_large_body();
  const bool has_room =
      connection_.bodies() == nullptr || connection_.bodies()->has_room_for(announced);
  if (!has_room || !charge()) return refuse(503, kNoRoom);
  if (expect && !ends) connection_.session().inform(id_, "100");
}

void Http2Exchange::on_data(std::string_view bytes) {
  if (phase_ != Phase::kBody) return;  // of a request that was refused
  last_progress_ = connection_.now();
  if (bytes.size() > connection_.limits().body_bytes - body_.size()) return refuse_large_body();
  body_.append(bytes);
  if (!charge()) refuse(503, kNoRoom);
}

void Http2Exchange::on_half_close() {
  if (phase_ != Phase::kBody) return;
  const auto announced = head().content_length();
  if (announced && *announced != body_.size()) {
    return refuse(400, "the body is not as long as Content-Length says");
  }
  phase_ = Phase::kWhole;
  connection_.note_whole(*this);
}

// Counts what came of the request against the budget of all. False: there is none left.
bool Http2Exchange::charge() {
  const size_t held = request_.bytes() + body_.size();
  if (connection_.bodies() == nullptr || held <= charged_bytes_) return true;
  const size_t wanted = (held + kStreamChargeBytes - 1) / kStreamChargeBytes * kStreamChargeBytes;
  if (!connection_.bodies()->take(wanted - charged_bytes_, held)) return false;
  charged_bytes_ = wanted;
  return true;
}

void Http2Exchange::hand_over() {
  phase_ = Phase::kAnswering;
  connection_.handler().on_request(*this);
}

void Http2Exchange::set_target(std::string_view target, std::string_view host) {
  request_.editable_head().set_target(target);
  if (!host.empty()) request_.editable_head().set_field("Host", host);
}

void Http2Exchange::release_body() {
  body_.release();
  if (charged_bytes_ > 0) connection_.bodies()->give_back(std::exchange(charged_bytes_, 0));
}

void Http2Exchange::refuse_large_body() {
  refuse(413, "the request body is larger than the " +
                  std::to_string(connection_.limits().body_bytes) +
                  " bytes that this server accepts");
}

// The client need not send the rest: the session says so behind the answer.
void Http2Exchange::refuse(int status, std::string_view reason) {
  release_body();
  HttpHandler::Refusal refusal = connection_.handler().on_refused(status, reason);
  if (status == kHttpServiceUnavailable) refusal.fields.append("Retry-After: 1\r\n");
  respond(status, refusal.fields, refusal.body);
}

// --- The answer ------------------------------------------------------------------------

bool Http2Exchange::is_bodiless(int status) const {
  return kvasir::is_bodiless(status) || head().method() == "HEAD";
}

void Http2Exchange::send_head(int status, std::string_view fields, bool with_body) {
  const std::string number = std::to_string(status);
  std::vector<Http2Field> all{{":status", number}};
  append_fields(fields, all);
  connection_.session().respond(id_, all, with_body);
  connection_.schedule_write();
}

void Http2Exchange::respond(int status, std::string_view fields, std::string_view body) {
  std::string all(fields);
  if (!kvasir::is_bodiless(status)) {
    all.append("content-length: ").append(std::to_string(body.size())).append("\r\n");
  }
  const bool with_body = !is_bodiless(status) && !body.empty();
  send_head(status, all, with_body);
  if (with_body) queue(body);
  end_answer(Phase::kAnswered);
}

void Http2Exchange::start(int status, std::string_view fields) {
  if (!is_bodiless(status)) return send_head(status, fields, true);
  // The stream ends with this head, and the handler is not done with it.
  late_status_ = status;
  late_fields_ = fields;
}

void Http2Exchange::write(std::string_view piece) {
  if (late_status_ != 0 || piece.empty()) return;
  queue(piece);
}

void Http2Exchange::queue(std::string_view bytes) {
  if (phase_ == Phase::kClosed) return;
  if (output_size() == 0) {
    last_progress_ = connection_.now();
    connection_.session().resume(id_);
  }
  if (taken_ > output_.size() / 2) output_.remove_prefix(std::exchange(taken_, 0));
  output_.append(bytes);
  connection_.schedule_write();
}

void Http2Exchange::finish(std::string_view trailers) {
  if (late_status_ != 0) {
    send_head(std::exchange(late_status_, 0), std::exchange(late_fields_, {}), false);
  } else {
    trailers_ = trailers;
    connection_.session().resume(id_);
    connection_.schedule_write();
  }
  end_answer(Phase::kAnswered);
}

void Http2Exchange::abort() {
  if (output_size() == 0) reset(Http2Error::kInternal);
  end_answer(Phase::kCut);
}

void Http2Exchange::end_answer(Phase phase) {
  observer_ = nullptr;
  if (phase_ != Phase::kClosed) phase_ = phase;
  last_progress_ = connection_.now();
  release_body();
}

void Http2Exchange::reset(Http2Error why) {
  connection_.session().reset(id_, why);
  connection_.schedule_write();
}

std::string_view Http2Exchange::take_output(size_t size) {
  const std::string_view taken = output_.view().substr(taken_, size);
  taken_ += taken.size();
  last_progress_ = connection_.now();
  return taken;
}

bool Http2Exchange::send_trailers() {
  std::vector<Http2Field> fields;
  append_fields(trailers_, fields);
  if (fields.empty()) return false;
  connection_.session().send_trailers(id_, fields);
  return true;
}

void Http2Exchange::on_written() {
  if (output_size() > 0) return;
  output_.clear();
  taken_ = 0;
  if (output_.capacity() > kKeptOutputBytes) output_.release();
  if (phase_ == Phase::kCut) return reset(Http2Error::kInternal);
  if (phase_ == Phase::kAnswering && observer_ != nullptr) observer_->on_drained();
}

// --- Time and end ----------------------------------------------------------------------

bool Http2Exchange::on_closed(uint32_t error) {
  const Phase before = std::exchange(phase_, Phase::kClosed);
  const bool in_request = before == Phase::kHead || before == Phase::kBody;
  if (in_request && error == static_cast<uint32_t>(Http2Error::kProtocol)) {
    // The session has refused it, without an answer: the handler's counts know of it.
    connection_.handler().on_refused(400, "the request breaks the rules of HTTP/2");
  }
  HttpExchange::Observer* const observer = std::exchange(observer_, nullptr);
  if (before == Phase::kAnswering && observer != nullptr) observer->on_client_gone();
  return before < Phase::kAnswered;
}

bool Http2Exchange::check_time(TimePoint now) {
  const HttpServerLimits& limits = connection_.limits();
  switch (phase_) {
    case Phase::kHead:
      return now - began_ < limits.head_timeout;  // nothing else can come before its end
    case Phase::kBody:
      if (now - last_progress_ >= limits.body_timeout ||
          now - began_ >= limits.whole_body_timeout) {
        refuse(408, "the request's body did not arrive in time");
      }
      return true;
    default:
      if (output_size() > 0 && now - last_progress_ >= limits.write_timeout) {
        reset(Http2Error::kCancel);
      }
      return true;
  }
}

}  // namespace kvasir
