#include "wire/stream_events.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(StreamEvents, CountsDataLinesInWhateverPieces) {
  const struct {
    std::string_view stream;
    uint64_t events;
  } cases[] = {
      {"", 0},
      {"{\"text\":\"data: x\"}", 0},
      {"data: {}\n\ndata: {}\n\ndata: [DONE]\n\n", 3},
      {"event: message_start\r\ndata: {}\r\n\r\nevent: x\r\ndata:{}\r\n\r\n", 2},
      {"dat\ndata: \ndatadata: \n\n\ndata:", 2},
      {": data: \nid: data:\n", 0},
  };
  for (const auto& test : cases) {
    for (size_t piece = 1; piece <= test.stream.size() + 1; ++piece) {
      StreamEvents events;
      for (size_t at = 0; at < test.stream.size(); at += piece) {
        events.look(test.stream.substr(at, piece));
      }
      EXPECT_EQ(events.count(), test.events) << test.stream << " by " << piece;
    }
  }
}

}  // namespace
}  // namespace kvasir
