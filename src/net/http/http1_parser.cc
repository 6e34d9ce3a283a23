#include "net/http/http1_parser.h"

#include <algorithm>
#include <cstring>

#include "base/assert.h"

namespace kvasir {
namespace {

// Before a request line (RFC 9112 §2.2): some clients send one after a body.
constexpr uint32_t kEmptyLinesMax = 4;

bool has_no_body(int status) {
  return status / 100 == 1 || status == 204 || status == 304;
}

}  // namespace

Http1Parser::Http1Parser(Kind kind, Limits limits)
    : kind_(kind), limits_(limits), chunks_(limits.head_bytes) {}

void Http1Parser::reset(bool answers_head) {
  head_.clear();
  line_ = std::string();  // mostly empty: heads come whole
  chunks_.reset();
  failure_ = Failure::kNone;
  fault_ = "";
  head_bytes_ = fixed_left_ = 0;
  empty_lines_ = 0;
  line_seen_ = head_complete_ = complete_ = false;
  answers_head_ = answers_head;
}

size_t Http1Parser::feed(std::string_view input, BodySink& sink) {
  if (failure_ != Failure::kNone || complete_ || input.empty()) return 0;
  if (!head_complete_) return feed_head(input);
  if (head_.chunked()) return feed_chunks(input, sink);
  const bool fixed = head_.content_length().has_value();
  const size_t taken = fixed ? std::min<uint64_t>(input.size(), fixed_left_) : input.size();
  sink.on_body(input.substr(0, taken));
  if (fixed) skip_body(taken);
  return taken;
}

size_t Http1Parser::feed_head(std::string_view input) {
  size_t used = 0;
  while (used < input.size() && !head_complete_ && failure_ == Failure::kNone) {
    const size_t end = input.find('\n', used);
    const bool whole = end != std::string_view::npos;
    const std::string_view piece = input.substr(used, whole ? end + 1 - used : end);
    used += piece.size();
    head_bytes_ += piece.size();
    if (head_bytes_ > limits_.head_bytes) {
      fail(Failure::kHeadTooLarge, "the header fields are larger than is accepted");
    } else if (whole && line_.empty()) {
      take_line(piece);
    } else {
      line_.append(piece);
      if (whole) take_line(line_);
      if (whole) line_.clear();
    }
    // Other protocols are told by their first byte.
    if (!line_seen_ && !line_.empty() && line_.front() != '\r' && !is_token(line_.substr(0, 1))) {
      fail(Failure::kMalformed, "the first byte is not HTTP's");
    }
  }
  return used;
}

void Http1Parser::take_line(std::string_view line) {
  line.remove_suffix(1);
  if (!line.ends_with('\r')) return fail(Failure::kMalformed, "a line ends without CR");
  line.remove_suffix(1);
  if (!line_seen_) return take_first_line(line);
  if (line.empty()) return on_head_complete();
  if (head_.field_count() >= limits_.fields) {
    return fail(Failure::kHeadTooLarge, "there are more header fields than is accepted");
  }
  if (HttpFault fault = read_field_line(line, head_)) fail(Failure::kMalformed, fault);
}

void Http1Parser::take_first_line(std::string_view line) {
  if (line.empty() && kind_ == Kind::kRequest && ++empty_lines_ <= kEmptyLinesMax) return;
  line_seen_ = true;
  HttpFault fault =
      kind_ == Kind::kRequest ? read_request_line(line, head_) : read_status_line(line, head_);
  if (fault != nullptr) return fail(Failure::kMalformed, fault);
  if (head_.minor_version() == kOtherVersion) {
    const bool preface = empty_lines_ == 0 && kHttp2FirstLine.starts_with(line) &&
                         line.size() + 2 == kHttp2FirstLine.size();
    fail(preface ? Failure::kHttp2Preface : Failure::kUnknownVersion,
         "the version is not HTTP/1.1 or HTTP/1.0");
  }
}

void Http1Parser::on_head_complete() {
  head_complete_ = true;
  const bool is_request = kind_ == Kind::kRequest;
  const bool bodiless = !is_request && (answers_head_ || has_no_body(head_.status()));
  HttpFault fault = is_request ? read_request_framing(head_) : read_answer_framing(head_, bodiless);
  if (fault != nullptr) return fail(Failure::kMalformed, fault);
  if (bodiless) {
    complete_ = true;
  } else if (!head_.chunked()) {
    fixed_left_ = head_.content_length().value_or(0);
    complete_ = fixed_left_ == 0 && (is_request || head_.content_length());
  }
}

size_t Http1Parser::feed_chunks(std::string_view input, BodySink& sink) {
  const size_t used = chunks_.feed(input, sink);
  switch (chunks_.status()) {
    case Http1Chunks::Status::kMore:
    case Http1Chunks::Status::kTrailers:
      break;
    case Http1Chunks::Status::kComplete:
      complete_ = true;
      break;
    case Http1Chunks::Status::kMalformed:
      fail(Failure::kMalformed, "the chunks of the body are malformed");
      break;
    case Http1Chunks::Status::kTooLarge:
      fail(Failure::kHeadTooLarge,
           "the chunk extensions and trailer fields are larger than is accepted");
      break;
  }
  return used;
}

void Http1Parser::end_of_input() {
  if (complete_ || failure_ != Failure::kNone) return;
  const bool ends_so = head_complete_ && !head_.chunked() && !head_.content_length();
  if (!ends_so) return fail(Failure::kTruncated, "the connection ended before the message did");
  complete_ = true;
}

void Http1Parser::skip_body(uint64_t bytes) {
  KVASIR_ASSERT(bytes <= fixed_left_, "no more is skipped than is left");
  fixed_left_ -= bytes;
  complete_ = fixed_left_ == 0;
}

void Http1Parser::set_target(std::string_view target, std::string_view host) {
  head_.set_target(target);
  if (!host.empty()) head_.set_field("Host", host);
}

void Http1Parser::fail(Failure failure, HttpFault fault) {
  failure_ = failure;
  fault_ = fault;
}

}  // namespace kvasir
