#include "worker/kv_event_messages.h"

#include <array>
#include <cerrno>

namespace kvasir {
namespace {

// Peers may have either kind of address.
bool is_v6(const std::string& endpoint) {
  return endpoint.empty() || endpoint.find("::") != std::string::npos ||
         endpoint.find('[') != std::string::npos;
}

}  // namespace

bool send_frame(void* socket, std::string_view bytes, bool more) {
  const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  return zmq_send(socket, bytes.data(), bytes.size(), flags) >= 0;
}

bool send_batch(void* socket, const SharedBatch& batch) {
  auto* keeper = new SharedBatch(batch);
  zmq_msg_t message;
  const auto release = [](void*, void* hint) { delete static_cast<SharedBatch*>(hint); };
  void* bytes = const_cast<char*>(batch->bytes().data());  // it is only read
  if (zmq_msg_init_data(&message, bytes, batch->bytes().size(), release, keeper) != 0) {
    delete keeper;
    return false;
  }
  if (zmq_msg_send(&message, socket, ZMQ_DONTWAIT) >= 0) return true;
  zmq_msg_close(&message);
  return false;
}

Error zmq_error(const std::string& what) {
  return Error{what + ": " + zmq_strerror(zmq_errno())};
}

Result<PublisherSocket> make_publisher_socket(void* context, int type, int hwm,
                                              const std::string& endpoint) {
  PublisherSocket socket(zmq_socket(context, type));
  if (!socket) return zmq_error("ZeroMQ");
  const int no_linger = 0, on = 1;
  zmq_setsockopt(socket.get(), ZMQ_LINGER, &no_linger, sizeof no_linger);
  zmq_setsockopt(socket.get(), ZMQ_SNDHWM, &hwm, sizeof hwm);
  if (is_v6(endpoint)) zmq_setsockopt(socket.get(), ZMQ_IPV6, &on, sizeof on);
  return socket;
}

Result<std::string> bind_publisher_socket(const PublisherSocket& socket,
                                          const std::string& endpoint) {
  if (zmq_bind(socket.get(), endpoint.c_str()) != 0) {
    const bool taken = zmq_errno() == EADDRINUSE;
    Error error = zmq_error("cannot bind " + endpoint);
    if (taken) {
      error.message +=
          "; end what listens there, or take another port. Each rank adds its number to the ports "
          "of events and of replays: these must be at least as far apart as there are ranks";
    }
    return error;
  }
  std::array<char, 256> bound{};
  size_t size = bound.size();
  if (zmq_getsockopt(socket.get(), ZMQ_LAST_ENDPOINT, bound.data(), &size) != 0) return endpoint;
  return std::string(bound.data());
}

}  // namespace kvasir
