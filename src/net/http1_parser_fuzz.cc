// Feeds bytes to both parsers, whole and split in two: they must agree and never read out of bounds.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/assert.h"
#include "net/http1_parser.h"

namespace {

using kvasir::Http1Parser;

class Collector final : public Http1Parser::BodySink {
 public:
  void on_body(std::string_view bytes) override { body += bytes; }
  std::string body;
};

struct Outcome {
  Http1Parser::Failure failure;
  bool complete;
  std::string body;
  bool operator==(const Outcome&) const = default;
};

Outcome parse(Http1Parser::Kind kind, std::string_view input, size_t split) {
  Http1Parser parser(kind, 4096);
  Collector collector;
  size_t used = 0;
  for (const size_t end : {split, input.size()}) {
    for (bool progress = true; progress && !parser.complete();) {
      const bool had_head = parser.head_complete();
      const size_t taken = parser.feed(input.substr(used, end - used), collector);
      used += taken;
      if (parser.failure() != Http1Parser::Failure::kNone) break;
      progress = taken > 0 || had_head != parser.head_complete();
      if (used == end) progress = false;
    }
  }
  return {parser.failure(), parser.complete(), collector.body};
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const size_t split = data[0] % (input.size() + 1);
  for (const auto kind : {Http1Parser::Kind::kRequest, Http1Parser::Kind::kResponse}) {
    const Outcome whole = parse(kind, input, input.size());
    const Outcome parts = parse(kind, input, split);
    if (whole.complete && parts.complete) KVASIR_ASSERT(whole == parts, "splits do not change a message");
  }
  return 0;
}
