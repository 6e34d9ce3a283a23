// bare_picker PORT ENDPOINT: an endpoint picker that always answers ENDPOINT, with the messages that the
// reference picker sends (FULL_DUPLEX_STREAMED both ways). What is left of a picker without its thinking.
#include <charconv>
#include <cstdio>
#include <cstring>
#include <string>

#include "net/grpc/grpc_health.h"
#include "net/grpc/grpc_server.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "wire/ext_proc/ext_proc.h"
#include "wire/ext_proc/ext_proc_response.h"

namespace kvasir {
namespace {

constexpr char kProcessPath[] = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
constexpr char kEndpointHeader[] = "x-gateway-destination-endpoint";

// Shared by all calls: one loop, one thread.
struct Scratch {
  ExtProcRequest request;
  std::string message;
};

class Exchange final : public GrpcCall::Observer {
 public:
  Exchange(GrpcCall& call, const std::string& endpoint, Scratch& scratch)
      : call_(call), endpoint_(endpoint), scratch_(scratch) {}

  void on_message(std::string_view message) override {
    ExtProcRequest& request = scratch_.request;
    if (!read_ext_proc_request(message, request)) {
      call_.finish(GrpcCode::kInvalidArgument, "not a ProcessingRequest");
      delete this;
      return;
    }
    switch (request.kind) {
      case ExtProcRequest::Kind::kRequestHeaders:
        if (request.end_of_stream) answer_request_headers();
        return;
      case ExtProcRequest::Kind::kRequestBody:
        return on_request_body(request);
      case ExtProcRequest::Kind::kResponseHeaders:
        write_headers_answer(ExtProcSide::kResponse, {}, scratch_.message);
        return call_.send(scratch_.message);
      case ExtProcRequest::Kind::kResponseBody:
        return send_body(ExtProcSide::kResponse, request.body, request.end_of_stream);
      case ExtProcRequest::Kind::kResponseTrailers:
        write_trailers_answer(ExtProcSide::kResponse, {}, scratch_.message);
        return call_.send(scratch_.message);
      default:
        return;
    }
  }

  void on_half_close() override {
    call_.finish(GrpcCode::kOk);
    delete this;
  }
  void on_gone() override { delete this; }

 private:
  void on_request_body(const ExtProcRequest& request) {
    if (!request.end_of_stream) {
      body_.append(request.body);
      return;
    }
    answer_request_headers();
    if (body_.empty()) return send_body(ExtProcSide::kRequest, request.body, true);
    body_.append(request.body);
    send_body(ExtProcSide::kRequest, body_, true);
    std::string().swap(body_);
  }

  void answer_request_headers() {
    ExtProcHeadersAnswer answer;
    answer.clear_route_cache = true;
    answer.mutation.set = {{kEndpointHeader, endpoint_}};
    answer.metadata = {{kEndpointHeader, endpoint_}};
    write_headers_answer(ExtProcSide::kRequest, answer, scratch_.message);
    call_.send(scratch_.message);
  }

  void send_body(ExtProcSide side, std::string_view body, bool end_of_stream) {
    for_each_chunk(body, [&](std::string_view chunk, bool last) {
      write_streamed_body_head(side, chunk.size(), last && end_of_stream, {}, scratch_.message);
      call_.send(scratch_.message, chunk);
    });
  }

  GrpcCall& call_;
  const std::string& endpoint_;
  Scratch& scratch_;
  std::string body_;
};

class BarePicker final : public GrpcService {
 public:
  explicit BarePicker(std::string endpoint) : endpoint_(std::move(endpoint)) {}
  void on_call(GrpcCall& call) override {
    call.set_observer(*new Exchange(call, endpoint_, scratch_));
  }

 private:
  const std::string endpoint_;
  Scratch scratch_;
};

int serve(uint16_t port, std::string endpoint) {
  auto loop = EventLoop::create();
  auto listener = listen_tcp("127.0.0.1", port, false);
  if (!loop || !listener) {
    std::fprintf(stderr, "bare_picker: %s\n",
                 (!loop ? loop.error() : listener.error()).message.c_str());
    return 1;
  }
  BarePicker picker(std::move(endpoint));
  GrpcHealthService health([](std::string_view) { return GrpcHealth::kServing; });
  std::vector<GrpcRoute> routes = health.routes();
  routes.push_back({kProcessPath, &picker});
  GrpcServer server(**loop, std::move(*listener), std::move(routes));
  std::printf("bare_picker: listening on 127.0.0.1:%d\n", server.port());
  std::fflush(stdout);
  (*loop)->run();
  return 0;
}

}  // namespace
}  // namespace kvasir

int main(int count, char** arguments) {
  uint16_t port = 0;
  if (count == 3) {
    const char* end = arguments[1] + std::strlen(arguments[1]);
    const auto parsed = std::from_chars(arguments[1], end, port);
    if (parsed.ec == std::errc() && parsed.ptr == end) return kvasir::serve(port, arguments[2]);
  }
  std::fprintf(stderr, "usage: bare_picker PORT ENDPOINT\n");
  return 2;
}
