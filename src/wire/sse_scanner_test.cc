#include "wire/sse_scanner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace kvasir {
namespace {

using ::testing::ElementsAre;

class Events final : public SseScanner::Sink {
 public:
  void on_event(std::string_view data) override { list.emplace_back(data); }
  std::vector<std::string> list;
};

std::vector<std::string> scan(std::string_view bytes, size_t piece_bytes) {
  SseScanner scanner;
  Events events;
  for (size_t at = 0; at < bytes.size(); at += piece_bytes) {
    // A copy of its own, so that a view kept too long is found by the sanitizer.
    const std::string piece(bytes.substr(at, piece_bytes));
    EXPECT_TRUE(scanner.feed(piece, events));
  }
  return events.list;
}

TEST(SseScanner, EventsAreTheSameInAnySplit) {
  const struct {
    std::string bytes;
    std::vector<std::string> events;
  } cases[] = {
      {"data: a\n\ndata: b\n\n", {"a", "b"}},
      {"data: a\r\n\r\ndata: b\r\n\r\n", {"a", "b"}},
      {"data:a\n\n", {"a"}},
      {"data:  a\n\n", {" a"}},
      {"data: a\ndata: b\n\n", {"a\nb"}},
      {"data\ndata: b\n\n", {"\nb"}},
      {"data:\n\n", {""}},
      {": comment\n\nevent: x\nid: 1\ndata: a\nretry: 5\n\n", {"a"}},
      {"\n\n\ndata: {\"x\": \"data: y\"}\n\n", {"{\"x\": \"data: y\"}"}},
      {"data: cut", {}},
      {"data: cut\n", {}},
      {"database: a\n\n", {}},
      {"data: a\n\ndata: long enough to leave the small string buffer\n\ndata: [DONE]\n\n",
       {"a", "long enough to leave the small string buffer", "[DONE]"}},
  };
  for (const auto& one : cases) {
    for (size_t piece = 1; piece <= one.bytes.size(); ++piece) {
      EXPECT_EQ(scan(one.bytes, piece), one.events) << one.bytes << " in pieces of " << piece;
    }
  }
}

TEST(SseScanner, EventsBeyondTheLimitEndTheStream) {
  for (const bool one_line : {true, false}) {
    SseScanner scanner(16);
    Events events;
    EXPECT_TRUE(scanner.feed("data: 0123456789\n\n", events));
    EXPECT_TRUE(scanner.feed("data: 01234", events));
    EXPECT_FALSE(scanner.feed(one_line ? "567890123" : "\ndata: 567890", events));
    EXPECT_FALSE(scanner.feed("\n\ndata: a\n\n", events));
    EXPECT_THAT(events.list, ElementsAre("0123456789"));
  }
}

}  // namespace
}  // namespace kvasir
