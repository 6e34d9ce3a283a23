#include "net/http/http2_request_head.h"

#include <gtest/gtest.h>

#include "net/http/http2_fixture.h"

namespace kvasir {
namespace {

Http2RequestHead::Fault fault_of(const Http2TestFields& fields, size_t bytes_max = 10'000) {
  Http2RequestHead request({bytes_max, 20});
  for (const auto& field : fields) request.take_field(field.first, field.second);
  return request.finish();
}

TEST(Http2RequestHead, SoundRequestsAreTaken) {
  const Http2TestFields sound[] = {
      http2_request("GET", "/"),
      http2_request("OPTIONS", "*"),
      http2_request("POST", "/a?b=%20", {{"content-length", "3"}, {"te", "trailers"}}),
      http2_request("GET", "/", {{"host", "G"}}),
      http2_request("GET", "/", {{"x-a", ""}, {"x-b", "a\tb \x80"}}),
      {{":method", "GET"}, {":scheme", "HTTPS"}, {":path", "/"}, {"host", "g:8"}},
      {{":method", "CONNECT"}, {":authority", "g:443"}},
  };
  for (const Http2TestFields& fields : sound) {
    const Http2RequestHead::Fault fault = fault_of(fields);
    EXPECT_EQ(fault.status, 0) << fault.reason;
  }
}

TEST(Http2RequestHead, WhatHttp1WouldReadOtherwiseIsRefused) {
  const Http2TestFields more[] = {
      {{"x-a", "1\r\nx-b: 2"}},
      {{"x-a", "1\nx-b: 2"}},
      {{"x-a", std::string("1\0", 2)}},
      {{"x-a", " 1"}},
      {{"x-a", "1\t"}},
      {{"x-a: 1\r\nx-b", "2"}},
      {{"x a", "1"}},
      {{"x-a:", "1"}},
      {{"", "1"}},
      {{"X-a", "1"}},
      {{"connection", "close"}},
      {{"keep-alive", "1"}},
      {{"proxy-connection", "close"}},
      {{"transfer-encoding", "chunked"}},
      {{"upgrade", "websocket"}},
      {{"te", "gzip"}},
      {{"host", "h"}},
      {{"host", "g"}, {"host", "g"}},
      {{"content-length", "3"}, {"content-length", "3"}},
      {{"content-length", "+3"}},
      {{"content-length", ""}},
      {{":path", "/b"}},
      {{"x-a", "1"}, {":x", "1"}},
      {{":status", "200"}},
      {{":protocol", "websocket"}},
  };
  for (const Http2TestFields& fields : more) {
    EXPECT_EQ(fault_of(http2_request("GET", "/", fields)).status, 400)
        << fields.front().first << ": " << fields.front().second;
  }
}

TEST(Http2RequestHead, PseudoFieldsMakeOneRequestLineOrNone) {
  const Http2TestFields bad[] = {
      {},
      {{":method", "GET"}},
      {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}},  // no host
      {{":method", "GET"}, {":path", "/"}, {":authority", "g"}},
      {{":method", "GET"}, {":scheme", "ftp"}, {":path", "/"}, {":authority", "g"}},
      {{":scheme", "http"}, {":path", "/"}, {":authority", "g"}},
      {{":method", "CONNECT"}, {":scheme", "http"}, {":path", "/"}, {":authority", "g"}},
      {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "u@g"}},
      {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", ""}},
      {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {":authority", "g\r\nx: y"}},
      http2_request("GET", ""),
      http2_request("GET", "a"),
      http2_request("GET", "http://h/"),
      http2_request("GET", "/ HTTP/1.1\r\nx: y"),
      http2_request("GET", "/\x80"),
      http2_request("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET", "/"),
      http2_request("", "/"),
  };
  for (const Http2TestFields& fields : bad) EXPECT_EQ(fault_of(fields).status, 400);
}

TEST(Http2RequestHead, LimitsAreThoseOfHttp1) {
  EXPECT_EQ(fault_of(http2_request("GET", "/"), 54).status, 0);
  EXPECT_EQ(fault_of(http2_request("GET", "/"), 53).status, 431);
  EXPECT_EQ(fault_of(http2_request("GET", "/", Http2TestFields(20, {"a", "b"}))).status, 0);
  EXPECT_EQ(fault_of(http2_request("GET", "/", Http2TestFields(21, {"a", "b"}))).status, 431);
}

}  // namespace
}  // namespace kvasir
