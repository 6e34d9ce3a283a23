// What the tests of the gRPC server share: a service and a client of another make (nghttp2,
// OpenSSL).
#pragma once

#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "net/grpc/grpc_framing.h"
#include "net/grpc/grpc_server.h"
#include "net/io/socket.h"

namespace kvasir {

inline std::string framed(std::string_view message) {
  const auto head = grpc_frame_head(static_cast<uint32_t>(message.size()));
  return std::string(head.data(), head.size()).append(message);
}

// Sends every message back; "finish" ends the call with NOT_FOUND.
class EchoService final : public GrpcService {
 public:
  void on_call(GrpcCall& call) override { call.set_observer(*new Echo(*this, call)); }
  int gone = 0;

 private:
  class Echo final : public GrpcCall::Observer {
   public:
    Echo(EchoService& service, GrpcCall& call) : service_(service), call_(call) {}
    void on_message(std::string_view message) override {
      if (message == "finish") return end(GrpcCode::kNotFound, "nothing here: 100%");
      call_.send(message.substr(0, message.size() / 2), message.substr(message.size() / 2));
    }
    void on_half_close() override { end(GrpcCode::kOk, ""); }
    void on_gone() override {
      ++service_.gone;
      delete this;
    }

   private:
    void end(GrpcCode code, std::string_view message) {
      call_.finish(code, message);
      delete this;
    }
    EchoService& service_;
    GrpcCall& call_;
  };
};

// A blocking HTTP/2 client of one connection; over TLS with a context, which must outlive it.
class GrpcTestClient {
 public:
  struct Answer {
    std::map<std::string, std::string> fields;
    std::string body;
    bool closed = false;
    uint32_t error = 0;
  };

  explicit GrpcTestClient(uint16_t port, SSL_CTX* tls = nullptr) {
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    const SocketAddress address = resolve("127.0.0.1", port).value();
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address.storage), address.size),
              0);
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval patience = {10, 0};
    setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (tls != nullptr) shake_hands(tls);
    nghttp2_session_callbacks* callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &GrpcTestClient::on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &GrpcTestClient::on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &GrpcTestClient::on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &GrpcTestClient::on_frame);
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 24};
    nghttp2_submit_settings(session_, 0, &window, 1);
  }
  ~GrpcTestClient() {
    nghttp2_session_del(session_);
    SSL_free(tls_);
    close(socket_);
  }

  int32_t call(const std::string& path, std::string body,
               const std::string& type = "application/grpc", bool half_close = true) {
    Upload& upload = uploads_.emplace_back(new Upload{std::move(body), 0, half_close}).operator*();
    nghttp2_data_provider provider{};
    provider.source.ptr = &upload;
    provider.read_callback = &GrpcTestClient::read_upload;
    const nghttp2_nv head[] = {field(":method", "POST"), field(":scheme", "http"),
                               field(":path", path),     field(":authority", "test"),
                               field("te", "trailers"),  field("content-type", type)};
    return nghttp2_submit_request(session_, nullptr, head, std::size(head), &provider, nullptr);
  }
  void reset(int32_t stream) { nghttp2_submit_rst_stream(session_, 0, stream, NGHTTP2_CANCEL); }
  void ping() { nghttp2_submit_ping(session_, 0, nullptr); }

  // Runs until the condition holds or ten seconds are over.
  bool run_until(const std::function<bool()>& done) {
    for (int i = 0; i < 10000 && !done(); ++i) {
      if (nghttp2_session_send_all() < 0) return done();
      pollfd ready{socket_, POLLIN, 0};
      if ((tls_ == nullptr || SSL_pending(tls_) == 0) && poll(&ready, 1, 1) <= 0) continue;
      char bytes[16384];
      const ssize_t count = receive(bytes, sizeof bytes);
      if (count <= 0) {
        ended = true;
        return done();
      }
      nghttp2_session_mem_recv(session_, reinterpret_cast<uint8_t*>(bytes),
                               static_cast<size_t>(count));
    }
    return done();
  }
  Answer& finish(int32_t stream) {
    EXPECT_TRUE(run_until([&] { return answers[stream].closed; }));
    return answers[stream];
  }

  std::map<int32_t, Answer> answers;
  int pongs = 0;
  bool goaway = false;
  bool ended = false;

  // Of the handshake, where there was one.
  bool secure() const { return secure_; }
  SSL* tls() { return tls_; }

 private:
  void shake_hands(SSL_CTX* tls) {
    tls_ = SSL_new(tls);
    SSL_set_fd(tls_, socket_);
    secure_ = SSL_connect(tls_) == 1;
    ERR_clear_error();
  }
  ssize_t receive(char* into, size_t room) {
    if (tls_ == nullptr) return recv(socket_, into, room, 0);
    return SSL_read(tls_, into, static_cast<int>(room));
  }
  ssize_t send_bytes(const uint8_t* data, size_t size) {
    if (tls_ == nullptr) return send(socket_, data, size, MSG_NOSIGNAL);
    return SSL_write(tls_, data, static_cast<int>(size));
  }

  struct Upload {
    std::string bytes;
    size_t sent;
    bool half_close;
  };
  static GrpcTestClient& self(void* user) { return *static_cast<GrpcTestClient*>(user); }
  static nghttp2_nv field(std::string_view name, std::string_view value) {
    return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
            reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(),
            0};
  }
  int nghttp2_session_send_all() {
    const uint8_t* data;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(session_, &data)) > 0) {
      if (send_bytes(data, static_cast<size_t>(size)) != size) return -1;
    }
    return 0;
  }
  static ssize_t read_upload(nghttp2_session*, int32_t, uint8_t* into, size_t room, uint32_t* flags,
                             nghttp2_data_source* source, void*) {
    auto& upload = *static_cast<Upload*>(source->ptr);
    const size_t size = upload.bytes.copy(reinterpret_cast<char*>(into), room, upload.sent);
    upload.sent += size;
    if (upload.sent == upload.bytes.size() && upload.half_close) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (size == 0 && !upload.half_close) return NGHTTP2_ERR_DEFERRED;
    return static_cast<ssize_t>(size);
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user) {
    self(user).answers[frame->hd.stream_id].fields[std::string(name, name + name_size)] =
        std::string(value, value + value_size);
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size,
                     void* user) {
    self(user).answers[id].body.append(data, data + size);
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    self(user).answers[id].closed = true;
    self(user).answers[id].error = error;
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK)) ++self(user).pongs;
    if (frame->hd.type == NGHTTP2_GOAWAY) self(user).goaway = true;
    return 0;
  }

  int socket_;
  SSL* tls_ = nullptr;
  bool secure_ = false;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Upload>> uploads_;
};

}  // namespace kvasir
