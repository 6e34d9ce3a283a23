#include "http_shapes.h"

namespace kvasir {
namespace {

using End = AnswerShape::End;

const std::string kOk = "HTTP/1.1 200 OK\r\n";
const std::string kClose = "Connection: close\r\n\r\n";
const std::string kChunked = "Transfer-Encoding: chunked\r\n";
const std::string kLength = "Content-Length: 3\r\n";
const std::string kHeadRequest = "HEAD /x HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n";
const std::string kOldRequest = "GET /x HTTP/1.0\r\n\r\n";

std::string repeated(const std::string& text, int count) {
  std::string all;
  for (int i = 0; i < count; ++i) all += text;
  return all;
}

AnswerShape to(const std::string& request, AnswerShape shape) {
  shape.request = request;
  return shape;
}
AnswerShape refused(const std::string& name, const std::string& bytes, const std::string& reason) {
  return {name, bytes, End::kOpen, "502", false, "", reason};
}

AnswerShapes bodies() {
  const std::string own = "no body by its status: what follows it is not the client's";
  return {
      "How an answer ends",
      {
          {"Content-Length", kOk + kLength + "\r\nabc", End::kOpen, kOk + kLength + kClose + "abc",
           true, "", "the plain case"},
          {"chunked", kOk + kChunked + "\r\n3\r\nabc\r\n0\r\n\r\n", End::kOpen,
           kOk + kChunked + kClose + "3\r\nabc\r\n0\r\n\r\n", true, "",
           "chunks pass as they are framed"},
          {"until the connection ends", kOk + "\r\nabc", End::kClose,
           kOk + kChunked + kClose + "3\r\nabc\r\n0\r\n\r\n", false, "chunked",
           "so that the client can tell a whole answer from a cut one"},
          {"HTTP/1.0 with Content-Length", "HTTP/1.0 200 OK\r\n" + kLength + "\r\nabc", End::kOpen,
           kOk + kLength + kClose + "abc", false, "as HTTP/1.1", "each hop has its own version"},
          {"HTTP/1.0 until the connection ends", "HTTP/1.0 200 OK\r\n\r\nabc", End::kClose,
           kOk + kChunked + kClose + "3\r\nabc\r\n0\r\n\r\n", false, "chunked",
           "each hop has its own framing"},
          to(kOldRequest,
             {"chunked, to a client of HTTP/1.0", kOk + kChunked + "\r\n3\r\nabc\r\n0\r\n\r\n",
              End::kOpen, kOk + kClose + "abc", true, "without chunks, until the connection ends",
              "HTTP/1.0 has no chunks"}),
          {"shorter than Content-Length, then the end", kOk + "Content-Length: 9\r\n\r\nabc",
           End::kClose, kOk + "Content-Length: 9\r\n" + kClose + "abc", false,
           "cut where the worker cut it", "an end that the worker did not send is not made up"},
          {"longer than Content-Length", kOk + kLength + "\r\nabcdef", End::kOpen,
           kOk + kLength + kClose + "abc", false,
           "without the surplus, which closes the worker's connection",
           "it would be taken for the next answer, another client's"},
          {"64 kB and a second answer behind the first",
           kOk + kLength + "\r\nabc" + std::string(65'536, 'x') + kOk + kLength + "\r\nxyz",
           End::kOpen, kOk + kLength + kClose + "abc", false,
           "without the surplus, which closes the worker's connection",
           "it would be taken for the next answer, another client's"},
          {"bytes behind the last chunk", kOk + kChunked + "\r\n3\r\nabc\r\n0\r\n\r\nxyz",
           End::kOpen, kOk + kChunked + kClose + "3\r\nabc\r\n0\r\n\r\n", false,
           "without the surplus", "as above"},
          {"204 with Content-Length and a body",
           "HTTP/1.1 204 No Content\r\n" + kLength + "\r\nabc", End::kOpen,
           "HTTP/1.1 204 No Content\r\n" + kClose, false, "without both", own},
          {"204 with Transfer-Encoding", "HTTP/1.1 204 No Content\r\n" + kChunked + "\r\n",
           End::kOpen, "HTTP/1.1 204 No Content\r\n" + kClose, true, "without it", own},
          {"304 with Content-Length", "HTTP/1.1 304 Not Modified\r\n" + kLength + "\r\n",
           End::kOpen, "HTTP/1.1 304 Not Modified\r\n" + kLength + kClose, true, "",
           "RFC 9110 8.6: it tells the length of what was not sent"},
          {"304 with a body", "HTTP/1.1 304 Not Modified\r\n" + kLength + "\r\nabc", End::kOpen,
           "HTTP/1.1 304 Not Modified\r\n" + kLength + kClose, false, "without the body", own},
          to(kHeadRequest, {"Content-Length, to HEAD", kOk + kLength + "\r\n", End::kOpen,
                            kOk + kLength + kClose, true, "", "the length of what GET would get"}),
          to(kHeadRequest,
             {"chunked, to HEAD", kOk + kChunked + "\r\n", End::kOpen, kOk + kChunked + kClose,
              true, "", "the framing of what GET would get"}),
          to(kHeadRequest, {"a body, to HEAD", kOk + kLength + "\r\nabc", End::kOpen,
                            kOk + kLength + kClose, false, "without the body", own}),
          refused("both Content-Length and Transfer-Encoding",
                  kOk + kLength + kChunked + "\r\n3\r\nabc\r\n0\r\n\r\n",
                  "two ends: the client may take the other one (response splitting)"),
          refused("Content-Length twice, equal", kOk + kLength + kLength + "\r\nabc",
                  "as in requests"),
          refused("Content-Length twice, different", kOk + kLength + "Content-Length: 4\r\n\r\nabc",
                  "as in requests"),
          refused("Content-Length: 3, 3", kOk + "Content-Length: 3, 3\r\n\r\nabc",
                  "as in requests"),
          refused("Content-Length: -3", kOk + "Content-Length: -3\r\n\r\nabc", "as in requests"),
          refused("Transfer-Encoding: gzip, chunked",
                  kOk + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "as in requests"),
          refused("Transfer-Encoding in HTTP/1.0",
                  "HTTP/1.0 200 OK\r\n" + kChunked + "\r\n0\r\n\r\n", "as in requests"),
          refused("bad chunk size", kOk + kChunked + "\r\nzz\r\n",
                  "before the first byte of a body nothing was sent"),
      }};
}

AnswerShapes chunks() {
  const std::string begun = kOk + kChunked + kClose + "3\r\nabc\r\n";
  const std::string begin = kOk + kChunked + "\r\n3\r\nabc\r\n";
  const std::string cut = "what was sent cannot be taken back, and an end is not made up";
  return {"Chunks of an answer",
          {
              {"chunk extension", kOk + kChunked + "\r\n3;a=b\r\nabc\r\n0\r\n\r\n", End::kOpen,
               kOk + kChunked + kClose + "3;a=b\r\nabc\r\n0\r\n\r\n", true, "",
               "RFC 9112 7.1.1: whoever does not know an extension ignores it"},
              {"trailer fields", begin + "0\r\nx-selected-pod: forged\r\nA: b\r\n\r\n", End::kOpen,
               begun + "0\r\n\r\n", true, "without them",
               "a client that takes them for header fields would believe them"},
              {"trailer fields of 200 kB", begin + "0\r\n" + repeated("A: b\r\n", 33'000),
               End::kOpen, begun + "0\r\n", false, "cut", "they count as a head does"},
              {"folded trailer field", begin + "0\r\nA: b\r\n c\r\n\r\n", End::kOpen,
               begun + "0\r\n", false, "cut", cut},
              {"the connection ends before the last chunk", begin, End::kClose, begun, false, "cut",
               cut},
          }};
}

AnswerShapes heads() {
  const std::string plain = kOk + kLength + "\r\nabc";
  const std::string received = kOk + kLength + kClose + "abc";
  const std::string known = "a status is 100 to 599 (RFC 9110 15)";
  return {
      "The head of an answer",
      {
          {"status line without a reason", "HTTP/1.1 200\r\n" + kLength + "\r\nabc", End::kOpen,
           received, true, "with one", "often sent, and meant so"},
          {"a reason of its own", "HTTP/1.1 299 Fine By Me\r\n" + kLength + "\r\nabc", End::kOpen,
           "HTTP/1.1 299 Fine By Me\r\n" + kLength + kClose + "abc", true, "",
           "any status of a known class passes"},
          refused("status 99", "HTTP/1.1 099 Low\r\n" + kLength + "\r\nabc", known),
          refused("status 600", "HTTP/1.1 600 High\r\n" + kLength + "\r\nabc", known),
          refused("status 999", "HTTP/1.1 999 High\r\n" + kLength + "\r\nabc", known),
          refused("status of two digits", "HTTP/1.1 20 OK\r\n" + kLength + "\r\nabc", known),
          refused("HTTP/2.0", "HTTP/2.0 200 OK\r\n" + kLength + "\r\nabc", "not spoken here"),
          refused("another protocol", "SSH-2.0-OpenSSH_9.2\r\n", "not spoken here"),
          refused("an empty line before the answer", "\r\n" + plain,
                  "what comes there belongs to no answer"),
          refused("lines that end with LF", "HTTP/1.1 200 OK\nContent-Length: 3\n\nabc",
                  "as in requests"),
          refused("folded field", kOk + "A: b\r\n c\r\n" + kLength + "\r\nabc", "as in requests"),
          refused("space before the colon", kOk + "A : b\r\n" + kLength + "\r\nabc",
                  "as in requests"),
          refused("value with a NUL byte",
                  kOk + std::string("A: b\0c\r\n", 8) + kLength + "\r\nabc", "as in requests"),
          refused("reason with a control byte", "HTTP/1.1 200 O\x01K\r\n" + kLength + "\r\nabc",
                  "as in requests"),
          refused("head of 70 kB",
                  kOk + "A: " + std::string(70'000, 'a') + "\r\n" + kLength + "\r\nabc",
                  "the limit of heads"),
          {"the connection ends without an answer", "", End::kClose, "502", false, "",
           "there is none"},
          {"the connection ends within the head", kOk + "A: b\r\n", End::kClose, "502", false, "",
           "there is none"},
          {"field that Connection names",
           kOk + "Connection: X-Hop\r\nX-Hop: secret\r\nX-End: 1\r\n" + kLength + "\r\nabc",
           End::kOpen, kOk + "X-End: 1\r\n" + kLength + kClose + "abc", true, "without it",
           "belongs to one connection (RFC 9110 7.6.1)"},
          {"Keep-Alive, Proxy-Authenticate, Upgrade, Trailer",
           kOk + "Keep-Alive: 5\r\nProxy-Authenticate: a\r\nUpgrade: b\r\nTrailer: c\r\n" +
               kLength + "\r\nabc",
           End::kOpen, received, true, "without them", "belong to one connection (RFC 9110 7.6.1)"},
          {"Connection: close", kOk + kLength + "Connection: close\r\n\r\nabc", End::kOpen,
           received, false, "", "about the worker's connection"},
          {"two Set-Cookie fields",
           kOk + "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" + kLength + "\r\nabc", End::kOpen,
           kOk + "Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n" + kLength + kClose + "abc", true, "",
           "end-to-end fields pass as they are"},
      }};
}

AnswerShapes interim() {
  const std::string plain = kOk + kLength + "\r\nabc";
  const std::string received = kOk + kLength + kClose + "abc";
  const std::string hints = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
  const std::string why =
      "they say nothing of an inference; the answer may still come from another worker";
  return {"Interim answers",
          {
              {"100, then the answer", "HTTP/1.1 100 Continue\r\n\r\n" + plain, End::kOpen,
               received, true, "the answer alone", "the gateway answers expectations itself"},
              {"102 and two times 103, then the answer",
               "HTTP/1.1 102 Processing\r\n\r\n" + hints + hints + plain, End::kOpen, received,
               true, "the answer alone", why},
              to(kHeadRequest, {"103, then the answer to HEAD", hints + kOk + kLength + "\r\n",
                                End::kOpen, kOk + kLength + kClose, true, "the answer alone", why}),
              {"103 with Content-Length, then the answer",
               "HTTP/1.1 103 Early Hints\r\n" + kLength + "\r\n" + plain, End::kOpen, received,
               true, "the answer alone", "interim answers have no body"},
              refused("17 interim answers", repeated(hints, 17) + plain, "16 at most"),
              refused("101", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
                      "nobody asked for it"),
              {"103, then the end", hints, End::kClose, "502", false, "", "there is no answer"},
          }};
}

}  // namespace

std::vector<AnswerShapes> answer_shapes() {
  return {bodies(), chunks(), heads(), interim()};
}

}  // namespace kvasir
