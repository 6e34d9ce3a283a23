#include "net/http/http_answer_reader.h"

namespace kvasir {

HttpAnswerReader::HttpAnswerReader(const HttpClientLimits& limits)
    : parser_(Http1Parser::Kind::kResponse, {limits.head_bytes, limits.head_fields}),
      interim_max_(limits.interim_answers) {}

void HttpAnswerReader::begin(HttpCallObserver& observer, bool to_head) {
  observer_ = &observer;
  to_head_ = to_head;
  surplus_ = false;
  interim_answers_ = 0;
  fault_ = {};
  state_ = State::kReading;
  parser_.reset(to_head);
}

HttpAnswerReader::State HttpAnswerReader::take(std::string_view bytes) {
  size_t used = 0;
  while (state_ == State::kReading && observer_ != nullptr && used < bytes.size()) {
    if (!feed_once(bytes, used)) break;
  }
  surplus_ = state_ == State::kComplete && used < bytes.size();
  return state_;
}

// Feeds the parser what is left of `bytes` and reports it. False: the observer gave up.
bool HttpAnswerReader::feed_once(std::string_view bytes, size_t& used) {
  const size_t begin = used;
  const bool had_head = parser_.head_complete();
  const bool in_trailers = parser_.in_trailers();
  used += parser_.feed(bytes.substr(begin), *this);
  if (observer_ == nullptr) return false;
  if (parser_.failure() != Http1Parser::Failure::kNone) {
    fail(parser_.fault());
    return true;
  }
  if (!had_head) {
    if (parser_.head_complete() && !take_head()) return true;
  } else if (!in_trailers) {
    observer_->on_raw(bytes.substr(begin, used - begin));
  } else if (parser_.complete()) {
    observer_->on_raw("\r\n");  // the end, without the trailer fields
  }
  if (parser_.complete()) state_ = State::kComplete;
  return observer_ != nullptr;
}

// False: it was an interim answer, and the next head follows, or it cannot be taken.
bool HttpAnswerReader::take_head() {
  const int status = parser_.head().status();
  if (status / 100 != 1) {
    observer_->on_head(parser_.head());
    return true;
  }
  if (status == 101) {
    fail("it switches protocols without being asked");
  } else if (++interim_answers_ > interim_max_) {
    fail("there are too many interim answers");
  } else {
    parser_.reset(to_head_);
  }
  return false;
}

HttpAnswerReader::State HttpAnswerReader::end_of_input() {
  if (state_ != State::kReading) return state_;
  parser_.end_of_input();
  if (!parser_.complete()) return fail(parser_.fault());
  return state_ = State::kComplete;
}

HttpAnswerReader::State HttpAnswerReader::fail(std::string_view fault) {
  fault_ = fault;
  return state_ = State::kFailed;
}

}  // namespace kvasir
