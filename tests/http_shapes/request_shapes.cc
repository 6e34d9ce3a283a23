#include "http_shapes.h"

namespace kvasir {
namespace {

using Routing = RequestShape::Routing;

const std::string kBody = R"({"model":"m","prompt":"x"})";

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

// A head: request line, Host, these field lines, a request id.
std::string head(const std::string& line, const std::string& fields = "") {
  return line + "\r\nHost: g\r\n" + fields + "x-request-id: i\r\n";
}
std::string get(const std::string& target, const std::string& fields = "") {
  return head("GET " + target + " HTTP/1.1", fields) + "\r\n";
}
std::string post(const std::string& target, const std::string& body,
                 const std::string& fields = "") {
  return head("POST " + target + " HTTP/1.1", fields) +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
std::string chunked(const std::string& chunks,
                    const std::string& coding = "Transfer-Encoding: chunked\r\n") {
  return head("POST /x HTTP/1.1", coding) + "\r\n" + chunks;
}
std::string with_length(const std::string& lines, const std::string& body = "abc") {
  return head("POST /x HTTP/1.1", lines) + "\r\n" + body;
}
// A head as it stands, without anything added.
std::string bare(const std::string& lines) {
  return lines + "\r\n";
}

RequestShape relayed(const std::string& name, const std::string& bytes, const std::string& reason) {
  return {name, bytes, "200", bytes, "", reason};
}
RequestShape changed(const std::string& name, const std::string& bytes,
                     const std::string& forwarded, const std::string& detail,
                     const std::string& reason) {
  return {name, bytes, "200", forwarded, detail, reason};
}
RequestShape refused(const std::string& name, const std::string& bytes, const std::string& status,
                     const std::string& reason) {
  return {name, bytes, status, "", "", reason};
}
RequestShape routed(RequestShape shape, Routing routing) {
  shape.routing = routing;
  return shape;
}
RequestShape half_closed(RequestShape shape) {
  shape.half_close = true;
  return shape;
}

RequestShapes lengths() {
  const std::string plain = post("/x", "abc");
  const std::string two = "a body ends where its one length says";
  return {"How a body ends: Content-Length",
          {
              relayed("body with Content-Length", plain, "the plain case"),
              relayed("GET with a body", head("GET /x HTTP/1.1") + "Content-Length: 3\r\n\r\nabc",
                      "no method forbids one"),
              relayed("POST without a body", head("POST /x HTTP/1.1") + "\r\n",
                      "a request without length has no body"),
              changed("white space around the number", with_length("Content-Length: \t 3 \r\n"),
                      plain, "written anew", "RFC 9110 5.5: it is no part of the value"),
              refused("Content-Length twice, equal",
                      with_length("Content-Length: 3\r\nContent-Length: 3\r\n"), "400",
                      "two fields are two chances to read different ones; no client sends them"),
              refused("Content-Length twice, different",
                      with_length("Content-Length: 3\r\nContent-Length: 4\r\n"), "400", two),
              refused("Content-Length: 3, 3", with_length("Content-Length: 3, 3\r\n"), "400", two),
              refused("Content-Length: +3", with_length("Content-Length: +3\r\n"), "400",
                      "digits only"),
              refused("Content-Length: -3", with_length("Content-Length: -3\r\n"), "400",
                      "digits only"),
              refused("Content-Length: 0x3", with_length("Content-Length: 0x3\r\n"), "400",
                      "digits only"),
              refused("Content-Length: 3 3", with_length("Content-Length: 3 3\r\n"), "400",
                      "digits only"),
              refused("Content-Length without a value", with_length("Content-Length:\r\n"), "400",
                      "digits only"),
              refused("Content-Length of 21 digits",
                      with_length("Content-Length: 100000000000000000003\r\n"), "400",
                      "wraps around in 64 bits: 18 digits at most"),
              refused("Content-Length beyond the limit of bodies",
                      with_length("Content-Length: 100000000\r\n", ""), "413",
                      "refused before it is read"),
              half_closed(refused("body shorter than Content-Length, then the end",
                                  with_length("Content-Length: 30\r\n"), "400",
                                  "a part of a request is none")),
              {"body longer than Content-Length", plain + "GARBAGE\r\n\r\n", "200 400", plain, "",
               "what follows is read as the next request"},
              {"two requests in one piece", plain + get("/y"), "200 200", plain + get("/y"), "",
               "pipelining: answered in order, one at a time"},
          }};
}

RequestShapes chunks() {
  const std::string plain = post("/x", "abc");
  const std::string whole = "the body is read whole before it is routed, so its length is known";
  const std::string one =
      "the one coding that is understood is one plain chunked; any other end is a guess";
  const std::string lines = "chunk lines are HEX digits, extensions, CRLF";
  return {
      "How a body ends: Transfer-Encoding",
      {
          changed("chunked body", chunked("3\r\nabc\r\n0\r\n\r\n"), plain, "with Content-Length",
                  whole),
          changed("Chunked, in capitals",
                  chunked("3\r\nabc\r\n0\r\n\r\n", "Transfer-Encoding: CHUNKED\r\n"), plain,
                  "with Content-Length", "codings have no case"),
          changed("empty chunked body", chunked("0\r\n\r\n"), post("/x", ""),
                  "with Content-Length: 0", whole),
          changed("several chunks, sizes with leading zeros and capitals",
                  chunked("0001\r\na\r\n2\r\nbc\r\n000\r\n\r\n"), plain, "with Content-Length",
                  whole),
          changed("chunk extension", chunked("3;a=b;c=\"d\"\r\nabc\r\n0;e\r\n\r\n"), plain,
                  "without it", "RFC 9112 7.1.1: whoever does not know an extension ignores it"),
          changed("white space before a chunk extension", chunked("3 ;a\r\nabc\r\n0\r\n\r\n"),
                  plain, "without it", "RFC 9112 7.1.1: bad, and to be accepted"),
          changed("trailer field", chunked("3\r\nabc\r\n0\r\nAuthorization: Bearer T\r\n\r\n"),
                  plain, "without it",
                  "as a header field it would pass every check that was made on the head; engines "
                  "use none"),
          changed("trailer fields Host and Content-Length",
                  chunked("3\r\nabc\r\n0\r\nHost: y\r\nContent-Length: 9\r\n\r\n"), plain,
                  "without them", "the head is over"),
          refused("Content-Length, then Transfer-Encoding",
                  chunked("0\r\n\r\n", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
                  "400", "two ends: the next program may take the other one (request smuggling)"),
          refused("Transfer-Encoding, then Content-Length",
                  chunked("0\r\n\r\n", "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
                  "400", "two ends: the next program may take the other one (request smuggling)"),
          refused("Transfer-Encoding: gzip", chunked("", "Transfer-Encoding: gzip\r\n"), "400",
                  one),
          refused("Transfer-Encoding: gzip, chunked",
                  chunked("0\r\n\r\n", "Transfer-Encoding: gzip, chunked\r\n"), "400", one),
          refused("Transfer-Encoding: chunked, chunked",
                  chunked("0\r\n\r\n", "Transfer-Encoding: chunked, chunked\r\n"), "400", one),
          refused(
              "Transfer-Encoding: chunked twice",
              chunked("0\r\n\r\n", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
              "400", one),
          refused("Transfer-Encoding: xchunked",
                  chunked("0\r\n\r\n", "Transfer-Encoding: xchunked\r\n"), "400", one),
          refused("Transfer-Encoding: chunked;q=1",
                  chunked("0\r\n\r\n", "Transfer-Encoding: chunked;q=1\r\n"), "400", one),
          refused("Transfer-Encoding: identity", chunked("", "Transfer-Encoding: identity\r\n"),
                  "400", one),
          refused("Transfer-Encoding with a vertical tab",
                  chunked("0\r\n\r\n", "Transfer-Encoding: \vchunked\r\n"), "400",
                  "no control bytes in values"),
          refused("Transfer-Encoding in HTTP/1.0",
                  bare("POST /x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n") + "0\r\n\r\n", "400",
                  "RFC 9112 6.1: HTTP/1.0 has none, its framing is faulty"),
          refused("chunk size -1", chunked("-1\r\n"), "400", lines),
          refused("chunk size 0x3", chunked("0x3\r\nabc\r\n0\r\n\r\n"), "400", lines),
          refused("chunk size g", chunked("g\r\n"), "400", lines),
          refused("chunk size of 17 digits", chunked("00000000000000003\r\nabc\r\n0\r\n\r\n"),
                  "400", "more than 64 bits"),
          refused("empty chunk size", chunked("\r\nabc\r\n0\r\n\r\n"), "400", lines),
          refused("white space behind a chunk size", chunked("3 \r\nabc\r\n0\r\n\r\n"), "400",
                  lines),
          refused("chunk size that ends with a bare LF", chunked("3\nabc\r\n0\r\n\r\n"), "400",
                  lines),
          refused("bare CR in a chunk extension", chunked("3;a\rb\r\nabc\r\n0\r\n\r\n"), "400",
                  lines),
          refused("bare LF in a chunk extension", chunked("3;a\nb\r\nabc\r\n0\r\n\r\n"), "400",
                  lines),
          refused("chunk longer than its size", chunked("2\r\nabc\r\n0\r\n\r\n"), "400",
                  "CRLF must follow the data"),
          half_closed(refused("chunk shorter than its size, then the end", chunked("9\r\nabc"),
                              "400", "a part of a request is none")),
          refused("folded trailer field", chunked("0\r\nA: b\r\n c\r\n\r\n"), "400", "as in heads"),
          refused("trailer field without a colon", chunked("0\r\nAb\r\n\r\n"), "400",
                  "as in heads"),
          refused("chunk extension of 200 kB", chunked("3;" + std::string(200'000, 'a')), "431",
                  "extensions beyond the data beside them count as a head does"),
          refused("trailer fields of 200 kB", chunked("0\r\n" + repeated("A: b\r\n", 33'000)),
                  "431", "trailer fields count as a head does"),
      }};
}

RequestShapes lines() {
  const std::string form = "a request line is METHOD SP TARGET SP HTTP/1.1 CRLF";
  const std::string crlf = "lines end with CRLF: programs differ in what else ends one";
  return {
      "The request line and line ends",
      {
          relayed("plain GET", get("/x?a=b"), "the plain case"),
          {"HTTP/1.0, without Host", "GET /x HTTP/1.0\r\nx-request-id: i\r\n\r\n", "200",
           "GET /x HTTP/1.1\r\nHost: {worker}\r\nx-request-id: i\r\n\r\n",
           "as HTTP/1.1, with the worker's Host", "each hop has its own version"},
          changed("an empty line before the request", "\r\n" + get("/x"), get("/x"), "without it",
                  "RFC 9112 2.2: some clients send one behind a body"),
          refused("five empty lines before the request", repeated("\r\n", 5) + get("/x"), "400",
                  "four at most"),
          refused("request line without a version", "GET /x\r\n\r\n", "400",
                  "HTTP/0.9 has no fields"),
          refused("HTTP/2.0 in the request line", bare("GET /x HTTP/2.0\r\nHost: g\r\n"), "505",
                  "not spoken here"),
          refused("the preface of HTTP/2 behind a request",
                  get("/live") + "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "200 505",
                  "a connection speaks what it began with"),
          refused("HTTP/1.2", bare("GET /x HTTP/1.2\r\nHost: g\r\n"), "505", "there is none"),
          refused("http/1.1, in lower case", bare("GET /x http/1.1\r\nHost: g\r\n"), "400", form),
          refused("two spaces in the request line", bare("GET  /x HTTP/1.1\r\nHost: g\r\n"), "400",
                  form),
          refused("tabs in the request line", bare("GET\t/x\tHTTP/1.1\r\nHost: g\r\n"), "400",
                  form),
          refused("space behind the version", bare("GET /x HTTP/1.1 \r\nHost: g\r\n"), "400", form),
          refused("bytes above 127 in the target", bare("GET /h\xc3\xa9 HTTP/1.1\r\nHost: g\r\n"),
                  "400", "a URI is ASCII"),
          refused("lines that end with LF", "GET /x HTTP/1.1\nHost: g\n\n", "400", crlf),
          refused("one field that ends with LF",
                  bare("GET /x HTTP/1.1\r\nHost: g\r\nA: b\nC: d\r\n"), "400", crlf),
          refused("bare CR in a value", bare("GET /x HTTP/1.1\r\nHost: g\r\nA: b\rC: d\r\n"), "400",
                  crlf),
          refused("the first bytes of TLS", std::string("\x16\x03\x01\x02", 4), "400",
                  "told by the first byte"),
          refused("head of 70 kB", get("/x", "A: " + std::string(70'000, 'a') + "\r\n"), "431",
                  "the limit of heads (--max-header-kib)"),
          refused("target of 70 kB",
                  bare("GET /" + std::string(70'000, 'a') + " HTTP/1.1\r\nHost: g\r\n"), "431",
                  "the limit of heads (--max-header-kib)"),
          refused("3,000 fields", get("/x", repeated("a: b\r\n", 3'000)), "431", "2,048 at most"),
          half_closed(refused("half a head, then the end", "GET /x HTTP/1.1\r\nHost", "400",
                              "a part of a request is none")),
          half_closed(relayed("a client that ends its side behind its request", get("/x"),
                              "it waits for its answer")),
      }};
}

RequestShapes fields() {
  const std::string hop = "belongs to one connection (RFC 9110 7.6.1)";
  const std::string host = "Host must be one HOST or HOST:PORT";
  const std::string name = "names are tokens, without white space before the colon";
  return {
      "Fields",
      {
          relayed("fields that nobody here knows, twice, in order",
                  get("/x", "A: 1\r\nX-Custom_Name: 2\r\nA: 3\r\n"),
                  "end-to-end fields pass as they are"),
          relayed("Authorization", get("/x", "Authorization: Bearer k\r\n"),
                  "it is the worker's to check"),
          relayed("bytes above 127 in a value", get("/x", "A: caf\xe9\r\n"),
                  "RFC 9110 5.5: obsolete, and harmless"),
          relayed("empty value", get("/x", "A: \r\n"), "allowed"),
          refused("two Host fields, equal", bare("GET /x HTTP/1.1\r\nHost: g\r\nHost: g\r\n"),
                  "400", host),
          refused("two Host fields", bare("GET /x HTTP/1.1\r\nHost: g\r\nHost: h\r\n"), "400",
                  host),
          refused("no Host", bare("GET /x HTTP/1.1\r\nA: b\r\n"), "400", "RFC 9112 3.2"),
          refused("empty Host", bare("GET /x HTTP/1.1\r\nHost:\r\n"), "400", host),
          refused("Host with a space", bare("GET /x HTTP/1.1\r\nHost: g h\r\n"), "400", host),
          refused("Host with a path", bare("GET /x HTTP/1.1\r\nHost: g/x\r\n"), "400", host),
          refused("Host with a user", bare("GET /x HTTP/1.1\r\nHost: u@g\r\n"), "400", host),
          refused("folded field", get("/x", "A: b\r\n c\r\n"), "400",
                  "RFC 9112 5.2: programs differ in reading it"),
          refused("white space before the first field", bare("GET /x HTTP/1.1\r\n Host: g\r\n"),
                  "400", "RFC 9112 2.2: programs differ in reading it"),
          refused("space before the colon", get("/x", "A : b\r\n"), "400", name),
          refused("empty name", get("/x", ": b\r\n"), "400", name),
          refused("name with a bracket", get("/x", "A(b: c\r\n"), "400", name),
          refused("name with a NUL byte", get("/x", std::string("A\0b: c\r\n", 8)), "400", name),
          refused("value with a NUL byte", get("/x", std::string("A: b\0c\r\n", 8)), "400",
                  "no control bytes in values"),
          refused("field without a colon", get("/x", "nothing\r\n"), "400", name),
          changed("field that Connection names",
                  get("/x", "Connection: close, X-Hop\r\nX-Hop: secret\r\nX-End: 1\r\n"),
                  get("/x", "X-End: 1\r\n"), "without it", hop),
          changed("Keep-Alive, Proxy-Connection, Proxy-Authorization, TE, Trailer",
                  get("/x",
                      "Keep-Alive: 5\r\nProxy-Connection: a\r\nProxy-Authorization: b\r\nTE: "
                      "trailers\r\n"
                      "Trailer: A\r\n"),
                  get("/x"), "without them", hop),
          changed("a request to upgrade to WebSocket",
                  get("/x",
                      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"),
                  get("/x", "Sec-WebSocket-Version: 13\r\n"), "as a plain request",
                  "RFC 9110 7.8: an offer to upgrade may be ignored; the worker says what it makes "
                  "of it"),
          changed("a request to upgrade to HTTP/2",
                  get("/x",
                      "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
                      "AAMA\r\n"),
                  get("/x"), "as a plain request",
                  "RFC 9110 7.8: an offer to upgrade may be ignored"),
          refused("connection option that is no token", get("/x", "Connection: a b\r\n"), "400",
                  "what is to be left out cannot be told"),
          refused("33 connection options", get("/x", "Connection: " + repeated("a,", 33) + "\r\n"),
                  "400", "each is compared with every field: 32 at most"),
          changed("Content_Length, Transfer_Encoding",
                  get("/x", "Content_Length: 5\r\nTransfer_Encoding: chunked\r\n"), get("/x"),
                  "without them", "programs behind an engine's gateway interface read _ as -"),
          changed("two x-request-id fields", get("/x", "X-Request-Id: first\r\n"),
                  "GET /x HTTP/1.1\r\nHost: g\r\nx-request-id: first\r\n\r\n", "with the first",
                  "one request has one id"),
          {"Expect: 100-continue", post("/x", "abc", "Expect: 100-continue\r\n"), "100 200",
           post("/x", "abc"), "without it", "the gateway asks for the body itself"},
          refused("another expectation", post("/x", "abc", "Expect: a-miracle\r\n"), "417",
                  "RFC 9110 10.1.1"),
          changed("an expectation in HTTP/1.0",
                  "POST /x HTTP/1.0\r\nHost: g\r\nExpect: 100-continue\r\nx-request-id: "
                  "i\r\nContent-Length: 3\r\n\r\nabc",
                  post("/x", "abc"), "without it", "RFC 9110 10.1.1: HTTP/1.0 has none"),
      }};
}

RequestShapes methods() {
  const std::string unknown =
      "methods have case; a lenient worker might take it for one that is routed";
  const std::string own = "the gateway's own page, not a worker's";
  return {
      "Methods",
      {
          relayed("PUT, and likewise PATCH and DELETE",
                  head("PUT /x HTTP/1.1") + "Content-Length: 1\r\n\r\na",
                  "the worker knows its methods"),
          relayed("OPTIONS", head("OPTIONS /x HTTP/1.1") + "\r\n",
                  "the worker's answer to preflight requests"),
          relayed("OPTIONS *", head("OPTIONS * HTTP/1.1") + "\r\n", "about the server as a whole"),
          relayed("HEAD", head("HEAD /x HTTP/1.1") + "\r\n",
                  "the answer has no body, whatever it says"),
          refused("CONNECT", bare("CONNECT g:443 HTTP/1.1\r\nHost: g:443\r\n"), "405",
                  "no tunnel through here"),
          refused("TRACE", bare("TRACE /x HTTP/1.1\r\nHost: g\r\n"), "405",
                  "it would show the client what was added on the way"),
          refused("POST /metrics, and likewise DELETE",
                  head("POST /metrics HTTP/1.1") + "Content-Length: 1\r\n\r\na", "405", own),
          refused("OPTIONS /health", head("OPTIONS /health HTTP/1.1") + "\r\n", "405", own),
          refused("DELETE /live", head("DELETE /live HTTP/1.1") + "\r\n", "405", own),
          refused("post, in lower case", head("post /v1/completions HTTP/1.1") + "\r\n", "400",
                  unknown),
          refused("BREW", bare("BREW /x HTTP/1.1\r\nHost: g\r\n"), "400", unknown),
          refused("GET *", bare("GET * HTTP/1.1\r\nHost: g\r\n"), "400",
                  "RFC 9112 3.2.4: for OPTIONS only"),
          refused("method with a bracket", bare("GE[T /x HTTP/1.1\r\nHost: g\r\n"), "400",
                  "a method is a token"),
      }};
}

RequestShapes paths() {
  const std::string normal = post("/v1/completions", kBody);
  const std::string decoded = "engines decode it before they look the path up";
  const std::string merged = "a proxy before the engine may merge them";
  const std::string dots = "RFC 3986 5.2.4; a proxy before the engine may resolve them";
  const auto spelled = [&](const std::string& target, const std::string& why) {
    return routed(changed("POST " + target, post(target, kBody), normal, "as /v1/completions", why),
                  Routing::kInference);
  };
  const auto ambiguous = [&](const std::string& target, const std::string& why) {
    return refused("POST " + target, post(target, kBody), "400", why);
  };
  return {
      "Paths",
      {
          routed(relayed("POST /v1/completions", normal, "the plain case"), Routing::kInference),
          routed(relayed("POST /v1/completions?a=%2f//../%",
                         post("/v1/completions?a=%2f//../%", kBody), "the query is the worker's"),
                 Routing::kInference),
          spelled("/%761/completions", decoded),
          spelled("/v1/comple%74ions", decoded),
          spelled("//v1/completions", merged),
          spelled("/v1//completions", merged),
          spelled("/./v1/completions", dots),
          spelled("/x/../v1/completions", dots),
          spelled("/x/%2e%2E/v1/completions", dots),
          spelled("/v1/completions#a", "a fragment is no part of a target; engines cut it off"),
          routed(changed("POST http://h:1/v1/completions", post("http://h:1/v1/completions", kBody),
                         "POST /v1/completions HTTP/1.1\r\nHost: h:1\r\nx-request-id: "
                         "i\r\nContent-Length: " +
                             std::to_string(kBody.size()) + "\r\n\r\n" + kBody,
                         "as /v1/completions, Host: h:1",
                         "RFC 9112 3.2.2: its host stands for the Host field"),
                 Routing::kInference),
          relayed("POST /V1/Completions", post("/V1/Completions", kBody),
                  "paths have case; engines answer 404"),
          changed("GET /v1/models/a%3ab", get("/v1/models/a%3ab"), get("/v1/models/a%3Ab"),
                  "digits in upper case",
                  "other escapes stay: decoded, they could mean something else"),
          routed(relayed("GET /v1/models/a%2Fb", get("/v1/models/a%2Fb"),
                         "names of models may hold a slash; nothing runs a model by GET"),
                 Routing::kOther),
          ambiguous("/v1%2fcompletions",
                    "some read a slash, some a name: the policy would see another path"),
          ambiguous("/v1/completions%00", "encoded control bytes end a path for some"),
          ambiguous("/v1/completions%0a", "encoded control bytes"),
          ambiguous("/v1/completions%", "a cut escape"),
          ambiguous("/v1/%zzcompletions", "an escape that is not hexadecimal"),
          ambiguous("/v1\\completions", "some read a backslash as a slash"),
          ambiguous("/v1%5ccompletions", "some read a backslash as a slash"),
          ambiguous("/../v1/completions", "above the root there is nothing"),
          ambiguous("v1/completions", "neither a path nor an http URI"),
          ambiguous("ftp://h/v1/completions", "neither a path nor an http URI"),
          ambiguous("http:///v1/completions", "a URI without a host"),
          ambiguous("http://u@h/v1/completions", "a host with a user"),
      }};
}

}  // namespace

std::vector<RequestShapes> request_shapes() {
  return {lines(), methods(), paths(), fields(), lengths(), chunks()};
}

}  // namespace kvasir
