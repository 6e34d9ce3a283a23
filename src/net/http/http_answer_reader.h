// Reads the answers on one connection of an HttpClient from bytes, without the socket: skips
// interim answers, tells the observer of head and body, and finds what follows an answer that it
// does not belong to. Private to net/.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/http/http1_parser.h"
#include "net/http/http_client.h"

namespace kvasir {

class HttpAnswerReader final : private Http1Parser::BodySink {
 public:
  enum class State : uint8_t { kReading, kComplete, kFailed };

  explicit HttpAnswerReader(const HttpClientLimits& limits);

  // Gets ready for the answer to a request, a HEAD if `to_head`. `observer` hears on_head(),
  // on_body() and on_raw() only.
  void begin(HttpCallObserver& observer, bool to_head);
  // The observer hears no more. May be called from it.
  void stop() { observer_ = nullptr; }

  // Takes the next bytes of the connection. Once the state is not kReading, nothing more is to be
  // given before begin().
  State take(std::string_view bytes);
  State end_of_input();

  // The connection can carry another request: the answer lets it, and nothing came behind the
  // answer.
  bool reusable() const { return parser_.head().keep_alive() && !surplus_; }
  // Why the state is kFailed, for people.
  std::string_view fault() const { return fault_; }

 private:
  bool feed_once(std::string_view bytes, size_t& used);
  bool take_head();
  State fail(std::string_view fault);
  void on_body(std::string_view bytes) override {
    if (observer_ != nullptr) observer_->on_body(bytes);
  }

  Http1Parser parser_;
  const uint32_t interim_max_;
  HttpCallObserver* observer_ = nullptr;
  std::string_view fault_;
  uint32_t interim_answers_ = 0;
  bool to_head_ = false;
  bool surplus_ = false;
  State state_ = State::kComplete;
};

}  // namespace kvasir
