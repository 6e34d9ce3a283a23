#include "net/http/http1_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "base/text.h"
#include "net/http/body_budget.h"
#include "net/http/http2_server_connection.h"
#include "net/io/tls_context.h"

namespace kvasir {
namespace {

// A body of unknown good faith gets its memory in steps of at least this much.
constexpr size_t kBodyStepBytes = 1024 * 1024;
// How long a refused client may go on sending before the connection is cut.
constexpr Duration kLingerTimeout = std::chrono::seconds(5);
// A body buffer larger than this is not kept for the connection's next request, and is charged to the server's budget.
constexpr size_t kKeptBodyBytes = 16 * 1024;
// In steps of this much.
constexpr size_t kChargedBytes = 64 * 1024;
// What a client is told that meets an exhausted budget.
constexpr std::string_view kBodiesRefused =
    "too many bytes of requests are held at this time; try again soon";
constexpr std::string_view kRetryField = "Retry-After: 1\r\n";

}  // namespace

Http1Connection::Http1Connection(HttpConnections& server, Descriptor socket)
    : server_(server),
      loop_(server.loop),
      transport_(std::move(socket), server.tls == nullptr ? nullptr : server.tls->open_session()),
      parser_(Http1Parser::Kind::kRequest, {server.limits.head_bytes, server.limits.head_fields}),
      deadline_(loop_, [this] { on_deadline(); }) {
  set_no_delay(transport_.socket());
  watched_ = EPOLLIN;
  loop_.watch(transport_.socket().get(), watched_, *this);
  deadline_.arm(transport_.encrypted() ? server_.limits.handshake_timeout
                                       : server_.limits.keep_alive_timeout);
}

Http1Connection::~Http1Connection() {
  if (closed_) return;
  loop_.unwatch(transport_.socket().get(), *this);
  stop_charging();
}

void Http1Connection::on_io(uint32_t events) {
  if ((events & EPOLLOUT) && !closed_) {
    if (!transport_.flush()) return client_gone();
    if (transport_.unsent() == 0) on_flushed();
  }
  if (closed_) return;
  const bool answering = phase_ == Phase::kAnswering || phase_ == Phase::kFlushing;
  if ((events & (EPOLLHUP | EPOLLERR)) && answering) return client_gone();  // both ways are shut
  if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_all();
}

// One that reads or answers finds out by itself.
void Http1Connection::close_when_idle() {
  if (phase_ == Phase::kIdle && !closed_) close_now();
}

// --- Reading ---------------------------------------------------------------------------------------

// As long as there is more that the loop would not tell of.
void Http1Connection::read_all() {
  do on_readable();
  while (!closed_ && transport_.more() && (watched_ & EPOLLIN) != 0);
}

void Http1Connection::on_readable() {
  if (phase_ == Phase::kBody && read_into_body()) return;
  char* scratch = loop_.scratch();
  size_t room = EventLoop::kScratchBytes;
  if (phase_ == Phase::kAnswering || phase_ == Phase::kFlushing) {
    room = std::min(room, server_.limits.pipelined_bytes + 1 -
                              std::min(input_.size(), server_.limits.pipelined_bytes));
  }
  const bool was_ready = transport_.ready();
  const Transport::Reading reading = transport_.read(scratch, room);
  if (lost(reading.status)) return;
  if (!was_ready && transport_.ready()) {
    if (transport_.agreed_on_http2()) return become_http2({}, {scratch, reading.size});
    deadline_.arm(server_.limits.keep_alive_timeout);
  }
  if (reading.size > 0) return consume({scratch, reading.size});
  update_watch();  // a handshake has output too
}

// Whether there was no input because none will come.
bool Http1Connection::lost(Transport::Status status) {
  if (status == Transport::Status::kEnd) on_end_of_input();
  if (status == Transport::Status::kBroken)
    transport_.turn_plain() ? refuse_plain() : client_gone();
  return status == Transport::Status::kEnd || status == Transport::Status::kBroken;
}

// What it asked for is not known: it was read as TLS.
void Http1Connection::refuse_plain() {
  constexpr std::string_view kWhy = "this port takes HTTPS only, and the request came without TLS";
  phase_ = Phase::kAnswering;
  keep_alive_ = false;
  refused_ = true;
  server_.handler.on_refused(400, kWhy);  // for its counts: a browser shows the text as it is
  respond(400, "Content-Type: text/plain\r\n", std::string(kWhy) + "; ask for https://...\n");
}

// Reads a fixed-length body straight into its buffer. False: not that kind of body.
bool Http1Connection::read_into_body() {
  const uint64_t left = parser_.fixed_body_left();
  if (left == 0) return false;
  const size_t room = std::min<uint64_t>(left, std::max(kBodyStepBytes, body_.size()));
  const Transport::Reading reading = transport_.read(body_.prepare(room), room);
  if (lost(reading.status) || reading.size == 0) return true;
  body_.commit(reading.size);
  parser_.skip_body(reading.size);
  if (!charge()) {
    refuse(503, kBodiesRefused);
  } else if (parser_.complete()) {
    answer_request();
  } else {
    arm_for_input();
  }
  return true;
}

// Counts what came of the request against the budget of all. False: there is none left.
bool Http1Connection::charge() {
  const size_t held = parser_.head_bytes() + body_.size();
  if (server_.bodies == nullptr || held <= std::max(charged_bytes_, kKeptBodyBytes)) return true;
  const size_t wanted = (held + kChargedBytes - 1) / kChargedBytes * kChargedBytes;
  if (!server_.bodies->take(wanted - charged_bytes_, held)) return false;
  charged_bytes_ = wanted;
  return true;
}

void Http1Connection::give_body_back() {
  body_.clear();
  if (body_.capacity() > kKeptBodyBytes) body_.release();
  stop_charging();
}

void Http1Connection::stop_charging() {
  if (charged_bytes_ > 0) server_.bodies->give_back(std::exchange(charged_bytes_, 0));
}

void Http1Connection::consume(std::string_view bytes) {
  switch (phase_) {
    case Phase::kLingering:
      return;
    case Phase::kAnswering:
    case Phase::kFlushing:
      input_.append(bytes);
      return update_watch();
    default:
      break;
  }
  if (input_.size() > 0) {
    input_.append(bytes);
    return consume_input();
  }
  const size_t used = parse(bytes);
  if (!closed_) input_.append(bytes.substr(used));
}

void Http1Connection::consume_input() {
  const size_t used = parse(input_.view());
  if (closed_) return;
  input_.remove_prefix(used);
  update_watch();
  if (input_ended_ && phase_ <= Phase::kBody) on_end_of_input();
}

size_t Http1Connection::parse(std::string_view bytes) {
  parsing_ = true;
  size_t used = 0;
  while (used < bytes.size() && !closed_ && phase_ <= Phase::kBody) {
    const bool had_head = parser_.head_complete();
    used += parser_.feed(bytes.substr(used), *this);
    if (phase_ == Phase::kIdle && parser_.started()) phase_ = Phase::kHead;
    if (parser_.failure() == Http1Parser::Failure::kHttp2Preface && may_become_http2()) {
      become_http2(Http1Parser::kHttp2FirstLine, bytes.substr(used));
    } else if (parser_.failure() != Http1Parser::Failure::kNone) {
      refuse_malformed();
    } else if (!had_head && parser_.head_complete()) {
      charge() ? on_parsed_head() : refuse(503, kBodiesRefused);
    } else if (body_.size() > server_.limits.body_bytes) {
      refuse_large_body();
    } else if (!charge()) {
      refuse(503, kBodiesRefused);
    } else if (parser_.complete()) {
      answer_request();
    }
  }
  parsing_ = false;
  if (!closed_ && phase_ <= Phase::kBody) arm_for_input();
  return used;
}

// With TLS the handshake says what is spoken.
bool Http1Connection::may_become_http2() const {
  return server_.limits.http2 && fresh_ && !transport_.encrypted();
}

// `begun` and `rest`: what the client has said.
void Http1Connection::become_http2(std::string_view begun, std::string_view rest) {
  closed_ = true;
  loop_.unwatch(transport_.socket().get(), *this);
  deadline_.cancel();
  auto* const successor = new Http2ServerConnection(server_, std::move(transport_));
  server_.add(*successor);
  server_.remove(*this);
  successor->begin(begun, rest);
}

void Http1Connection::on_body(std::string_view bytes) {
  if (body_.size() <= server_.limits.body_bytes) body_.append(bytes);
}

void Http1Connection::refuse_large_body() {
  refuse(413, "the request body is larger than the " + std::to_string(server_.limits.body_bytes) +
                  " bytes that this server accepts");
}

void Http1Connection::refuse_malformed() {
  switch (parser_.failure()) {
    case Http1Parser::Failure::kHeadTooLarge: return refuse(431, parser_.fault());
    case Http1Parser::Failure::kHttp2Preface:
    case Http1Parser::Failure::kUnknownVersion: return refuse(505, parser_.fault());
    default: return refuse(400, parser_.fault());
  }
}

void Http1Connection::on_parsed_head() {
  const HttpHead& head = parser_.head();
  const uint64_t announced = head.content_length().value_or(0);
  if (!expectation_is_met()) return refuse(417, "the only expectation that is understood is 100-continue");
  if (announced > server_.limits.body_bytes) {
    return refuse_large_body();
  }
  if (announced > kKeptBodyBytes && server_.bodies != nullptr &&
      !server_.bodies->has_room_for(announced)) {
    return refuse(503, kBodiesRefused);
  }
  if (parser_.complete()) return answer_request();
  phase_ = Phase::kBody;
  body_due_ = loop_.now() + server_.limits.whole_body_timeout;
  if (head.minor_version() >= 1 && head.find("Expect")) send("HTTP/1.1 100 Continue\r\n\r\n");
}

// HTTP/1.0 knows no expectations: they are ignored there.
bool Http1Connection::expectation_is_met() {
  const auto expect = parser_.head().find("Expect");
  return !expect || parser_.head().minor_version() == 0 || equal_ignoring_case(*expect, "100-continue");
}

void Http1Connection::answer_request() {
  phase_ = Phase::kAnswering;
  deadline_.disarm();
  keep_alive_ = parser_.head().keep_alive() && !server_.close_after_answers;
  server_.handler.on_request(*this);
}

void Http1Connection::refuse(int status, std::string_view reason) {
  phase_ = Phase::kAnswering;
  keep_alive_ = false;
  refused_ = true;
  give_body_back();
  HttpHandler::Refusal refusal = server_.handler.on_refused(status, reason);
  if (status == 503) refusal.fields.append(kRetryField);
  respond(status, refusal.fields, refusal.body);
}

// The client closed its side, or all of it: that looks the same. One that waits for its answer gets it.
void Http1Connection::on_end_of_input() {
  const bool in_request = phase_ == Phase::kHead || phase_ == Phase::kBody;
  if (in_request) return refuse(400, "the connection ended before the request was complete");
  if (phase_ != Phase::kAnswering && phase_ != Phase::kFlushing) return client_gone();
  input_ended_ = true;
  update_watch();
  if (transport_.unsent() == 0) deadline_.arm(server_.limits.half_close_patience);
}

// Bytes that a client must accept before its answer (RFC 9110 §15.2); if nobody is there, a reset comes back.
void Http1Connection::probe_client() {
  if (answer_begun_ || parser_.head().minor_version() == 0) return;
  send("HTTP/1.1 100 Continue\r\n\r\n");
}

// --- Answering -------------------------------------------------------------------------------------

std::string Http1Connection::answer_head(int status, std::string_view fields,
                                         std::string_view framing) const {
  std::string head = "HTTP/1.1 ";
  head.append(std::to_string(status)).append(" ").append(status_text(status)).append("\r\n");
  head.append(fields).append(framing);
  if (!keep_alive_) {
    head.append("Connection: close\r\n");
  } else if (parser_.head().minor_version() == 0) {
    head.append("Connection: keep-alive\r\n");
  }
  return head.append("\r\n");
}

void Http1Connection::send(std::string_view first, std::string_view second) {
  if (closed_) return;
  const bool waits = (watched_ & EPOLLOUT) != 0;
  answer_begun_ = answer_begun_ || phase_ >= Phase::kAnswering;
  if (!transport_.send(first, second)) {
    // The handler is in the middle of a call: it learns of the loss from the loop, not from here.
    shutdown(transport_.socket().get(), SHUT_RDWR);
    return;
  }
  if (!waits && transport_.unsent() > 0) {
    update_watch();
    deadline_.arm(server_.limits.write_timeout);
  }
}

void Http1Connection::end_answer() {
  if (transport_.unsent() > 0) send({});  // a head that was kept for the body's first bytes
  observer_ = nullptr;
  phase_ = Phase::kFlushing;
  if (transport_.unsent() == 0) on_flushed();
}

void Http1Connection::on_flushed() {
  update_watch();
  if (phase_ <= Phase::kBody) {
    // It was a handshake's or an interim answer: the client has to send now.
    if (transport_.ready()) arm_for_input();
    return;
  }
  deadline_.disarm();
  if (phase_ == Phase::kAnswering) {
    if (observer_ != nullptr) observer_->on_drained();
    return;
  }
  if (phase_ != Phase::kFlushing) return;
  if (refused_) return linger();
  if (!keep_alive_) return close_now();
  next_request();
}

void Http1Connection::next_request() {
  parser_.reset();
  give_body_back();
  phase_ = Phase::kIdle;
  fresh_ = false;
  chunked_answer_ = answer_begun_ = false;
  if ((server_.draining || input_ended_) && input_.size() == 0) return close_now();
  if (parsing_) return;  // parse() goes on with what is left
  if (input_.size() > 0) {
    consume_input();
  } else {
    deadline_.arm(server_.limits.keep_alive_timeout);
  }
}

void Http1Connection::linger() {
  if (input_ended_) return close_now();
  phase_ = Phase::kLingering;
  transport_.end_sending();
  deadline_.arm(kLingerTimeout);
}

// --- Time and end ----------------------------------------------------------------------------------

void Http1Connection::update_watch() {
  if (closed_) return;
  uint32_t events = 0;
  const bool has_room = input_.size() <= server_.limits.pipelined_bytes || phase_ <= Phase::kBody;
  if (has_room && !input_ended_) events |= EPOLLIN;
  if (transport_.unsent() > 0) events |= EPOLLOUT;
  if (events == watched_) return;
  const bool resumed = (events & ~watched_ & EPOLLIN) != 0;
  watched_ = events;
  loop_.modify(transport_.socket().get(), events, *this);
  if (!resumed || !transport_.more()) return;
  loop_.defer(lifeline_.guard([this] {
    if (!closed_ && transport_.more() && (watched_ & EPOLLIN) != 0) read_all();
  }));
}

void Http1Connection::arm_for_input() {
  const HttpServerLimits& limits = server_.limits;
  switch (phase_) {
    case Phase::kIdle:
      return deadline_.arm(limits.keep_alive_timeout);
    case Phase::kHead:
      return deadline_.arm_sooner(limits.head_timeout);
    default:
      return deadline_.arm(std::min<Duration>(limits.body_timeout, body_due_ - loop_.now()));
  }
}

void Http1Connection::on_deadline() {
  switch (phase_) {
    case Phase::kHead:
      return refuse(408, "the request's head did not arrive in time");
    case Phase::kBody:
      return refuse(408, "the request's body did not arrive in time");
    case Phase::kIdle:
    case Phase::kLingering:
      return close_now();
    default:
      if (transport_.unsent() == 0) return probe_client();  // it ended its side
      return client_gone();                            // it does not read its answer
  }
}

void Http1Connection::client_gone() {
  if (closed_) return;
  HttpExchange::Observer* observer = phase_ == Phase::kAnswering ? observer_ : nullptr;
  observer_ = nullptr;
  close_now();
  if (observer != nullptr) observer->on_client_gone();
}

void Http1Connection::close_now() {
  if (closed_) return;
  closed_ = true;
  // An answer that is cut must not look as if it were whole.
  if (phase_ != Phase::kAnswering) transport_.say_goodbye();
  loop_.unwatch(transport_.socket().get(), *this);
  deadline_.cancel();
  if (phase_ <= Phase::kBody) body_.release();  // else its handler may still look at it
  stop_charging();
  server_.remove(*this);
}

}  // namespace kvasir
