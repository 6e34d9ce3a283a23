#include "net/grpc/grpc_client_connection.h"

#include <cstring>
#include <utility>

namespace kvasir {
namespace {

// Reads from one connection before others get their turn.
constexpr int kClientReadsPerWake = 16;
// Output gathered for one write.
constexpr size_t kClientGatheredBytes = 1024 * 1024;

Http2ClientSession::Settings settings_of(const GrpcClientLimits& limits) {
  return {limits.connection_window_bytes, limits.stream_window_bytes, limits.head_bytes};
}

}  // namespace

GrpcClientConnection::GrpcClientConnection(GrpcClient& client)
    : client_(&client), loop_(client.loop_), session_(settings_of(client.limits_)) {
  connect();
}

GrpcClientConnection::~GrpcClientConnection() = default;

void GrpcClientConnection::connect() {
  Connecting connecting = start_connect(client_->address_);
  if (connecting.error != 0) {
    // Nobody has a call here yet: they hear of it once start() has returned.
    loop_.defer(lifeline_.guard([this, error = connecting.error] { fail_connect(error); }));
    return;
  }
  transport_ = Transport(std::move(connecting.socket), client_->peer_.open_session());
  set_unacknowledged_timeout(transport_.socket(), limits().unacknowledged_timeout);
  watched_ = EPOLLOUT;
  loop_.watch(transport_.socket().get(), watched_, *this);
  connect_timer_ = loop_.after(limits().connect_timeout, [this] {
    connect_timer_ = kNoTimer;
    close_now("no connection to " + client_->authority_ + " in time");
  });
}

void GrpcClientConnection::on_connected() {
  const int error = connect_error(transport_.socket());
  if (error != 0) return fail_connect(error);
  connected_ = true;
  if (!transport_.begin()) return fail_handshake();
  if (transport_.ready()) on_ready();
  write();
}

void GrpcClientConnection::fail_connect(int error) {
  close_now("cannot connect to " + client_->authority_ + ": " + std::strerror(error));
}

void GrpcClientConnection::on_ready() {
  loop_.cancel(std::exchange(connect_timer_, kNoTimer));
}

void GrpcClientConnection::fail_handshake() {
  const std::string reason = transport_.failure();
  close_now("the TLS handshake with " + client_->authority_ +
            " failed: " + (reason.empty() ? "closed by the server" : reason));
}

void GrpcClientConnection::on_io(uint32_t events) {
  if (!connected_) return on_connected();
  if ((events & EPOLLOUT) && !closed_) write();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) && !closed_) on_readable();
}

void GrpcClientConnection::on_readable() {
  char* scratch = loop_.scratch();
  for (int i = 0; (i < kClientReadsPerWake || transport_.more()) && !closed_; ++i) {
    const bool was_ready = transport_.ready();
    const Transport::Reading reading = transport_.read(scratch, EventLoop::kScratchBytes);
    if (!was_ready) {
      if (reading.status >= Transport::Status::kEnd) return fail_handshake();
      if (transport_.ready()) on_ready();
    }
    if (reading.status == Transport::Status::kLater) break;
    if (reading.status == Transport::Status::kEnd) {
      return close_now("the server closed the connection");
    }
    if (reading.status == Transport::Status::kBroken) {
      return close_now("the connection broke: " + transport_.failure());
    }
    if (!session_.receive({scratch, reading.size})) {
      return close_now("the server does not speak HTTP/2");
    }
    report_streams();
    if (transport_.drained()) break;
  }
  if (!closed_) schedule_write();
}

// Writes happen once per iteration of the loop, after all that was read has been handled.
void GrpcClientConnection::schedule_write() {
  if (closed_ || std::exchange(write_scheduled_, true)) return;
  loop_.defer(lifeline_.guard([this] {
    write_scheduled_ = false;
    if (!closed_ && connected_) write();
  }));
}

void GrpcClientConnection::write() {
  bool broken = !transport_.flush();
  while (!broken && !closed_ && transport_.ready() && transport_.unsent() == 0 &&
         session_.wants_write()) {
    broken = !session_.produce(gather_, kClientGatheredBytes);
    if (!broken && gather_.size() == 0) break;
    if (!broken) broken = !transport_.send(gather_);
    if (!broken) report_streams();
  }
  if (closed_) return;
  if (broken) return close_now("the connection broke while sending");
  report_streams();
  if (closed_) return;
  const bool drained = session_.goaway_received() && session_.open_streams() == 0;
  if ((session_.over() || drained) && transport_.unsent() == 0)
    return close_now("the server said goodbye");
  update_watch();
}

void GrpcClientConnection::report_streams() {
  for (Http2ClientStream* stream : session_.take_emptied()) {
    static_cast<GrpcClientStream*>(stream)->on_written();
  }
  for (const Http2ClientSession::Closed& closed : session_.take_closed()) {
    static_cast<GrpcClientStream&>(*closed.stream).on_closed(closed.error);
  }
}

void GrpcClientConnection::update_watch() {
  uint32_t events = EPOLLRDHUP | EPOLLIN;
  if (transport_.unsent() > 0) events |= EPOLLOUT;
  if (events == watched_) return;
  watched_ = events;
  loop_.modify(transport_.socket().get(), events, *this);
}

void GrpcClientConnection::close_now(std::string reason) {
  if (std::exchange(closed_, true)) return;
  failure_ = std::move(reason);
  if (transport_.socket().open()) {
    transport_.say_goodbye();
    loop_.unwatch(transport_.socket().get(), *this);
  }
  loop_.cancel(std::exchange(connect_timer_, kNoTimer));
  client_->remove(*this);
  session_.close_all(Http2Error::kInternal);
  report_streams();
}

void GrpcClientConnection::abandon() {
  closed_ = true;
  if (transport_.socket().open()) loop_.unwatch(transport_.socket().get(), *this);
  loop_.cancel(std::exchange(connect_timer_, kNoTimer));
}

// --- Calls -----------------------------------------------------------------------------

void GrpcClientConnection::refuse(std::unique_ptr<GrpcClientStream> stream, GrpcCode code,
                                  std::string message) {
  std::shared_ptr<GrpcClientStream> shared = std::move(stream);
  loop_.defer(lifeline_.guard([shared, code, message] {
    shared->end({static_cast<uint32_t>(code), message, false});
  }));
}

GrpcClientCall& GrpcClientConnection::start(std::string_view path,
                                            GrpcClientCall::Observer& observer, Duration timeout,
                                            const std::vector<GrpcClient::Field>& fields) {
  auto stream = std::make_unique<GrpcClientStream>(*this, observer);
  GrpcClientStream& call = *stream;
  if (session_.open_streams() >= limits().calls) {
    refuse(std::move(stream), GrpcCode::kResourceExhausted, "too many calls at once");
    return call;
  }
  std::vector<Http2Field> head = {
      {":method", "POST"}, {":scheme", transport_.encrypted() ? "https" : "http"},
      {":path", path},     {":authority", client_->authority_},
      {"te", "trailers"},  {"content-type", "application/grpc"}};
  for (const GrpcClient::Field& field : fields) head.push_back({field.name, field.value});
  std::unique_ptr<Http2ClientStream> owned = std::move(stream);
  const std::optional<int32_t> id = session_.request(head, owned);
  if (!id) {
    stream.reset(static_cast<GrpcClientStream*>(owned.release()));
    refuse(std::move(stream), GrpcCode::kUnavailable, "the connection takes no more calls");
    return call;
  }
  call.set_id(*id);
  call.start_deadline(timeout);
  schedule_write();
  return call;
}

}  // namespace kvasir
