#include "net/grpc_sender.h"

#include <nghttp2/nghttp2.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/assert.h"
#include "net/grpc_framing.h"

namespace kvasir {
namespace {

nghttp2_nv field(std::string_view name, std::string_view value) {
  const auto bytes = [](std::string_view text) {
    return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  };
  return {bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE};
}

std::string_view view(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

}  // namespace

// What nghttp2 calls. `user` is the sender.
struct GrpcSenderCallbacks {
  static GrpcSender& self(void* user) { return *static_cast<GrpcSender*>(user); }

  static int on_header(nghttp2_session*, const nghttp2_frame*, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                       void* user) {
    const std::string_view text = view(value, value_size);
    if (view(name, name_size) == "grpc-status") {
      unsigned code = static_cast<unsigned>(GrpcCode::kUnknown);
      std::from_chars(text.data(), text.data() + text.size(), code);
      self(user).code_ = static_cast<GrpcCode>(code);
    } else if (view(name, name_size) == "grpc-message") {
      self(user).message_ = text.substr(0, self(user).limits_.message_bytes);
    }
    return 0;
  }

  static int on_close(nghttp2_session*, int32_t, uint32_t, void* user) {
    self(user).stream_closed_ = true;
    return 0;
  }

  static ssize_t read_waiting(nghttp2_session*, int32_t, uint8_t* to, size_t room, uint32_t*,
                              nghttp2_data_source*, void* user) {
    GrpcSender& sender = self(user);
    const std::string_view waiting = sender.waiting_.view().substr(sender.taken_);
    if (waiting.empty()) return NGHTTP2_ERR_DEFERRED;
    const size_t size = std::min(room, waiting.size());
    std::memcpy(to, waiting.data(), size);
    sender.taken_ += size;
    if (sender.taken_ == sender.waiting_.size()) {
      sender.waiting_.clear();
      sender.taken_ = 0;
    }
    return static_cast<ssize_t>(size);
  }
};

GrpcSender::GrpcSender(EventLoop& loop, const SocketAddress& address, std::string_view authority,
                       std::string_view path, Observer& observer, GrpcSenderLimits limits)
    : loop_(loop), observer_(observer), limits_(limits), authority_(authority), path_(path) {
  connect(address);
}

GrpcSender::~GrpcSender() {
  close();
  nghttp2_session_del(session_);
}

void GrpcSender::connect(const SocketAddress& address) {
  Result<Descriptor> socket = start_connect(address);
  if (!socket) {
    timer_ = loop_.after(Duration::zero(), [this, why = socket.error().message] { fail(why); });
    return;
  }
  socket_ = std::move(*socket);
  set_unacknowledged_timeout(socket_, limits_.unacknowledged_timeout);
  watched_ = EPOLLOUT;
  loop_.watch(socket_.get(), watched_, *this);
  timer_ = loop_.after(limits_.connect_timeout, [this] { fail("connecting takes too long"); });
}

void GrpcSender::on_io(uint32_t events) {
  if (!connected_) return on_connected();
  if (events & EPOLLOUT) write();
  if ((events & ~static_cast<uint32_t>(EPOLLOUT)) && !ended_) read();
}

void GrpcSender::on_connected() {
  if (const int error = connect_error(socket_); error != 0) return fail(std::strerror(error));
  loop_.cancel(timer_);
  timer_ = kNoTimer;
  connected_ = true;
  start_call();
  write();
  if (!ended_) observer_.on_open();
}

void GrpcSender::start_call() {
  nghttp2_session_callbacks* callbacks = nullptr;
  KVASIR_ASSERT(nghttp2_session_callbacks_new(&callbacks) == 0, "memory");
  nghttp2_session_callbacks_set_on_header_callback(callbacks, &GrpcSenderCallbacks::on_header);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &GrpcSenderCallbacks::on_close);
  KVASIR_ASSERT(nghttp2_session_client_new(&session_, callbacks, this) == 0, "memory");
  nghttp2_session_callbacks_del(callbacks);
  const nghttp2_settings_entry no_push{NGHTTP2_SETTINGS_ENABLE_PUSH, 0};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &no_push, 1);
  const nghttp2_nv head[] = {
      field(":method", "POST"), field(":scheme", "http"), field(":authority", authority_),
      field(":path", path_),    field("te", "trailers"),  field("content-type", "application/grpc"),
  };
  nghttp2_data_provider provider{};
  provider.read_callback = &GrpcSenderCallbacks::read_waiting;
  stream_ = nghttp2_submit_request(session_, nullptr, head, std::size(head), &provider, nullptr);
  KVASIR_ASSERT(stream_ > 0, "a first call can be made");
}

void GrpcSender::send(std::string_view message) {
  if (!connected_ || ended_) return;
  const auto head = grpc_frame_head(static_cast<uint32_t>(message.size()));
  if (taken_ > 0) {
    waiting_.remove_prefix(taken_);
    taken_ = 0;
  }
  waiting_.append({head.data(), head.size()});
  waiting_.append(message);
  nghttp2_session_resume_data(session_, stream_);
  write();
}

void GrpcSender::read() {
  char* scratch = loop_.scratch();
  const ssize_t count = recv(socket_.get(), scratch, EventLoop::kScratchBytes, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count < 0) return fail(std::strerror(errno));
  if (count == 0) return fail("the connection was closed");
  const auto* bytes = reinterpret_cast<const uint8_t*>(scratch);
  if (nghttp2_session_mem_recv(session_, bytes, static_cast<size_t>(count)) < 0) {
    return fail("not HTTP/2");
  }
  if (stream_closed_) return end(code_, message_);
  write();
}

void GrpcSender::write() {
  if (!output_.flush(socket_.get())) return fail("the connection broke");
  while (output_.size() == 0) {
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    if (size < 0) return fail("the session broke");
    if (size == 0) break;
    if (!output_.send(socket_.get(), view(bytes, static_cast<size_t>(size)))) {
      return fail("the connection broke");
    }
  }
  const uint32_t events = EPOLLIN | EPOLLRDHUP | (output_.size() > 0 ? EPOLLOUT : 0u);
  if (std::exchange(watched_, events) != events) loop_.modify(socket_.get(), events, *this);
}

void GrpcSender::fail(std::string_view why) {
  end(std::nullopt, why);
}

void GrpcSender::end(std::optional<GrpcCode> code, std::string_view message) {
  if (std::exchange(ended_, true)) return;
  close();
  observer_.on_end(code, message);
}

void GrpcSender::close() {
  loop_.cancel(timer_);
  timer_ = kNoTimer;
  if (!socket_.open()) return;
  loop_.unwatch(socket_.get(), *this);
  socket_ = Descriptor();
}

}  // namespace kvasir
