// Feeds bytes whole, split in two, and byte by byte: the events must be the same.
#include <cstdint>
#include <string>
#include <vector>

#include "base/assert.h"
#include "wire/sse_scanner.h"

namespace {

class Events final : public kvasir::SseScanner::Sink {
 public:
  void on_event(std::string_view data) override { list.emplace_back(data); }
  std::vector<std::string> list;
};

std::vector<std::string> scan(std::string_view bytes, size_t first_piece, size_t piece) {
  kvasir::SseScanner scanner;
  Events events;
  for (size_t at = 0, next = first_piece; at < bytes.size(); at += next, next = piece) {
    const std::string copy(bytes.substr(at, next));
    KVASIR_ASSERT(scanner.feed(copy, events), "the input is below the limit");
  }
  return events.list;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const auto whole = scan(bytes, bytes.size(), bytes.size());
  const size_t split = 1 + data[0] % bytes.size();
  KVASIR_ASSERT(scan(bytes, split, bytes.size()) == whole, "a split does not change events");
  KVASIR_ASSERT(scan(bytes, 1, 1) == whole, "splits do not change events");

  kvasir::SseScanner small(32);
  Events events;
  for (size_t at = 0; at < bytes.size(); at += 7) small.feed(bytes.substr(at, 7), events);
  for (const std::string& event : events.list) KVASIR_ASSERT(event.size() <= 32, "the limit holds");
  return 0;
}
