// The answer side of the HTTP client: what a worker sends, whole and in pieces, to GET and to HEAD,
// with the connection's end behind it or not. What comes out must not depend on the pieces, and
// what is relayed must be read the same by whoever reads it next.
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "net/http/http_answer_reader.h"

namespace {

using kvasir::HttpAnswerReader;
using State = HttpAnswerReader::State;

struct Recorder final : kvasir::HttpCallObserver {
  void on_head(const kvasir::HttpHead& received) override {
    KVASIR_ASSERT(++heads == 1, "one head for each answer");
    head = received;
  }
  void on_body(std::string_view bytes) override {
    KVASIR_ASSERT(heads == 1, "the head comes first");
    body += bytes;
    if (body.size() >= stop_at && reader != nullptr) std::exchange(reader, nullptr)->stop();
  }
  void on_raw(std::string_view bytes) override {
    KVASIR_ASSERT(!bytes.empty(), "there is something");
    raw += bytes;
  }
  void on_end() override {}
  void on_failure(const kvasir::HttpFailure&) override {}

  kvasir::HttpHead head;
  std::string body, raw;
  int heads = 0;
  size_t stop_at = SIZE_MAX;
  HttpAnswerReader* reader = nullptr;
};

struct Outcome {
  State state;
  bool reusable;
  std::string body, raw;
  bool operator==(const Outcome&) const = default;
};

kvasir::HttpClientLimits limits() {
  kvasir::HttpClientLimits limits;
  limits.head_bytes = 1000;
  limits.head_fields = 16;
  limits.interim_answers = 3;
  return limits;
}

// `step`: bytes in each piece. Surplus that comes in a later piece is the connection's to notice,
// so `reusable` is only told of answers that were not complete before their last piece.
Outcome read(std::string_view input, size_t step, bool to_head, bool ends, Recorder& recorder) {
  HttpAnswerReader reader(limits());
  reader.begin(recorder, to_head);
  State state = State::kReading;
  while (!input.empty() && state == State::kReading) {
    const std::string_view piece = input.substr(0, step);
    input.remove_prefix(piece.size());
    state = reader.take(piece);
  }
  if (ends && input.empty()) state = reader.end_of_input();
  const bool complete = state == State::kComplete;
  return {state, complete && input.empty() && reader.reusable(), recorder.body, recorder.raw};
}

// The head as the gateway would write it, framing only.
std::string relayed(const Recorder& answer) {
  std::string head = "HTTP/1.1 200 OK\r\n";
  if (answer.head.chunked()) head += "Transfer-Encoding: chunked\r\n";
  if (answer.head.content_length()) {
    head += "Content-Length: " + std::to_string(*answer.head.content_length()) + "\r\n";
  }
  return head + "\r\n" + answer.raw;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const bool to_head = data[0] & 1;
  const bool ends = data[0] & 2;
  const size_t step = 1 + data[0] / 4;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);

  Recorder whole, parts;
  const Outcome at_once = read(input, input.size(), to_head, ends, whole);
  const Outcome in_pieces = read(input, step, to_head, ends, parts);
  KVASIR_ASSERT(at_once.state == in_pieces.state, "pieces do not change what becomes of an answer");
  if (at_once.state != State::kFailed) {
    KVASIR_ASSERT(at_once == in_pieces, "pieces do not change an answer");
  }

  if (at_once.state == State::kComplete && !to_head && !whole.body.empty()) {
    Recorder next;
    const Outcome again = read(relayed(whole), SIZE_MAX, false, true, next);
    KVASIR_ASSERT(again.state == State::kComplete && again.body == whole.body,
                  "the next reader reads the same");
  }

  Recorder stopped;  // an observer that gives up in the middle hears no more
  HttpAnswerReader reader(limits());
  stopped.stop_at = 1;
  stopped.reader = &reader;
  reader.begin(stopped, to_head);
  reader.take(input);
  return 0;
}
