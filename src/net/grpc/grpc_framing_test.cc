#include "net/grpc/grpc_framing.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace kvasir {
namespace {

class Collector final : public GrpcDeframer::Sink {
 public:
  bool on_message(std::string_view message) override {
    messages.emplace_back(message);
    places.push_back(message.data());
    return messages.size() < wanted;
  }
  std::vector<std::string> messages;
  std::vector<const char*> places;
  size_t wanted = 1000;
};

std::string framed(std::string_view message) {
  const auto head = grpc_frame_head(static_cast<uint32_t>(message.size()));
  return std::string(head.data(), head.size()).append(message);
}

TEST(GrpcDeframer, WholeMessagesAreHandedOverInPlace) {
  const std::string piece = framed("one") + framed("") + framed("three");
  GrpcDeframer deframer(100);
  Collector collector;
  EXPECT_EQ(deframer.feed(piece, collector), GrpcDeframer::Failure::kNone);
  EXPECT_EQ(collector.messages, (std::vector<std::string>{"one", "", "three"}));
  EXPECT_EQ(collector.places[0], piece.data() + kGrpcFrameHeadBytes);
  EXPECT_FALSE(deframer.inside_message());
}

TEST(GrpcDeframer, AnyPiecesGiveTheSameMessages) {
  const std::string stream = framed("first") + framed(std::string(300, 'x')) + framed("") + framed("last");
  for (size_t step = 1; step < stream.size(); ++step) {
    GrpcDeframer deframer(300);
    Collector collector;
    for (size_t at = 0; at < stream.size(); at += step) {
      EXPECT_EQ(deframer.feed(std::string_view(stream).substr(at, step), collector),
                GrpcDeframer::Failure::kNone);
    }
    EXPECT_EQ(collector.messages,
              (std::vector<std::string>{"first", std::string(300, 'x'), "", "last"}));
    EXPECT_FALSE(deframer.inside_message());
  }
}

TEST(GrpcDeframer, LimitsAndFlagsAreFoundFromTheHead) {
  struct Case {
    std::string bytes;
    GrpcDeframer::Failure failure;
  };
  const Case cases[] = {{framed(std::string(10, 'x')), GrpcDeframer::Failure::kNone},
                        {framed(std::string(11, 'x')).substr(0, 5), GrpcDeframer::Failure::kTooLarge},
                        {std::string("\1\0\0\0\1x", 6), GrpcDeframer::Failure::kCompressed},
                        {std::string("\2\0\0\0\1x", 6), GrpcDeframer::Failure::kBadFlags}};
  for (const Case& one : cases) {
    GrpcDeframer deframer(10);
    Collector collector;
    EXPECT_EQ(deframer.feed(one.bytes, collector), one.failure);
  }
}

TEST(GrpcDeframer, ASinkThatHasEnoughGetsNoMore) {
  GrpcDeframer deframer(10);
  Collector collector;
  collector.wanted = 1;
  EXPECT_EQ(deframer.feed(framed("a") + framed("b"), collector), GrpcDeframer::Failure::kNone);
  EXPECT_EQ(collector.messages.size(), 1u);
}

}  // namespace
}  // namespace kvasir
