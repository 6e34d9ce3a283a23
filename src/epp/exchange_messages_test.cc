// What a gateway says and hears, message by message, in every body mode.
#include "epp/exchange_fixture.h"

namespace kvasir {
namespace {

using Kind = ExtProcAnswer::Kind;
using ::testing::ElementsAre;

TEST_F(ExchangeTest, NothingIsAnsweredBeforeTheBodysEnd) {
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody.substr(0, 10), false);
  EXPECT_EQ(stream.answers(), 0u);
  stream.body(kBody.substr(10));
  ASSERT_EQ(stream.answers(), 2u);
  const ExtProcAnswer head = stream.answer(0);
  EXPECT_EQ(head.kind, Kind::kRequestHeaders);
  EXPECT_TRUE(head.clear_route_cache);
  EXPECT_EQ(destination(head), "10.0.0.1:8000");
  ASSERT_EQ(head.metadata.size(), 1u);
  EXPECT_EQ(head.metadata[0].space, "envoy.lb");
  EXPECT_EQ(head.metadata[0].value, "10.0.0.1:8000");
  EXPECT_EQ(head.set_header("content-length"), std::to_string(kBody.size()));
  const ExtProcAnswer body = stream.answer(1);
  EXPECT_EQ(body.body, kBody);
  EXPECT_TRUE(body.end_of_stream);
}

TEST_F(ExchangeTest, ALargeBodyComesBackInPiecesAndTheLastEndsIt) {
  const std::string large = R"({"model":"m","prompt":")" + std::string(150'000, 'x') + "\"}";
  FakeStream stream(epp());
  stream.headers({});
  stream.body(large);
  std::string back;
  for (size_t i = 1; i < stream.answers(); ++i) {
    const ExtProcAnswer piece = stream.answer(i);
    EXPECT_LE(piece.body.size(), kExtProcChunkBytes);
    EXPECT_EQ(piece.end_of_stream, i + 1 == stream.answers());
    back.append(piece.body);
  }
  EXPECT_EQ(back, large);
}

TEST_F(ExchangeTest, BufferedAnswersTheHeadersAtOnceAndPicksWithTheBody) {
  FakeStream stream(epp());
  stream.headers({}, false, with_modes(ExtProcBodyMode::kBuffered, ExtProcBodyMode::kNone));
  ASSERT_EQ(stream.answers(), 1u);
  EXPECT_EQ(destination(stream.answer(0)), "(none)");
  stream.body(kBody);
  ASSERT_EQ(stream.answers(), 2u);
  EXPECT_EQ(stream.answer(1).kind, Kind::kRequestBody);
  EXPECT_EQ(destination(stream.answer(1)), "10.0.0.1:8000");
  EXPECT_EQ(stream.answer(1).body_change, ExtProcAnswer::Body::kUntouched);
  EXPECT_TRUE(stream.answer(1).clear_route_cache);
}

TEST_F(ExchangeTest, WithoutHeadersTheBodyCarriesThePick) {
  FakeStream stream(epp());
  stream.body(kBody, true, with_modes(ExtProcBodyMode::kBuffered, ExtProcBodyMode::kNone));
  ASSERT_EQ(stream.answers(), 1u);
  EXPECT_EQ(destination(stream.answer(0)), "10.0.0.1:8000");
}

TEST_F(ExchangeTest, WithoutABodyToComeTheHeadersCarryThePick) {
  for (const ExtProcBodyMode mode : {ExtProcBodyMode::kNone, ExtProcBodyMode::kStreamed}) {
    FakeStream stream(epp());
    stream.headers({}, false, with_modes(mode, ExtProcBodyMode::kNone));
    ASSERT_EQ(stream.answers(), 1u);
    EXPECT_NE(destination(stream.answer(0)), "(none)");
  }
}

TEST_F(ExchangeTest, TrailersEndABodyThatHasNoOtherEnd) {
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody, false);
  stream.trailers(ExtProcSide::kRequest);
  ASSERT_EQ(stream.answers(), 3u);
  EXPECT_FALSE(stream.answer(1).end_of_stream);
  EXPECT_EQ(stream.answer(2).kind, Kind::kRequestTrailers);
}

TEST_F(ExchangeTest, ASecondEndOfTheRequestIsNotAnswered) {
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  stream.body("", true);
  EXPECT_EQ(stream.answers(), 2u);
  stream.headers({{":status", "200"}}, false, {}, ExtProcSide::kResponse);
  stream.body("x", true, {}, ExtProcSide::kResponse);
  stream.body("", true, {}, ExtProcSide::kResponse);
  EXPECT_EQ(stream.answers(), 4u) << "nor is a second end of the answer";
  EXPECT_EQ(probe_.endings.size(), 1u);

  FakeStream bodiless(epp());
  bodiless.headers({}, true);
  bodiless.body("", true);
  EXPECT_EQ(bodiless.answers(), 1u);

  FakeStream longer(epp());
  longer.headers({});
  longer.body(kBody);
  longer.body("more");
  EXPECT_EQ(longer.code(), GrpcCode::kInvalidArgument) << "bytes behind the end are no request";

  FakeStream streamed(epp());
  const ExtProcContext context = with_modes(ExtProcBodyMode::kStreamed, ExtProcBodyMode::kNone);
  streamed.headers({}, false, context);
  streamed.body(kBody.substr(0, 5), false, context);
  streamed.body(kBody.substr(5), true, context);
  EXPECT_EQ(streamed.answers(), 3u);
  streamed.body("", true, context);
  EXPECT_EQ(streamed.answers(), 3u);
}

TEST_F(ExchangeTest, AnswersPassPieceByPieceAndTrailersAreAnswered) {
  FakeStream stream(epp());
  stream.headers({});
  stream.body(kBody);
  stream.headers({{":status", "200"}, {"content-type", "text/event-stream"}}, false, {},
                 ExtProcSide::kResponse);
  EXPECT_EQ(stream.answer(2).set_header("x-went-into-resp-headers"), "true");
  stream.body("data: 1\n\n", false, {}, ExtProcSide::kResponse);
  EXPECT_EQ(stream.answer(3).body, "data: 1\n\n");
  EXPECT_FALSE(stream.answer(3).end_of_stream);
  stream.trailers(ExtProcSide::kResponse);
  EXPECT_EQ(stream.answer(4).kind, Kind::kResponseTrailers);
  EXPECT_THAT(probe_.endings, ElementsAre(Ending::kNatural));
}

TEST_F(ExchangeTest, GarbageEndsItsStreamAlone) {
  FakeStream stream(epp());
  FakeStream other(epp());
  other.headers({});
  stream.raw("\xff\xff");
  EXPECT_TRUE(stream.finished());
  EXPECT_EQ(stream.code(), GrpcCode::kInvalidArgument);
  other.body(kBody);
  EXPECT_EQ(other.answers(), 2u);
}

// What it would say is not done. It decides all the same, and that is reported.
TEST_F(ExchangeTest, WhoOnlyObservesIsNotAnswered) {
  ExtProcContext observing;
  observing.observability_mode = true;
  {
    FakeStream stream(epp());
    stream.headers({}, false, observing);
    stream.body(kBody, true, observing);
    stream.headers({{":status", "200"}}, false, observing, ExtProcSide::kResponse);
    stream.body("{}", true, observing, ExtProcSide::kResponse);
    EXPECT_EQ(stream.answers(), 0u);
  }
  EXPECT_EQ(probe_.picked.size(), 1u);
  EXPECT_THAT(probe_.endings, ElementsAre(Ending::kNatural));
}

}  // namespace
}  // namespace kvasir
