#include "transfer/nixl/nixl_prefiller.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kvasir {
namespace {

constexpr Duration kLeaseLeast = std::chrono::milliseconds(60);
constexpr Duration kLeaseMost = std::chrono::hours(1);
constexpr size_t kBeatsOfFrame = 10'000;  // offers that one heartbeat names

}  // namespace

NixlPrefiller::NixlPrefiller(const NixlDecoder& decoder, Address address)
    : decoder_(decoder), address_(std::move(address)), used_(decoder.loop.now()) {}

NixlPrefiller::~NixlPrefiller() {
  part();
  for (const TimerId timer : {retry_timer_, beat_timer_, look_timer_}) decoder_.loop.cancel(timer);
}

void NixlPrefiller::want(const std::string& offer) {
  wanted_.insert(offer);
  if (beat_timer_ == kNoTimer) {
    beat_timer_ = decoder_.loop.after(lease() / 6, [this] { on_beat(); });
  }
  join();
}

void NixlPrefiller::read(NixlWanted wanted) {
  auto reading = std::make_unique<Reading>();
  reading->wanted = std::move(wanted);
  reading->begun = decoder_.loop.clock().now();
  readings_.push_back(std::move(reading));
  if (unreadable_) return fail_readings(std::string(*unreadable_));
  if (state_ == State::kJoined) return begin(*readings_.back());
  join();
}

void NixlPrefiller::done(const std::string& offer, uint64_t blocks) {
  wanted_.erase(offer);
  const uint64_t id = next_id_++;
  notes_.emplace(id, Note{offer, blocks});
  if (state_ != State::kJoined) return join();
  say(NixlFrameKind::kDone, id, write_nixl_done({offer, blocks}));
}

std::optional<TimePoint> NixlPrefiller::idle_since() const {
  if (!wanted_.empty() || !readings_.empty() || !notes_.empty()) return std::nullopt;
  return used_;
}

void NixlPrefiller::join() {
  used_ = decoder_.loop.now();
  if (state_ != State::kApart || retry_timer_ != kNoTimer) return;
  state_ = State::kAsking;
  call_ = std::make_unique<NixlHandshakeCall>(
      decoder_.loop, decoder_.zmq, decoder_.limits, address_.host, address_.port,
      [this](const Result<NixlHandshake>& handshake) { on_handshake(handshake); });
}

void NixlPrefiller::on_handshake(const Result<NixlHandshake>& handshake) {
  call_.reset();
  if (!handshake) return lose(handshake.error().message);
  const Result<void> checked = check(*handshake);
  const bool holds_offers = handshake->agent && handshake->agent->engine_id == address_.engine_id;
  if (!checked && !holds_offers) return lose(checked.error().message, true);
  agent_ = handshake->agent;
  agent_hash_ = handshake->compatibility_hash;
  view_.reset();
  if (!checked) {
    unreadable_ = checked.error().message;
    fail_readings(std::string(*unreadable_));
  } else if (decoder_.shared && !agent_->shared_name.empty() && !decoder_.machine.empty() &&
             agent_->machine == decoder_.machine) {
    Result<NixlSharedView> view =
        NixlSharedView::open(agent_->shared_name, agent_->blocks, agent_->block_bytes);
    if (view) view_ = std::move(*view);  // else over TCP
  }
  state_ = State::kLookingUp;
  look_up_ = decoder_.resolver.look_up(
      decoder_.loop, address_.host, [this](const Result<Resolver::Addresses>& found) {
        const bool some = found.ok() && !found->empty();
        const SocketAddress address = some ? preferred_address(*found) : SocketAddress();
        const std::string problem = found.ok() ? "it has no address" : found.error().message;
        look_up_.reset();
        if (!some) return lose(address_.host + ": " + problem);
        connect(address);
      });
}

Result<void> NixlPrefiller::check(const NixlHandshake& handshake) {
  const std::string where = to_string(HostPort{address_.host, address_.port});
  const auto refuse = [&](const std::string& why) {
    decoder_.counts.refused_peers.fetch_add(1, std::memory_order_relaxed);
    return Error{where + " " + why};
  };
  if (!handshake.agent) {
    return refuse(
        "is no simulated worker but a real engine, whose blocks cannot be read here "
        "(compatibility hash " +
        handshake.compatibility_hash + ", ours is " + decoder_.compatibility_hash + ")");
  }
  const NixlAgent& agent = *handshake.agent;
  const KvLayout& layout = decoder_.memory.layout();
  const bool same = handshake.compatibility_hash == decoder_.compatibility_hash;
  if ((!same && decoder_.only_compatible) || agent.layers != layout.layers ||
      agent.block_bytes != layout.block_bytes() || agent.blocks == 0) {
    return refuse("is not compatible: it serves " + agent.model + " with blocks of " +
                  std::to_string(agent.block_size) + " tokens and " +
                  std::to_string(agent.block_bytes) + " bytes, version " + agent.version +
                  "; here they are " + std::to_string(layout.block_size) + " tokens and " +
                  std::to_string(layout.block_bytes()) + " bytes (compatibility hash " +
                  handshake.compatibility_hash + ", ours is " + decoder_.compatibility_hash + ")");
  }
  if (agent.engine_id != address_.engine_id) {
    return Error{where + " is engine " + agent.engine_id + " now: engine " + address_.engine_id +
                 ", which made this handoff, has ended"};
  }
  return {};
}

void NixlPrefiller::connect(const SocketAddress& address) {
  Connecting connecting = start_connect(with_port(address, agent_->data_port));
  if (connecting.error != 0) return lose(std::strerror(connecting.error));
  state_ = State::kConnecting;
  socket_ = std::move(connecting.socket);
  watched_ = EPOLLOUT;
  decoder_.loop.watch(socket_.get(), watched_, *this);
  connect_timer_ = decoder_.loop.after(decoder_.limits.connect_timeout,
                                       [this] { lose("its data port cannot be reached"); });
}

void NixlPrefiller::on_connected() {
  const int error = connect_error(socket_);
  if (error != 0) return lose(std::string("its data port: ") + std::strerror(error));
  decoder_.loop.cancel(connect_timer_);
  state_ = State::kJoined;
  progress_ = decoder_.loop.now();
  expect_head();
  say(NixlFrameKind::kHello, 0, write_nixl_hello({address_.engine_id, agent_hash_}));
  for (const auto& [id, note] : notes_) {
    say(NixlFrameKind::kDone, id, write_nixl_done({note.offer, note.blocks}));
  }
  decoder_.loop.cancel(beat_timer_);
  on_beat();  // as often as this prefiller's lease wants it
  begin_readings();
  if (state_ != State::kJoined) return;
  watch();
  if (look_timer_ == kNoTimer) {
    look_timer_ = decoder_.loop.after(decoder_.limits.stall_timeout / 4, [this] { on_look(); });
  }
}

// Nothing of this connection happens any more.
void NixlPrefiller::part() {
  call_.reset();
  look_up_.reset();
  for (const TimerId timer : {connect_timer_, link_timer_, copy_timer_}) {
    decoder_.loop.cancel(timer);
  }
  if (socket_.open()) {
    decoder_.loop.unwatch(socket_.get(), *this);
    socket_ = Descriptor();
  }
  state_ = State::kApart;
  unreadable_.reset();
  out_.clear();
  out_at_ = 0;
  in_body_ = link_busy_ = copying_ = false;
  dropped_.clear();
}

void NixlPrefiller::lose(const std::string& problem, bool for_good) {
  part();
  if (for_good || ++attempts_ >= decoder_.limits.attempts_most) return give_up(problem);
  complete_whole();
  for (size_t i = 0; i < readings_.size();) {
    Reading& reading = *readings_[i];
    resume_later(reading);
    if (reading.attempts < decoder_.limits.attempts_most) {
      ++i;
    } else {
      fail(reading, problem);
    }
  }
  if (readings_.empty() && notes_.empty()) return;
  decoder_.loop.cancel(retry_timer_);
  retry_timer_ = decoder_.loop.after(decoder_.limits.retry_after, [this] {
    retry_timer_ = kNoTimer;
    join();
  });
}

void NixlPrefiller::give_up(const std::string& problem) {
  attempts_ = 0;
  decoder_.counts.failed_notifications.fetch_add(notes_.size(), std::memory_order_relaxed);
  notes_.clear();
  complete_whole();
  fail_readings(problem);
}

void NixlPrefiller::fail_readings(const std::string& problem) {
  while (!readings_.empty()) {
    Reading& reading = *readings_.front();
    resume_later(reading);
    fail(reading, problem);
  }
}

Duration NixlPrefiller::lease() const {
  if (!agent_) return std::clamp(decoder_.lease, kLeaseLeast, kLeaseMost);
  const auto most = static_cast<uint64_t>(kLeaseMost / std::chrono::milliseconds(1));
  const Duration said = std::chrono::milliseconds(std::min(agent_->lease_ms, most));
  return std::max(said, kLeaseLeast);
}

void NixlPrefiller::on_beat() {
  beat_timer_ = kNoTimer;
  if (wanted_.empty()) return;
  beat_timer_ = decoder_.loop.after(lease() / 6, [this] { on_beat(); });
  if (state_ != State::kJoined) return join();
  std::vector<std::string_view> offers;
  for (const std::string& offer : wanted_) {
    offers.push_back(offer);
    if (offers.size() < kBeatsOfFrame) continue;
    say(NixlFrameKind::kBeat, 0, write_nixl_beat(offers));
    offers.clear();
  }
  if (!offers.empty()) say(NixlFrameKind::kBeat, 0, write_nixl_beat(offers));
}

void NixlPrefiller::on_look() {
  look_timer_ = kNoTimer;
  if (state_ != State::kJoined) return;
  const Duration patience = decoder_.limits.stall_timeout;
  look_timer_ = decoder_.loop.after(patience / 4, [this] { on_look(); });
  const bool reads = std::any_of(readings_.begin(), readings_.end(),
                                 [](const auto& reading) { return reading->is_asked; });
  const bool is_owed = reads || !notes_.empty() || !out_.empty();
  if (link_busy_ || !is_owed) progress_ = decoder_.loop.now();
  if (decoder_.loop.now() - progress_ < patience) return;
  lose("it has sent nothing for too long");
}

void NixlPrefiller::say(NixlFrameKind kind, uint64_t id, std::string_view body) {
  append_nixl_frame(out_, kind, id, body);
  flush();
}

// What the socket does not take waits; what is too much of it ends the connection, later, since
// whoever says something goes on.
void NixlPrefiller::flush() {
  while (out_at_ < out_.size()) {
    const ssize_t sent = send(socket_.get(), out_.data() + out_at_, out_.size() - out_at_,
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0) break;  // a broken connection is told by its events
    out_at_ += static_cast<size_t>(sent);
  }
  if (out_at_ == out_.size()) {
    out_.clear();
    out_at_ = 0;
  }
  if (out_.size() > decoder_.limits.sent_bytes_max) {
    decoder_.loop.post(lifeline_.guard([this] {
      if (out_.size() > decoder_.limits.sent_bytes_max) lose("it takes nothing");
    }));
  }
  watch();
}

void NixlPrefiller::watch() {
  const uint32_t events =
      (link_busy_ ? 0u : uint32_t{EPOLLIN}) | (out_.empty() ? 0u : uint32_t{EPOLLOUT});
  if (!socket_.open() || events == watched_) return;
  watched_ = events;
  decoder_.loop.modify(socket_.get(), events, *this);
}

void NixlPrefiller::on_io(uint32_t events) {
  if (state_ == State::kConnecting) return on_connected();
  if ((events & EPOLLOUT) != 0) flush();
  if ((events & EPOLLIN) != 0) return receive();
  if ((events & (EPOLLERR | EPOLLHUP)) != 0 && state_ == State::kJoined) {
    lose("the connection ended");
  }
}

}  // namespace kvasir
