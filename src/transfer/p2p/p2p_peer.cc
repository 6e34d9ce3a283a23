#include "transfer/p2p/p2p_peer.h"

#include <utility>

#include "wire/kv_transfer/p2p_messages.h"

namespace kvasir {
namespace {

ZmqSocketOptions p2p_peer_options() {
  ZmqSocketOptions options;
  options.message_bytes_max = kP2pMessageBytesMost;
  options.high_water_mark = 100'000;  // commands; they are short
  return options;
}

}  // namespace

std::string zmq_endpoint(const SocketAddress& address, uint16_t port) {
  return "tcp://" + to_string(HostPort{address_text(address), port});
}

P2pPeer::P2pPeer(EventLoop& loop, ZmqContext& context, Resolver& resolver, P2pAddress address,
                 uint64_t fingerprint, P2pArrivals& arrivals, std::function<void()> on_refused)
    : loop_(loop),
      context_(context),
      resolver_(resolver),
      address_(std::move(address)),
      fingerprint_(fingerprint),
      on_refused_(std::move(on_refused)),
      frames_(arrivals) {}

P2pPeer::~P2pPeer() {
  reset();
}

void P2pPeer::ask(std::string message, OnReply on_reply) {
  Ask made{std::move(message), std::move(on_reply)};
  if (ready_) return submit(std::move(made));
  backlog_.push_back(std::move(made));
  if (look_up_ == nullptr && dealer_ == nullptr) begin();
}

void P2pPeer::begin() {
  std::string host = address_.host;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    host = host.substr(1, host.size() - 2);
  }
  look_up_ = resolver_.look_up(loop_, host, [this](const Result<Resolver::Addresses>& found) {
    const auto done = std::move(look_up_);
    if (!found || found->empty()) return reset();
    connect(preferred_address(*found));
  });
}

void P2pPeer::connect(const SocketAddress& address) {
  auto dealer = ZmqSocket::open(context_, ZMQ_DEALER, p2p_peer_options());
  if (!dealer) return reset();
  dealer_ = std::move(dealer).value();
  where_ = address;
  if (!dealer_->connect(zmq_endpoint(address, address_.port))) return reset();
  dealer_->listen(loop_, [this](ZmqFrames frames) { on_message(frames); });
  // ZeroMQ connects again by itself: as somebody else, and without what was on its way.
  auto monitor = ZmqMonitor::open(context_, *dealer_, ZMQ_EVENT_DISCONNECTED, loop_,
                                  [this](int, int) { lost(); });
  if (!monitor) return reset();
  monitor_ = std::move(monitor).value();
  P2pCommand greeting;
  greeting.kind = P2pCommand::Kind::kNew;
  greeting.unique_id = kP2pUniqueId;
  greeting.fingerprint = fingerprint_;
  submit({write_p2p_command(greeting), [this](const std::string* reply) {
            if (reply != nullptr) on_greeted(*reply);
          }});
}

void P2pPeer::on_greeted(const std::string& text) {
  const Result<P2pReply> reply = read_p2p_reply(text);
  const bool usable = reply && reply->ret == P2pReply::kDone && reply->port > 0 &&
                      reply->port <= 0xffff && reply->token.size() == P2pLink::kTokenBytes;
  if (!usable) {
    on_refused_();
    return fail_later();
  }
  const SocketAddress address = with_port(where_, static_cast<uint16_t>(reply->port));
  link_.reset(new P2pLink(loop_, address, reply->token, *this));
  if (link_->over()) return fail_later();
  ready_ = true;
  for (Ask& ask : std::exchange(backlog_, {})) submit(std::move(ask));
}

void P2pPeer::submit(Ask ask) {
  const std::string_view frame = ask.message;
  const bool sent = dealer_->send(std::span(&frame, 1));
  awaiting_.push_back(std::move(ask));
  if (!sent) fail_later();
}

void P2pPeer::on_message(ZmqFrames frames) {
  if (frames.size() != 1 || awaiting_.empty()) return fail_later();
  const Ask asked = std::move(awaiting_.front());
  awaiting_.pop_front();
  const std::string reply(frames.front());
  asked.on_reply(&reply);
}

// A socket is not destroyed while it calls.
void P2pPeer::fail_later() {
  ready_ = false;
  loop_.post(lifeline_.guard([this, round = round_] {
    if (round == round_) reset();
  }));
}

void P2pPeer::reset() {
  std::deque<Ask> asks = std::exchange(awaiting_, {});
  for (Ask& ask : std::exchange(backlog_, {})) asks.push_back(std::move(ask));
  end(std::move(asks));
}

// Both connections are over, and nobody gets an answer to `asks`.
void P2pPeer::end(std::deque<Ask> asks) {
  ready_ = false;
  look_up_ = nullptr;
  monitor_ = nullptr;
  dealer_ = nullptr;
  if (const std::shared_ptr<P2pLink> link = std::move(link_)) {
    link->cut();
    loop_.defer([link] {});  // it may be on the call stack
  }
  ++round_;
  frames_.fail_all();
  for (const Ask& ask : asks) ask.on_reply(nullptr);
}

std::span<std::byte> P2pPeer::on_frame(P2pLink&, uint64_t number, uint64_t bytes) {
  return frames_.begin(number, bytes);
}

void P2pPeer::on_frame_end(P2pLink&, uint64_t, bool sound) {
  frames_.end(sound);
}

// One of the connections is; the other goes with it. The worker may have been started again: what
// it has not been asked yet it is asked anew.
void P2pPeer::lost() {
  if (!ready_) return fail_later();
  ready_ = false;
  frames_.fail_all();
  loop_.post(lifeline_.guard([this, round = round_] {
    if (round != round_) return;
    end(std::exchange(awaiting_, {}));
    if (!backlog_.empty() && look_up_ == nullptr && dealer_ == nullptr) begin();
  }));
}

}  // namespace kvasir
