#include "transfer/nixl/nixl_side_channel.h"

#include <array>
#include <optional>

#include "base/integer_text.h"
#include "net/io/socket.h"

namespace kvasir {

Result<std::unique_ptr<NixlSideChannel>> NixlSideChannel::bind(ZmqContext& context,
                                                               const NixlLimits& limits,
                                                               const std::string& host,
                                                               uint16_t port, NixlCounts& counts) {
  const auto failed = [&](const std::string& why) {
    return Error{
        "the NIXL side channel (VLLM_NIXL_SIDE_CHANNEL_HOST, "
        "VLLM_NIXL_SIDE_CHANNEL_PORT): " +
        why};
  };
  const Result<SocketAddress> address = resolve(host, port);  // ZeroMQ binds to no names
  if (!address) return failed(address.error().message);
  ZmqSocketOptions options;
  options.message_bytes_max = limits.side_message_bytes_max;
  Result<std::unique_ptr<ZmqSocket>> socket = ZmqSocket::open(context, ZMQ_ROUTER, options);
  if (!socket) return socket.error();
  const std::string origin = to_string(HostPort{address_text(*address), port});
  const Result<void> bound = (*socket)->bind("tcp://" + origin);
  if (!bound) return failed(bound.error().message);
  const std::string where = (*socket)->bound_address();
  const auto bound_port = integer_of<uint16_t>(where.substr(where.rfind(':') + 1));
  if (!bound_port) return failed("it is bound to " + where);
  return std::unique_ptr<NixlSideChannel>(
      new NixlSideChannel(std::move(*socket), *bound_port, counts));
}

// A question has three frames: who asks, nothing, what is asked.
void NixlSideChannel::listen(EventLoop& loop, const NixlHandshake& handshake) {
  answer_ = write_nixl_handshake(handshake);
  socket_->listen(loop, [this](ZmqFrames frames) {
    if (frames.size() != 3 || !frames[1].empty() || !read_nixl_question(frames[2])) {
      counts_.refused_peers.fetch_add(1, std::memory_order_relaxed);
      return;
    }
    const std::array<std::string_view, 3> answer{frames[0], std::string_view(), answer_};
    socket_->send(answer);  // who is gone meanwhile needs none
  });
}

}  // namespace kvasir
