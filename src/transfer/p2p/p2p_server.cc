#include "transfer/p2p/p2p_server.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <random>
#include <utility>

#include "base/integer_text.h"
#include "wire/kv_transfer/p2p_request_id.h"

namespace kvasir {
namespace {

ZmqSocketOptions p2p_router_options() {
  ZmqSocketOptions options;
  options.message_bytes_max = kP2pMessageBytesMost;
  options.high_water_mark = 100'000;  // answers; they are short
  return options;
}

std::string make_token() {
  std::random_device random;
  std::string token;
  for (size_t i = 0; i < P2pLink::kTokenBytes; ++i) token += static_cast<char>(random());
  return token;
}

}  // namespace

Result<std::unique_ptr<P2pServer>> P2pServer::open(EventLoop& loop, ZmqContext& context,
                                                   const P2pServerOptions& options,
                                                   uint64_t fingerprint, const KvLayout& layout,
                                                   P2pArrivals& arrivals, Owner& owner) {
  std::unique_ptr<P2pServer> made(
      new P2pServer(loop, options, fingerprint, layout, arrivals, owner));
  auto router = ZmqSocket::open(context, ZMQ_ROUTER, p2p_router_options());
  if (!router) return router.error();
  made->router_ = std::move(router).value();
  // A name is looked up by ZeroMQ, once: it is this machine's own.
  const Result<void> bound =
      made->router_->bind("tcp://" + to_string(HostPort{options.host, options.port}));
  if (!bound) return bound.error();
  const std::string address = made->router_->bound_address();
  made->port_ = integer_of<uint16_t>(address.substr(address.rfind(':') + 1)).value_or(0);
  Result<Descriptor> listener = listen_tcp(options.host, 0, false);
  if (!listener) return listener.error();
  made->listener_ = std::move(listener).value();

  P2pServer& server = *made;
  server.router_->listen(loop, [&server](ZmqFrames frames) { server.on_message(frames); });
  loop.watch(server.listener_.get(), EPOLLIN, server);
  server.sweep_ = loop.after(options.greeting_patience, [&server] { server.sweep(); });
  return made;
}

P2pServer::P2pServer(EventLoop& loop, const P2pServerOptions& options, uint64_t fingerprint,
                     const KvLayout& layout, P2pArrivals& arrivals, Owner& owner)
    : loop_(loop),
      options_(options),
      fingerprint_(fingerprint),
      layout_(layout),
      arrivals_(arrivals),
      owner_(owner) {}

P2pServer::~P2pServer() {
  loop_.cancel(sweep_);
  if (listener_.open()) loop_.unwatch(listener_.get(), *this);
  for (auto& [peer, session] : std::exchange(sessions_, {})) {
    if (session->link != nullptr) session->link->cut();
  }
}

void P2pServer::on_message(ZmqFrames frames) {
  if (frames.size() != 2) return;  // not from a DEALER: nobody to answer
  const std::string peer(frames[0]);
  const std::string answer = this->answer(peer, frames[1]);
  const std::array<std::string_view, 2> reply = {peer, answer};
  router_->send(reply);
}

std::string P2pServer::answer(const std::string& peer, std::string_view message) {
  const Result<P2pCommand> command = read_p2p_command(message);
  if (!command) {
    owner_.on_refused(command.error().message);
    return "1";
  }
  switch (command->kind) {
    case P2pCommand::Kind::kNew:
      return greet(peer, *command);
    case P2pCommand::Kind::kPut:
      return take_put(peer, *command);
    case P2pCommand::Kind::kGet:
      return write_p2p_reply({take_get(peer, *command), 0, {}});
    case P2pCommand::Kind::kDrop:
      return take_drop(peer, *command) ? "0" : "1";
  }
  return "1";
}

std::string P2pServer::greet(const std::string& peer, const P2pCommand& command) {
  const bool known = sessions_.count(peer) > 0;
  if (command.unique_id != kP2pUniqueId || command.fingerprint != fingerprint_) {
    owner_.on_refused("a worker of another model, layout or version");
    return write_p2p_reply({P2pReply::kRefused, 0, {}});
  }
  if (known || sessions_.size() >= options_.sessions_max) {
    owner_.on_refused("more workers than there are sessions for");
    return write_p2p_reply({P2pReply::kRefused, 0, {}});
  }
  sessions_[peer] = std::unique_ptr<Session>(
      new Session{make_token(), nullptr, P2pFrames(arrivals_), loop_.now()});
  return write_p2p_reply({P2pReply::kDone, local_port(listener_), sessions_[peer]->token});
}

std::string P2pServer::take_put(const std::string& peer, const P2pCommand& command) {
  const auto session = sessions_.find(peer);
  if (session == sessions_.end() || session->second->frames.size() >= options_.frames_max) {
    return "1";  // it greeted another process of this address, or announces too much
  }
  const auto blocks = read_p2p_tensor_id(command.tensor_id);
  const auto key = blocks ? p2p_request_key(blocks->request) : std::nullopt;
  const bool packed = command.dtype == kP2pPackedDtype;
  const bool fits = key && (packed || command.dtype == kP2pDtype) &&
                    command.blocks == blocks->count && command.layers == layout_.layers &&
                    command.values == layout_.slice_bytes() / 2;
  if (!fits) {
    owner_.on_refused("blocks of another shape, or of a request without addresses");
    return "1";
  }
  if (!arrivals_.wants(std::string(*key))) return "2";
  auto tensor = arrivals_.announce(std::string(*key), blocks->first, blocks->count,
                                   command.last_block, packed);
  if (tensor == nullptr) return "1";
  session->second->frames.expect(command.number, std::string(*key), std::move(tensor));
  return "0";
}

bool P2pServer::take_drop(const std::string& peer, const P2pCommand& command) {
  const auto blocks = read_p2p_tensor_id(command.tensor_id);
  if (sessions_.count(peer) == 0 || !blocks) return false;
  owner_.on_drop(std::string(blocks->request));
  return true;
}

uint64_t P2pServer::take_get(const std::string& peer, const P2pCommand& command) {
  const auto session = sessions_.find(peer);
  const auto blocks = read_p2p_tensor_id(command.tensor_id);
  if (session == sessions_.end() || !blocks) return P2pReply::kRefused;
  if (session->second->link == nullptr) return P2pReply::kNotThere;  // its hello is on its way
  return owner_.on_get(*session->second->link, *blocks, command);
}

void P2pServer::on_io(uint32_t) {
  for (;;) {
    Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.open()) return;
    if (strangers_.size() >= options_.strangers_max) {
      owner_.on_refused("more connections than may wait for a greeting");
      continue;
    }
    std::unique_ptr<P2pLink> link(new P2pLink(loop_, std::move(socket), *this));
    P2pLink* const key = link.get();
    strangers_[key] = {std::move(link), loop_.now()};
  }
}

bool P2pServer::on_hello(P2pLink& link, const std::string& token) {
  for (auto& [peer, session] : sessions_) {
    if (session->link != nullptr || session->token != token) continue;
    const auto stranger = strangers_.find(&link);
    session->link = std::move(stranger->second.first);
    strangers_.erase(stranger);
    return true;
  }
  owner_.on_refused("a connection that nobody announced");
  return false;
}

P2pServer::Session* P2pServer::session_of(const P2pLink& link) {
  for (auto& [peer, session] : sessions_) {
    if (session->link.get() == &link) return session.get();
  }
  return nullptr;
}

std::span<std::byte> P2pServer::on_frame(P2pLink& link, uint64_t number, uint64_t bytes) {
  Session* const session = session_of(link);
  const auto into =
      session == nullptr ? std::span<std::byte>() : session->frames.begin(number, bytes);
  if (into.empty()) owner_.on_refused("a frame that nobody announced");
  return into;
}

void P2pServer::on_frame_end(P2pLink& link, uint64_t, bool sound) {
  if (!sound) owner_.on_refused("blocks whose checksum is wrong");
  if (Session* const session = session_of(link)) session->frames.end(sound);
}

void P2pServer::on_cut(P2pLink& link) {
  if (const auto stranger = strangers_.find(&link); stranger != strangers_.end()) {
    bury(std::move(stranger->second.first));
    strangers_.erase(stranger);
    return;
  }
  for (auto at = sessions_.begin(); at != sessions_.end(); ++at) {
    if (at->second->link.get() != &link) continue;
    const std::unique_ptr<Session> session = std::move(at->second);
    sessions_.erase(at);
    bury(std::move(session->link));
    session->frames.fail_all();
    return;
  }
}

// It is on the call stack.
void P2pServer::bury(std::unique_ptr<P2pLink> link) {
  loop_.defer([gone = std::shared_ptr<P2pLink>(std::move(link))] {});
}

void P2pServer::sweep() {
  const TimePoint before = loop_.now() - options_.greeting_patience;
  for (auto at = strangers_.begin(); at != strangers_.end();) {
    auto& [link, since] = (at++)->second;
    if (since < before) link->cut();
  }
  for (auto at = sessions_.begin(); at != sessions_.end();) {
    const bool stays = at->second->link != nullptr || at->second->began >= before;
    at = stays ? std::next(at) : sessions_.erase(at);
  }
  sweep_ = loop_.after(options_.greeting_patience, [this] { sweep(); });
}

}  // namespace kvasir
