// The table of message shapes: what the gateway does with each, and why. http_shapes_test.cc sends
// every one of them through a gateway and compares what arrived at the other end byte for byte;
// docs/HTTP.md shows the table.
#pragma once

#include <string>
#include <vector>

namespace kvasir {

// A request as a client sends it.
struct RequestShape {
  std::string name;
  std::string bytes;
  std::string statuses;   // of the answers the client receives, in order: "100 200"
  std::string forwarded;  // all that the worker receives; {worker} is its HOST:PORT
  std::string detail;     // what is done with it, beyond "relayed" or "refused"
  std::string reason;
  enum class Routing {
    kAny,
    kInference,
    kOther
  } routing = Routing::kAny;  // by the policy, or in turn
  bool half_close = false;    // the client ends its side behind the bytes
};

// A request as a client of HTTP/2 sends it.
struct Http2Shape {
  std::string name;
  std::string frames;   // behind the preface and SETTINGS
  std::string outcome;  // of its streams: "100 200", "400", "reset CODE", "connection error CODE";
                        // "closed" without a word; empty: nothing comes
  std::string forwarded;  // as of a RequestShape
  std::string detail;
  std::string reason;
};

// An answer as a worker sends it.
struct AnswerShape {
  enum class End { kOpen, kClose };  // what the worker does behind it

  std::string name;
  std::string bytes;
  End end = End::kOpen;
  std::string received;  // all that the client receives, without the gateway's own fields; or a
                         // status alone: "502"
  bool kept = false;     // whether the worker's connection serves the next request
  std::string detail;
  std::string reason;
  std::string request = "GET /x HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n";
};

// In groups, as the document shows them.
struct RequestShapes {
  std::string title;
  std::vector<RequestShape> shapes;
};
struct Http2Shapes {
  std::string title;
  std::vector<Http2Shape> shapes;
};
struct AnswerShapes {
  std::string title;
  std::vector<AnswerShape> shapes;
};

std::vector<RequestShapes> request_shapes();
std::vector<Http2Shapes> http2_shapes();
std::vector<AnswerShapes> answer_shapes();

}  // namespace kvasir
