#include "gateway/relay_head.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

HttpHead request() {
  HttpHead head;
  head.set_request_line("POST", "/v1/completions?x=1", 1);
  for (const auto& [name, value] : {std::pair{"Host", "gateway"}, {"Authorization", "Bearer k"},
                                    {"Connection", "keep-alive"}, {"Content-Length", "7"},
                                    {"Expect", "100-continue"}, {"X-Custom", "a, b"}}) {
    head.add_field(name, value);
  }
  head.set_framing(7, false, true);
  return head;
}

TEST(UpstreamRequestHead, KeepsEndToEndFieldsAndDropsTheConnections) {
  EXPECT_EQ(upstream_request_head(request(), 7, "w:1", "id-1"),
            "POST /v1/completions?x=1 HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer k\r\n"
            "X-Custom: a, b\r\nx-request-id: id-1\r\nContent-Length: 7\r\n\r\n");
}

TEST(UpstreamRequestHead, FieldsThatConnectionNamesStayBehind) {
  HttpHead head;
  head.set_request_line("GET", "/x", 1);
  for (const auto& [name, value] :
       {std::pair{"Host", "g"}, {"connection", " X-One ,, upgrade"}, {"x-one", "1"}, {"X-One", "2"},
        {"Connection", "x-two"}, {"X-Two", "3"}, {"X-Two-And-More", "4"}, {"Upgrade", "h2c"},
        {"HTTP2-Settings", "A"}, {"Proxy-Anything", "5"}, {"Content_Length", "6"}, {"X_One", "7"}}) {
    head.add_field(name, value);
  }
  EXPECT_EQ(upstream_request_head(head, 0, "w:1", "i"),
            "GET /x HTTP/1.1\r\nHost: g\r\nX-Two-And-More: 4\r\nx-request-id: i\r\n\r\n");
}

TEST(RelayedHead, AnswerWithoutABodyHasNoFramingOfOne) {
  HttpHead answer;
  answer.add_field("Connection", "X-Hop");
  answer.add_field("X-Hop", "1");
  for (const int status : {204, 304}) {
    answer.set_status_line(status, "", 1);
    answer.set_framing(std::nullopt, true, true);
    const std::string chunked = relayed_head(answer, {}, true);
    EXPECT_EQ(chunked.find("Transfer-Encoding"), std::string::npos) << chunked;
    EXPECT_EQ(chunked.find("X-Hop"), std::string::npos) << chunked;
    answer.set_framing(5, false, true);
    EXPECT_EQ(relayed_head(answer, {}, true).find("Content-Length: 5") != std::string::npos, status == 304);
  }
}

TEST(UpstreamRequestHead, RequestWithoutBodyHasNoLength) {
  HttpHead head;
  head.set_request_line("GET", "/v1/models", 1);
  EXPECT_EQ(upstream_request_head(head, 0, "w:1", "i"),
            "GET /v1/models HTTP/1.1\r\nHost: w:1\r\nx-request-id: i\r\n\r\n");
}

TEST(RelayedHead, FramingFollowsTheWorkersAndOurFieldsAreAdded) {
  HttpHead answer;
  answer.set_status_line(200, "OK", 1);
  answer.add_field("Content-Type", "text/event-stream");
  answer.add_field("Transfer-Encoding", "chunked");
  answer.add_field("X-Request-Id", "the worker's");
  answer.set_framing(std::nullopt, true, true);
  RelayFields added;
  added.request_id = "id-1";
  added.selected_pod = "w:1";
  added.scheduling_ms = 0.0123;
  added.cache_prefix_tokens = 512;
  EXPECT_EQ(relayed_head(answer, added, false),
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nx-request-id: id-1\r\n"
            "x-selected-pod: w:1\r\nx-scheduling-time-ms: 0.012\r\nx-cache-prefix-length: 512\r\n"
            "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
}

TEST(RelayedHead, WhatIsKnownOfACacheIsToldFromAGuess) {
  HttpHead answer;
  answer.set_status_line(200, "OK", 1);
  answer.add_field("X-Cache-Knowledge", "the worker's");
  RelayFields added;
  for (const bool known : {false, true}) {
    added.cache_is_known = known;
    const std::string fields = relayed_fields(answer, added);
    EXPECT_EQ(fields.find("x-cache-knowledge: exact\r\n") != std::string::npos, known) << fields;
    EXPECT_EQ(fields.find("the worker's"), std::string::npos) << fields;
  }
}

}  // namespace
}  // namespace kvasir
