#include "http_shapes.h"
#include "net/http/http2_fixture.h"

namespace kvasir {
namespace {

const std::string kJson = R"({"model":"m","prompt":"x"})";
const std::string kEnd = "x-request-id: i\r\n\r\n";

// A head with a request id.
Http2TestFields fields(const std::string& method, const std::string& path,
                       Http2TestFields more = {}) {
  more.emplace_back("x-request-id", "i");
  return http2_request(method, path, more);
}
std::string get(const Http2TestFields& more = {}, const std::string& path = "/x") {
  return http2_headers(1, fields("GET", path, more));
}
std::string post(const std::string& body, const Http2TestFields& more = {},
                 const std::string& path = "/x") {
  return http2_headers(1, fields("POST", path, more), kEndHeaders) + http2_data(1, body);
}
// Pseudo-header fields as they stand, with others behind them.
std::string bare(Http2TestFields all) {
  return http2_headers(1, all);
}
std::string with_host(const std::string& line, const std::string& more = "") {
  return line + " HTTP/1.1\r\nHost: g\r\n" + more;
}
const std::string kPlain = with_host("GET /x", kEnd);
const std::string kPosted = with_host("POST /x", "x-request-id: i\r\nContent-Length: 3\r\n\r\nabc");

Http2Shape relayed(const std::string& name, const std::string& frames, const std::string& forwarded,
                   const std::string& detail, const std::string& reason) {
  return {name, frames, "200", forwarded, detail, reason};
}
Http2Shape refused(const std::string& name, const std::string& frames, const std::string& outcome,
                   const std::string& reason) {
  return {name, frames, outcome, "", "", reason};
}

// A head that needs more than one frame.
std::string continued(const Http2TestFields& all, size_t piece) {
  const std::string block = http2_block(all);
  std::string frames;
  for (size_t at = 0; at < block.size(); at += piece) {
    const bool last = at + piece >= block.size();
    frames +=
        http2_frame(at == 0 ? kHeadersFrame : kContinuationFrame,
                    static_cast<uint8_t>((at == 0 ? kEndStream : 0) | (last ? kEndHeaders : 0)), 1,
                    block.substr(at, piece));
  }
  return frames;
}

std::string rapid_resets(int count) {
  std::string frames;
  for (int i = 0; i < count; ++i) {
    const uint32_t id = 1 + 2 * static_cast<uint32_t>(i);
    frames += http2_headers(id, fields("GET", "/x")) + http2_reset(id);
  }
  return frames;
}

Http2Shapes requests() {
  const std::string known = "the body is read whole before it is routed, so its length is known";
  const std::string hop = "belongs to one connection (RFC 9110 7.6.1)";
  return {
      "HTTP/2: requests",
      {
          relayed("GET", get(), kPlain, "", "a stream is a request of HTTP/1.1 to the worker"),
          relayed("HEAD", http2_headers(1, fields("HEAD", "/x")), with_host("HEAD /x", kEnd), "",
                  "the answer has no body, whatever it says"),
          relayed("POST, with its length", post("abc", {{"content-length", "3"}}), kPosted, "",
                  "the plain case"),
          relayed("POST, without a length", post("abc"), kPosted, "with Content-Length", known),
          relayed("POST whose DATA is padded",
                  http2_headers(1, fields("POST", "/x"), kEndHeaders) +
                      http2_frame(kDataFrame, kEndStream | 8, 1, std::string("\x02") + "abc__"),
                  kPosted, "without the padding", known),
          relayed("POST without a body", http2_headers(1, fields("POST", "/x")),
                  with_host("POST /x", kEnd), "", "a request without DATA has no body"),
          relayed("fields that nobody here knows, twice, in order",
                  get({{"x-a", "1"}, {"x-b", "2"}, {"x-a", "3"}}),
                  with_host("GET /x", "x-a: 1\r\nx-b: 2\r\nx-a: 3\r\n" + kEnd), "",
                  "end-to-end fields pass as they are"),
          relayed("three cookie fields",
                  get({{"cookie", "a=1"}, {"cookie", "b=2"}, {"cookie", "c"}}),
                  with_host("GET /x", "cookie: a=1; b=2; c\r\n" + kEnd), "as one field",
                  "RFC 9113 8.2.3: HTTP/1 has one"),
          relayed("a head in several frames", continued(fields("GET", "/x"), 20), kPlain, "",
                  "frames say nothing of the request"),
          relayed("Host instead of :authority",
                  bare({{":method", "GET"},
                        {":scheme", "http"},
                        {":path", "/x"},
                        {"host", "g"},
                        {"x-request-id", "i"}}),
                  kPlain, "", "RFC 9113 8.3.1: who translates from HTTP/1 sends it so"),
          relayed("Host and :authority, equal", get({{"host", "g"}}), kPlain, "with one Host",
                  "both say the same"),
          relayed("trailer fields",
                  http2_headers(1, fields("POST", "/x"), kEndHeaders) +
                      http2_data(1, "abc", false) + http2_headers(1, {{"x-b", "2"}}),
                  kPosted, "without them", "as over HTTP/1"),
          relayed("te: trailers", get({{"te", "trailers"}}), kPlain, "without it", hop),
          relayed("content_length beside content-length",
                  post("abc", {{"content_length", "99"}, {"content-length", "3"}}), kPosted,
                  "without the first", "programs behind an engine's gateway interface read _ as -"),
          {"Expect: 100-continue", post("abc", {{"expect", "100-continue"}}), "100 200", kPosted,
           "without it", "the gateway asks for the body itself"},
          relayed(
              "POST //v1/./completions", post(kJson, {}, "//v1/./completions"),
              with_host("POST /v1/completions", "x-request-id: i\r\nContent-Length: 26\r\n\r\n") +
                  kJson,
              "as /v1/completions", "paths have the normal form that they have over HTTP/1"),
          relayed(":scheme https on a plain connection",
                  bare({{":method", "GET"},
                        {":scheme", "https"},
                        {":path", "/x"},
                        {":authority", "g"},
                        {"x-request-id", "i"}}),
                  kPlain, "", "a proxy before us may have taken TLS off"),
          refused("CONNECT", bare({{":method", "CONNECT"}, {":authority", "g:1"}}), "405",
                  "no tunnel through here"),
          refused("TRACE", http2_headers(1, fields("TRACE", "/x")), "405",
                  "it would show the client what was added on the way"),
          refused("post, in lower case", http2_headers(1, fields("post", "/x")), "400",
                  "methods have case; a lenient worker might take it for one that is routed"),
          refused("POST /v1%2fcompletions", post("abc", {}, "/v1%2fcompletions"), "400",
                  "some read a slash, some a name: the policy would see another path"),
          refused("POST /../v1/completions", post("abc", {}, "/../v1/completions"), "400",
                  "above the root there is nothing"),
          refused("another expectation", post("abc", {{"expect", "tea"}}), "417",
                  "RFC 9110 10.1.1"),
          refused("a request that is taken back before it is whole",
                  http2_headers(1, fields("POST", "/x"), kEndHeaders) + http2_reset(1), "",
                  "a part of a request is none"),
      }};
}

Http2Shapes injections() {
  const std::string line = "it would end the line in HTTP/1, and begin another one";
  const std::string token = "names are tokens in lower case";
  return {"HTTP/2: bytes that would be more than one field in HTTP/1",
          {
              refused("CR and LF in a value", get({{"x-a", "1\r\nx-b: 2"}}), "400", line),
              refused("LF in a value", get({{"x-a", "1\nx-b: 2"}}), "400", line),
              refused("CR in a value", get({{"x-a", "1\rx-b: 2"}}), "400", line),
              refused("a whole request in a value",
                      post("abc", {{"x-a", "1\r\n\r\nPOST /admin HTTP/1.1\r\nHost: g\r\n\r\n"}}),
                      "400", line),
              refused("NUL in a value", get({{"x-a", std::string("1\0", 2)}}), "400",
                      "no control bytes in values"),
              refused("a blank before a value", get({{"x-a", " 1"}}), "400",
                      "RFC 9113 8.2.1: HTTP/1 would take it off"),
              refused("CR and LF in a name", get({{"x-a: 1\r\nx-b", "2"}}), "400", token),
              refused("colon in a name", get({{"x-a:", "1"}}), "400", token),
              refused("blank in a name", get({{"x a", "1"}}), "400", token),
              refused("X-A, in capitals", get({{"X-A", "1"}}), "reset 1", token),
              refused("a request line in :path",
                      get({}, "/x HTTP/1.1\r\nHost: h\r\n\r\nGET /admin"), "reset 1", line),
              refused("blank in :path", get({}, "/x y"), "reset 1",
                      "a request line has two blanks, and a lenient reader takes the first"),
              refused("bytes above 127 in :path", get({}, "/\xc3\xa4"), "400", "a URI is ASCII"),
              refused("a request line in :method",
                      http2_headers(1, fields("GET /admin HTTP/1.1\r\nHost: h\r\n\r\nGET", "/x")),
                      "reset 1", line),
              refused("blank in :method", http2_headers(1, fields("GET /admin", "/x")), "reset 1",
                      "a method is a token"),
              refused("CR and LF in :authority",
                      bare({{":method", "GET"},
                            {":scheme", "http"},
                            {":path", "/x"},
                            {":authority", "g\r\nx-b: 2"}}),
                      "reset 1", line),
              refused("CR and LF in :scheme",
                      bare({{":method", "GET"},
                            {":scheme", "http\r\nx-b: 2"},
                            {":path", "/x"},
                            {":authority", "g"}}),
                      "reset 1", line),
          }};
}

Http2Shapes framings() {
  const std::string none =
      "RFC 9113 8.2.2: HTTP/2 has no such field; in HTTP/1 it would mean something";
  const std::string one_end =
      "the stream ends where its DATA does, and the worker would go by the length";
  return {
      "HTTP/2: fields of framing and connection",
      {
          refused("transfer-encoding: chunked",
                  post("0\r\n\r\n", {{"transfer-encoding", "chunked"}}), "reset 1", none),
          refused("transfer-encoding and content-length",
                  post("0\r\n\r\n", {{"transfer-encoding", "chunked"}, {"content-length", "5"}}),
                  "reset 1", none),
          refused("connection: close", get({{"connection", "close"}}), "reset 1", none),
          refused("connection that names a field", get({{"connection", "x-a"}, {"x-a", "1"}}),
                  "reset 1", none),
          refused("keep-alive", get({{"keep-alive", "5"}}), "reset 1", none),
          refused("proxy-connection", get({{"proxy-connection", "close"}}), "reset 1", none),
          refused("upgrade", get({{"upgrade", "websocket"}}), "reset 1", none),
          refused("te: gzip", get({{"te", "gzip"}}), "reset 1", "trailers alone may be said"),
          refused("content-length beyond the DATA", post("abc", {{"content-length", "4"}}),
                  "reset 1", one_end),
          refused("content-length below the DATA", post("abc", {{"content-length", "2"}}),
                  "reset 1", one_end),
          refused("content-length: 0 and DATA, a request in it",
                  post("GET /admin HTTP/1.1\r\nHost: g\r\n\r\n", {{"content-length", "0"}}),
                  "reset 1", one_end),
          refused("content-length of a request without DATA", get({{"content-length", "3"}}),
                  "reset 1", one_end),
          refused("content-length twice, equal",
                  post("abc", {{"content-length", "3"}, {"content-length", "3"}}), "reset 1",
                  "two fields are two chances to read different ones"),
          refused("content-length: +3", post("abc", {{"content-length", "+3"}}), "reset 1",
                  "digits only"),
          refused("content-length: 3, 3", post("abc", {{"content-length", "3, 3"}}), "reset 1",
                  "digits only"),
          refused("content-length beyond the limit of bodies",
                  http2_headers(1, fields("POST", "/x", {{"content-length", "99999999999"}}),
                                kEndHeaders),
                  "413", "refused before it is read"),
      }};
}

Http2Shapes pseudo_fields() {
  const std::string each = "RFC 9113 8.3.1: each once, before all fields";
  const auto pseudo = [](Http2TestFields all) {
    all.emplace_back("x-request-id", "i");
    return bare(all);
  };
  const std::pair<std::string, std::string> method{":method", "GET"}, scheme{":scheme", "http"},
      path{":path", "/x"}, authority{":authority", "g"};
  return {
      "HTTP/2: pseudo-header fields",
      {
          refused("no :method", pseudo({scheme, path, authority}), "reset 1", each),
          refused("no :path", pseudo({method, scheme, authority}), "reset 1", each),
          refused("no :scheme", pseudo({method, path, authority}), "reset 1", each),
          refused("neither :authority nor Host", pseudo({method, scheme, path}), "reset 1",
                  "RFC 9112 3.2: HTTP/1.1 has a Host"),
          refused(":path twice", pseudo({method, scheme, path, {":path", "/admin"}, authority}),
                  "reset 1", each),
          refused(":method twice", pseudo({method, {":method", "POST"}, scheme, path, authority}),
                  "reset 1", each),
          refused(":path behind a field", pseudo({method, scheme, authority, {"x-a", "1"}, path}),
                  "reset 1", each),
          refused(":status in a request",
                  pseudo({method, scheme, path, authority, {":status", "200"}}), "reset 1",
                  "that is an answer's"),
          refused("one that nobody knows", pseudo({method, scheme, path, authority, {":x", "1"}}),
                  "reset 1", "they are a closed set"),
          refused(
              ":protocol",
              pseudo({{":method", "CONNECT"}, scheme, path, authority, {":protocol", "websocket"}}),
              "reset 1", "no tunnel was offered (RFC 8441)"),
          refused("empty :path", pseudo({method, scheme, {":path", ""}, authority}), "reset 1",
                  "neither a path nor \"*\""),
          refused("a URI in :path", pseudo({method, scheme, {":path", "http://h/x"}, authority}),
                  "reset 1", "its host would be a second one"),
          refused("GET *", pseudo({method, scheme, {":path", "*"}, authority}), "reset 1",
                  "RFC 9113 8.3.1: for OPTIONS only"),
          refused(":scheme ftp", pseudo({method, {":scheme", "ftp"}, path, authority}), "400",
                  "neither http nor https"),
          refused("Host and :authority, different", get({{"host", "h"}}), "400",
                  "routes go by one, a worker may go by the other"),
          refused("Host twice", get({{"host", "g"}, {"host", "g"}}), "reset 1",
                  "Host must be one HOST or HOST:PORT"),
          refused("a user in :authority", pseudo({method, scheme, path, {":authority", "u@g"}}),
                  "400", "RFC 9113 8.3.1: a host with a user"),
          refused("empty :authority", pseudo({method, scheme, path, {":authority", ""}}), "reset 1",
                  "Host must be one HOST or HOST:PORT"),
          refused("a path in :authority", pseudo({method, scheme, path, {":authority", "g/x"}}),
                  "reset 1", "Host must be one HOST or HOST:PORT"),
      }};
}

Http2Shapes frames() {
  const std::string rules = "the connection has lost its meaning";
  return {
      "HTTP/2: frames, and too many of them",
      {
          refused("head of 130 kB",
                  continued(fields("GET", "/x",
                                   {{"x-a", std::string(60'000, 'x')},
                                    {"x-b", std::string(60'000, 'x')},
                                    {"x-c", std::string(12'000, 'x')}}),
                            16'000),
                  "431", "the limit of heads (--max-header-kib)"),
          refused("3,000 fields",
                  continued(fields("GET", "/x", Http2TestFields(3'000, {"x-a", "1"})), 16'000),
                  "431", "2,048 at most"),
          refused("a stream with an even number", http2_headers(2, fields("GET", "/x")),
                  "connection error 1", rules),
          refused("DATA of a stream that was not begun", http2_data(1, "abc"), "connection error 1",
                  rules),
          refused("another frame within a head",
                  http2_headers(1, fields("GET", "/x"), kEndStream) + http2_data(1, "abc"),
                  "connection error 1", rules),
          refused(
              "a head without an end, in 200 frames",
              [] {
                std::string all = http2_headers(1, fields("GET", "/x"), kEndStream);
                for (int i = 0; i < 200; ++i) all += http2_frame(kContinuationFrame, 0, 1, "");
                return all;
              }(),
              "closed", "what is kept of it has an end"),
          refused("a frame that is larger than was allowed",
                  http2_headers(1, fields("POST", "/x"), kEndHeaders) +
                      http2_data(1, std::string(20'000, 'x')),
                  "connection error 6", "16 KiB at most"),
          refused("a window that is opened beyond 2^31",
                  http2_headers(1, fields("POST", "/x"), kEndHeaders) +
                      http2_frame(kWindowFrame, 0, 0, "\x7f\xff\xff\xff"),
                  "connection error 3", rules),
          refused(
              "300 requests, each taken back at once", rapid_resets(300), "connection error 11",
              "rapid reset: 200 at once, then 50 a second; what is taken back with what asks for "
              "it is not even begun"),
          refused(
              "3,000 times PING",
              [] {
                std::string all;
                for (int i = 0; i < 3'000; ++i) all += http2_frame(kPingFrame, 0, 0, "12345678");
                return all;
              }(),
              "closed", "each asks for an answer"),
          refused(
              "3,000 times SETTINGS",
              [] {
                std::string all;
                for (int i = 0; i < 3'000; ++i) all += http2_frame(kSettingsFrame, 0, 0, "");
                return all;
              }(),
              "closed", "each asks for an answer"),
      }};
}

}  // namespace

std::vector<Http2Shapes> http2_shapes() {
  return {requests(), injections(), framings(), pseudo_fields(), frames()};
}

}  // namespace kvasir
