#include "net/http1_parser.h"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <optional>

#include "base/assert.h"

namespace kvasir {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;

// Beast's callbacks for either kind of message, collected into an HttpHead and a sink.
template <bool kIsRequest>
class BeastParser final : public http::basic_parser<kIsRequest> {
  using View = boost::beast::string_view;
  static std::string_view plain(View view) { return {view.data(), view.size()}; }

 public:
  BeastParser(HttpHead& head, size_t head_bytes_max) : head_(head) {
    this->header_limit(static_cast<uint32_t>(head_bytes_max));
    this->body_limit(boost::none);
  }
  Http1Parser::BodySink* sink = nullptr;

 private:
  void on_request_impl(http::verb, View method, View target, int version, error_code&) override {
    head_.set_request_line(plain(method), plain(target), version % 10);
  }
  void on_response_impl(int status, View reason, int version, error_code&) override {
    head_.set_status_line(status, plain(reason), version % 10);
  }
  void on_field_impl(http::field, View name, View value, error_code&) override {
    head_.add_field(plain(name), plain(value));
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(boost::optional<uint64_t> const&, error_code&) override {}
  size_t on_body_impl(View body, error_code&) override {
    sink->on_body(plain(body));
    return body.size();
  }
  void on_chunk_header_impl(uint64_t, View, error_code&) override {}
  size_t on_chunk_body_impl(uint64_t, View body, error_code&) override {
    sink->on_body(plain(body));
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  HttpHead& head_;
};

// Whether every transfer coding but the last is absent and the last is chunked; the only form accepted.
bool only_chunked(const HttpHead& head) {
  const std::optional<std::string_view> coding = head.find("Transfer-Encoding");
  return !coding || equal_ignoring_case(*coding, "chunked");
}

}  // namespace

// One of the two Beast parsers, made anew for each message (Beast's cannot be reset).
class Http1Parser::Grammar {
 public:
  std::optional<BeastParser<true>> request;
  std::optional<BeastParser<false>> response;
  bool answers_head = false;

  template <class Use>
  auto with(Use&& use) {
    return request ? use(*request) : use(*response);
  }
};

Http1Parser::Http1Parser(Kind kind, size_t head_bytes_max)
    : kind_(kind), head_bytes_max_(head_bytes_max), grammar_(std::make_unique<Grammar>()) {
  reset();
}

Http1Parser::~Http1Parser() = default;

void Http1Parser::reset(bool answers_head) {
  head_.clear();
  failure_ = Failure::kNone;
  head_complete_ = complete_ = false;
  fixed_left_ = 0;
  grammar_->answers_head = answers_head;
  if (kind_ == Kind::kRequest) {
    grammar_->request.emplace(head_, head_bytes_max_);
  } else {
    grammar_->response.emplace(head_, head_bytes_max_);
    grammar_->response->skip(answers_head);
  }
}

bool Http1Parser::started() const {
  return grammar_->with([](auto& parser) { return parser.got_some(); });
}

size_t Http1Parser::feed(std::string_view input, BodySink& sink) {
  size_t consumed = 0;
  while (consumed < input.size() && failure_ == Failure::kNone && !complete_) {
    const std::string_view rest = input.substr(consumed);
    if (fixed_left_ > 0) {
      const size_t taken = std::min<uint64_t>(rest.size(), fixed_left_);
      sink.on_body(rest.substr(0, taken));
      consumed += taken;
      skip_body(taken);
      continue;
    }
    error_code error;
    const size_t taken = grammar_->with([&](auto& parser) {
      parser.sink = &sink;
      return parser.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    });
    consumed += taken;
    if (error == http::error::need_more) return consumed;
    if (error) {
      failure_ = error == http::error::header_limit ? Failure::kHeadTooLarge : Failure::kMalformed;
      return consumed;
    }
    const bool header_done = grammar_->with([](auto& parser) { return parser.is_header_done(); });
    if (header_done && !head_complete_) {
      on_head_complete();
      return consumed;
    }
    complete_ = complete_ || grammar_->with([](auto& parser) { return parser.is_done(); });
    if (taken == 0) break;
  }
  return consumed;
}

void Http1Parser::on_head_complete() {
  head_complete_ = true;
  grammar_->with([&](auto& parser) {
    parser.eager(true);
    const auto length = parser.content_length();
    head_.set_framing(length ? std::optional<uint64_t>(*length) : std::nullopt, parser.chunked(),
                      parser.keep_alive());
    complete_ = parser.is_done();
  });
  if (!only_chunked(head_) || (head_.chunked() && head_.find("Content-Length"))) {
    failure_ = Failure::kMalformed;
    return;
  }
  if (kind_ == Kind::kRequest && !head_.chunked() && !head_.content_length()) complete_ = true;
  if (!complete_ && !head_.chunked() && head_.content_length()) {
    fixed_left_ = *head_.content_length();
    complete_ = fixed_left_ == 0;
  }
}

void Http1Parser::end_of_input() {
  if (complete_ || failure_ != Failure::kNone) return;
  if (fixed_left_ > 0 || !head_complete_) {
    failure_ = Failure::kTruncated;
    return;
  }
  error_code error;
  grammar_->with([&](auto& parser) { parser.put_eof(error); });
  if (error) {
    failure_ = Failure::kTruncated;
  } else {
    complete_ = true;
  }
}

uint64_t Http1Parser::fixed_body_left() const { return fixed_left_; }

void Http1Parser::skip_body(uint64_t bytes) {
  KVASIR_ASSERT(bytes <= fixed_left_, "no more is skipped than is left");
  fixed_left_ -= bytes;
  complete_ = fixed_left_ == 0;
}

}  // namespace kvasir
