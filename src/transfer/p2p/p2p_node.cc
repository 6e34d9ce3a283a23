#include "transfer/p2p/p2p_node.h"

#include <algorithm>
#include <utility>

#include "transfer/packed_block.h"
#include "wire/kv_transfer/p2p_messages.h"

namespace kvasir {
namespace {

constexpr size_t kP2pSocketsMost = 1024;

}  // namespace

Result<std::unique_ptr<P2pNode>> P2pNode::open(EventLoop& loop, KvMemory& memory,
                                               const P2pNodeOptions& options, Told told) {
  auto context = ZmqContext::create(kP2pSocketsMost);
  if (!context) return context.error();
  std::unique_ptr<P2pNode> made(new P2pNode(loop, memory, options, std::move(told)));
  made->context_ = std::move(context).value();
  auto server = P2pServer::open(loop, *made->context_, options.server, options.fingerprint,
                                memory.layout(), made->arrivals_, *made);
  if (!server) return server.error();
  made->server_ = std::move(server).value();
  if (!options.registrar.proxy.host.empty()) {
    P2pRegistrarOptions registrar = options.registrar;
    registrar.zmq_address += ":" + std::to_string(made->port());
    made->registrar_ = std::make_unique<P2pRegistrar>(loop, *made->context_, made->resolver_,
                                                      std::move(registrar));
  }
  return made;
}

P2pNode::P2pNode(EventLoop& loop, KvMemory& memory, const P2pNodeOptions& options, Told told)
    : loop_(loop),
      memory_(memory),
      options_(options),
      told_(std::move(told)),
      arrivals_(
          loop, memory, options.arrivals,
          [this](const P2pAwaited& awaited, const P2pArrivals::Outcome& outcome) {
            on_received(awaited, outcome);
          },
          told_.receiving),
      dropped_(options.dropped) {}

P2pNode::~P2pNode() {
  closing_ = true;
  for (const auto& [request, sending] : sendings_) loop_.cancel(sending.patience);
  for (const auto& [key, held] : held_) loop_.cancel(held.patience);
  peers_.clear();
  server_ = nullptr;
}

P2pAddress address_of(const P2pAddress& named, const P2pAddresses& addresses) {
  const auto known = addresses.find(named.host + ":" + std::to_string(named.port));
  return known == addresses.end() ? named : P2pAddress{known->second.host, known->second.port};
}

std::string P2pNode::name_of(const P2pAddress& address) {
  return address.host + ":" + std::to_string(address.port);
}

// `named`: as a request id names it.
P2pPeer& P2pNode::peer(const P2pAddress& named) {
  const std::string name = name_of(named);
  for (auto at = peers_.begin(); peers_.size() >= options_.peers_max && at != peers_.end();) {
    // Not who is asked: it may be on the call stack.
    at = at->first != name && at->second->idle() ? peers_.erase(at) : std::next(at);
  }
  std::unique_ptr<P2pPeer>& found = peers_[name];
  if (found == nullptr) {
    const P2pAddress address = address_of(named, options_.addresses);
    found = std::make_unique<P2pPeer>(
        loop_, *context_, resolver_, address, options_.fingerprint, arrivals_,
        [this] { on_refused("a worker that does not take our NEW"); });
  }
  return *found;
}

uint32_t P2pNode::tensor_blocks() const {
  const size_t blocks = options_.tensor_bytes_most / memory_.layout().block_bytes();
  return static_cast<uint32_t>(std::max<size_t>(blocks, 1));
}

P2pLink::Frame P2pNode::frame(const P2pOffer& offer, uint64_t number, uint32_t first,
                              uint32_t count, bool packed) {
  P2pLink::Frame frame;
  frame.number = number;
  const size_t size = packed_block_bytes(memory_.layout());
  if (packed) frame.own.resize(count * size);
  for (uint32_t i = 0; i < count; ++i) {
    const std::span<const std::byte> block = memory_.block(offer.blocks[first + i]);
    if (packed) {
      pack_block(memory_.layout(), block, std::span(frame.own).subspan(i * size, size));
      continue;
    }
    std::span<const std::byte>* const last = frame.pieces.empty() ? nullptr : &frame.pieces.back();
    if (last != nullptr && last->data() + last->size() == block.data()) {  // often
      *last = {last->data(), last->size() + block.size()};
    } else {
      frame.pieces.push_back(block);
    }
  }
  if (packed) frame.pieces.push_back(frame.own);
  return frame;
}

void P2pNode::put(P2pOffer offer, const P2pAddress& to) {
  const KvRequestId request = offer.request;
  P2pPeer& receiver = peer(to);
  Sending& sending = sendings_[request];
  sending.offer = std::move(offer);
  sending.patience = loop_.after(options_.send_patience, [this, request, &receiver] {
    sendings_.at(request).problem = "it does not take them in time";
    receiver.reset();
  });
  const auto blocks = static_cast<uint32_t>(sending.offer.blocks.size());
  sending.parts = (blocks + tensor_blocks() - 1) / tensor_blocks();
  for (uint32_t first = 0; first < blocks; first += tensor_blocks()) {
    put_part(receiver, sending.offer, first, std::min(tensor_blocks(), blocks - first));
  }
}

void P2pNode::put_part(P2pPeer& to, const P2pOffer& offer, uint32_t first, uint32_t count) {
  P2pCommand command;
  command.kind = P2pCommand::Kind::kPut;
  command.tensor_id = p2p_tensor_id(offer.key, first, count);
  command.number = ++number_;
  command.last_block = offer.hashes[first + count - 1];
  command.blocks = count;
  command.layers = memory_.layout().layers;
  command.values = memory_.layout().slice_bytes() / 2;
  command.dtype = options_.compress ? kP2pPackedDtype : kP2pDtype;
  to.ask(write_p2p_command(command), [this, &to, request = offer.request, first, count,
                                      number = command.number](const std::string* reply) {
    if (closing_) return;
    if (reply == nullptr) return part_over(request, "it cannot be reached");
    if (*reply == "2") return part_over(request, "");  // nobody wants them any more
    if (*reply != "0") return part_over(request, "it has no room for them");
    P2pLink::Frame part =
        frame(sendings_.at(request).offer, number, first, count, options_.compress);
    part.done = [this, request](bool sent) {
      if (!closing_) part_over(request, sent ? "" : "the connection was cut");
    };
    to.send(std::move(part));
  });
}

void P2pNode::part_over(KvRequestId request, const std::string& problem) {
  const auto found = sendings_.find(request);
  Sending& sending = found->second;
  if (sending.problem.empty()) sending.problem = problem;
  if (--sending.parts > 0) return;
  loop_.cancel(sending.patience);
  const std::string why = sending.problem;
  sendings_.erase(found);
  told_.offer_over(request, why, false);
}

void P2pNode::hold(P2pOffer offer) {
  const KvRequestId request = offer.request;
  end_hold(find_held(offer.key), false);  // the same request again
  if (dropped_.take(offer.key, loop_.now())) return told_.offer_over(request, "", false);
  Held& held = held_[request];
  held.offer = std::move(offer);
  held.patience =
      loop_.after(options_.hold, [this, request] { end_hold(held_.find(request), true); });
}

// Of those that can still be asked for.
std::map<KvRequestId, P2pNode::Held>::iterator P2pNode::find_held(std::string_view key) {
  return std::find_if(held_.begin(), held_.end(), [&](const auto& entry) {
    return !entry.second.over && entry.second.offer.key == key;
  });
}

uint64_t P2pNode::on_get(P2pLink& link, const P2pTensorId& blocks, const P2pCommand& command) {
  const auto found = find_held(blocks.request);
  if (found == held_.end()) return P2pReply::kNotThere;
  Held& held = found->second;
  const bool packed = command.dtype == kP2pPackedDtype;
  if (!packed && command.dtype != kP2pDtype) return P2pReply::kRefused;
  const size_t last = size_t{blocks.first} + blocks.count - 1;
  if (last >= held.offer.blocks.size() || held.offer.hashes[last] != command.last_block) {
    on_refused("a worker that asks for blocks of another prompt");
    return P2pReply::kRefused;
  }
  ++held.parts;
  P2pLink::Frame part = frame(held.offer, command.number, blocks.first, blocks.count, packed);
  part.done = [this, request = found->first](bool) {
    if (closing_) return;
    const auto sent = held_.find(request);
    if (--sent->second.parts == 0 && sent->second.over) release(sent);
  };
  link.send(std::move(part));
  return P2pReply::kDone;
}

// It may come before what it drops is held: both legs run at one time, or their threads do.
void P2pNode::on_drop(const std::string& key) {
  const auto held = find_held(key);
  if (held == held_.end()) return dropped_.add(key, loop_.now());
  end_hold(held, false);
}

// Its blocks are free once none of them is being sent.
void P2pNode::end_hold(std::map<KvRequestId, Held>::iterator held, bool expired) {
  if (held == held_.end()) return;
  loop_.cancel(held->second.patience);
  held->second.over = true;
  held->second.expired = expired;
  if (held->second.parts == 0) release(held);
}

void P2pNode::release(std::map<KvRequestId, Held>::iterator held) {
  const KvRequestId request = held->first;
  const bool expired = held->second.expired;
  held_.erase(held);
  told_.offer_over(request, "", expired);
}

void P2pNode::receive(P2pAwaited awaited, const std::optional<P2pAddress>& from) {
  if (!from) return arrivals_.wait(std::move(awaited));
  const P2pAwaited about = awaited;
  gets_[about.request] = *from;
  arrivals_.wait(std::move(awaited));
  const auto end = static_cast<uint32_t>(about.first + about.blocks.size());
  for (uint32_t first = about.first; first < end && gets_.count(about.request) > 0;
       first += tensor_blocks()) {
    get_part(*from, about, first, std::min(tensor_blocks(), end - first));
  }
}

void P2pNode::get_part(const P2pAddress& from, const P2pAwaited& awaited, uint32_t first,
                       uint32_t count) {
  const BlockHash last_block = awaited.hashes[first + count - 1];
  auto tensor = arrivals_.announce(awaited.key, first, count, last_block, options_.compress);
  if (tensor == nullptr) return;  // which ended it
  P2pCommand command;
  command.kind = P2pCommand::Kind::kGet;
  command.tensor_id = p2p_tensor_id(awaited.key, first, count);
  command.number = ++number_;
  command.last_block = last_block;
  command.dtype = options_.compress ? kP2pPackedDtype : kP2pDtype;
  peer(from).frames().expect(command.number, awaited.key, std::move(tensor));
  ask_for({from, awaited.request, command.number, write_p2p_command(command)});
}

void P2pNode::ask_for(const Get& get) {
  peer(get.from).ask(get.message, [this, get](const std::string* text) {
    if (closing_) return;
    const Result<P2pReply> reply = text == nullptr ? Error{} : read_p2p_reply(*text);
    if (reply && reply->ret == P2pReply::kDone) return;
    const bool later = reply && reply->ret == P2pReply::kNotThere && gets_.count(get.request) > 0;
    if (!later) return forget(get);
    loop_.after(options_.get_again, lifeline_.guard([this, get] {
      gets_.count(get.request) > 0 ? ask_for(get) : forget(get);
    }));
  });
}

// Its peer may have been let go meanwhile.
void P2pNode::forget(const Get& get) {
  const auto from = peers_.find(name_of(get.from));
  if (from != peers_.end()) from->second->frames().forget(get.number);
}

void P2pNode::drop(const std::string& key, size_t blocks, const std::optional<P2pAddress>& from) {
  if (!from) return arrivals_.drop(key, blocks);
  ask_drop(key, *from, true);
}

// `again`: once more if nobody answers. Else the blocks are held until their time is over.
void P2pNode::ask_drop(const std::string& key, const P2pAddress& from, bool again) {
  P2pCommand command;
  command.kind = P2pCommand::Kind::kDrop;
  command.tensor_id = p2p_tensor_id(key, 0, 1);
  peer(from).ask(write_p2p_command(command), [this, key, from, again](const std::string* reply) {
    if (closing_ || reply != nullptr || !again) return;
    loop_.post(lifeline_.guard([this, key, from] {
      if (!closing_) ask_drop(key, from, false);
    }));
  });
}

void P2pNode::on_received(const P2pAwaited& awaited, const P2pArrivals::Outcome& outcome) {
  if (closing_) return;
  if (const auto get = gets_.find(awaited.request); get != gets_.end()) {
    const P2pAddress from = get->second;
    gets_.erase(get);
    if (outcome.late) peer(from).reset();  // and what it owes
    drop(awaited.key, awaited.hashes.size(), from);
  }
  if (outcome.refused) on_refused(outcome.fetched.problem);
  told_.received(awaited.request, outcome);
}

}  // namespace kvasir
