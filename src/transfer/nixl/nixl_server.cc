#include "transfer/nixl/nixl_server.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <optional>
#include <utility>

#include "transfer/int8_block.h"
#include "transfer/nixl/nixl_chunk.h"
#include "transfer/nixl/nixl_units.h"

namespace kvasir {
namespace {

constexpr int kChunksOfTurn = 8;  // then other connections have their turn

}  // namespace

class NixlServer::Connection final : public IoHandler {
 public:
  Connection(NixlServer& server, Descriptor socket)
      : server_(server), socket_(std::move(socket)), progress_(server.loop_.now()) {
    set_no_delay(socket_);
    server_.loop_.watch(socket_.get(), watched_, *this);
  }
  ~Connection() override {
    if (!gone_) close();
  }

  void on_io(uint32_t events) override;
  // Nothing of this offer is read from here on.
  void forget_offer(std::string_view id);
  // It takes, or says, nothing for too long.
  bool is_stalled(TimePoint now) const {
    const bool owes = !greeted_ || !in_.empty() || (has_output() && link_timer_ == kNoTimer);
    return owes && now - progress_ > server_.limits_.stall_timeout;
  }
  void end() {
    if (gone_) return;
    close();
    server_.drop(*this);
  }

 private:
  struct Reading {
    uint64_t id = 0;
    std::string request_id;
    NixlUnits units;
    size_t next = 0;  // unit
    bool stopped = false;
    std::optional<uint64_t> done;  // the note that its offer is over, which comes when this ends
  };

  void close() {
    gone_ = true;
    server_.loop_.cancel(link_timer_);
    server_.loop_.unwatch(socket_.get(), *this);
    reset_on_close(socket_);
  }
  void refuse_peer() {
    server_.counts_.refused_peers.fetch_add(1, std::memory_order_relaxed);
    end();
  }

  // What the decoder says. False: the connection has ended.
  void read();
  size_t take_frames(std::string_view bytes);
  void take_frame(const NixlFrameHead& head, std::string_view body);
  void take_hello(std::string_view body);
  void take_read(uint64_t id, std::string_view body);
  void stop(uint64_t id);
  void take_done(uint64_t id, std::string_view body);
  void finish(const std::string& request_id, uint64_t id);
  void take_beat(std::string_view body);

  // What it is answered.
  bool has_output() const { return !out_.empty() || chunk_.bytes_left() > 0 || !reads_.empty(); }
  void answer(NixlFrameKind kind, uint64_t id, std::string_view body);
  void end_read(uint64_t id, NixlEnd::Status status, std::string problem = {});
  void write();
  bool send_small();
  bool begin_chunk();
  void end_front_read(bool stands);
  void wait_for_link(uint64_t bytes);
  void fill_chunk();
  void want_output(bool wanted);

  NixlServer& server_;
  const Descriptor socket_;
  uint32_t watched_ = EPOLLIN;
  bool gone_ = false;
  bool greeted_ = false;
  TimePoint progress_;
  size_t refusals_ = 0;

  std::string in_;   // of a frame that is not whole
  std::string out_;  // answers, from out_at_ on; before the next chunk
  size_t out_at_ = 0;
  std::deque<Reading> reads_;
  NixlChunk chunk_;  // of reads_.front()
  size_t chunk_units_ = 0;
  char chunk_head_[NixlFrameHead::kBytes + NixlFrameHead::kChecksumBytes];
  std::vector<std::byte> packed_;
  TimerId link_timer_ = kNoTimer;
  bool link_taken_ = false;   // for the next chunk
  TimePoint link_through_{};  // of the last one
};

void NixlServer::Connection::on_io(uint32_t events) {
  if ((events & EPOLLIN) != 0) {
    read();
  } else if ((events & (EPOLLERR | EPOLLHUP)) != 0) {
    end();
  }
  if (!gone_ && (events & EPOLLOUT) != 0) write();
}

void NixlServer::Connection::read() {
  char* const scratch = server_.loop_.scratch();
  const ssize_t got = recv(socket_.get(), scratch, EventLoop::kScratchBytes, MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) return end();
  progress_ = server_.loop_.now();
  const std::string_view bytes(scratch, static_cast<size_t>(got));
  if (in_.empty()) {
    const size_t taken = take_frames(bytes);
    if (!gone_) in_ = bytes.substr(taken);
  } else {
    in_ += bytes;
    const std::string whole = std::exchange(in_, {});
    const size_t taken = take_frames(whole);
    if (!gone_) in_ = whole.substr(taken);
  }
  if (!gone_ && has_output()) write();
}

// How many bytes the whole frames among them take.
size_t NixlServer::Connection::take_frames(std::string_view bytes) {
  size_t at = 0;
  while (!gone_ && bytes.size() - at >= NixlFrameHead::kBytes) {
    const Result<NixlFrameHead> head = read_nixl_frame_head(bytes.data() + at);
    const size_t most = server_.limits_.frame_bytes_max;
    if (!head || head->body_bytes > most) {
      refuse_peer();
      break;
    }
    const size_t size = NixlFrameHead::kBytes + head->body_bytes;
    if (bytes.size() - at < size) break;
    take_frame(*head, bytes.substr(at + NixlFrameHead::kBytes, head->body_bytes));
    at += size;
  }
  return at;
}

void NixlServer::Connection::take_frame(const NixlFrameHead& head, std::string_view body) {
  if (head.kind == NixlFrameKind::kHello) return take_hello(body);
  if (!greeted_) return refuse_peer();
  switch (head.kind) {
    case NixlFrameKind::kRead:
      return take_read(head.id, body);
    case NixlFrameKind::kStop:
      return stop(head.id);
    case NixlFrameKind::kDone:
      return take_done(head.id, body);
    case NixlFrameKind::kBeat:
      return take_beat(body);
    default:
      return refuse_peer();
  }
}

void NixlServer::Connection::take_hello(std::string_view body) {
  const Result<NixlHello> hello = read_nixl_hello(body);
  const Identity& own = server_.identity_;
  if (greeted_ || !hello || hello->engine_id != own.engine_id ||
      hello->compatibility_hash != own.compatibility_hash) {
    return refuse_peer();
  }
  greeted_ = true;
}

void NixlServer::Connection::take_read(uint64_t id, std::string_view body) {
  Result<NixlRead> read = read_nixl_read(body);
  if (!read || reads_.size() >= server_.limits_.reads_max) return refuse_peer();
  const Result<void> allowed = server_.offers_.check(*read);
  if (!allowed) {
    server_.counts_.refused_peers.fetch_add(1, std::memory_order_relaxed);
    if (++refusals_ > server_.limits_.refusals_most) return end();
    return end_read(id, NixlEnd::Status::kRefused, allowed.error().message);
  }
  if (read->encoding == NixlEncoding::kShared) return end_read(id, NixlEnd::Status::kRead);
  Reading reading;
  reading.id = id;
  reading.request_id = std::move(read->request_id);
  reading.units =
      NixlUnits(server_.memory_.layout(), std::move(read->blocks), read->encoding, read->by_layers);
  reads_.push_back(std::move(reading));
}

void NixlServer::Connection::stop(uint64_t id) {
  for (Reading& reading : reads_) {
    if (reading.id == id) reading.stopped = true;
  }
}

void NixlServer::Connection::take_done(uint64_t id, std::string_view body) {
  const Result<NixlDone> done = read_nixl_done(body);
  if (!done) return refuse_peer();
  // A piece that is on its way is sent to its end first.
  const auto reading = std::find_if(reads_.begin(), reads_.end(), [&done](const Reading& each) {
    return each.request_id == done->request_id;
  });
  if (reading != reads_.end()) {
    reading->stopped = true;
    reading->done = id;
    return;
  }
  finish(done->request_id, id);
}

void NixlServer::Connection::finish(const std::string& request_id, uint64_t id) {
  if (!server_.offers_.done(request_id)) {
    server_.counts_.late_notifications.fetch_add(1, std::memory_order_relaxed);
  }
  if (!gone_) answer(NixlFrameKind::kNoted, id, {});
}

void NixlServer::Connection::take_beat(std::string_view body) {
  const auto ids = read_nixl_beat(body);
  if (!ids) return refuse_peer();
  for (const std::string_view id : *ids) server_.offers_.beat(id);
}

// A piece that is on its way cannot be taken back, nor may it be read any further.
void NixlServer::Connection::forget_offer(std::string_view id) {
  if (reads_.empty() || reads_.front().request_id != id) return;
  if (chunk_.bytes_left() > 0) end();
}

void NixlServer::Connection::answer(NixlFrameKind kind, uint64_t id, std::string_view body) {
  append_nixl_frame(out_, kind, id, body);
  if (out_.size() > server_.limits_.answer_bytes_max) end();
}

void NixlServer::Connection::end_read(uint64_t id, NixlEnd::Status status, std::string problem) {
  answer(NixlFrameKind::kEnd, id, write_nixl_end({status, std::move(problem)}));
}

void NixlServer::Connection::want_output(bool wanted) {
  const uint32_t events = EPOLLIN | (wanted ? uint32_t{EPOLLOUT} : 0u);
  if (events == watched_) return;
  watched_ = events;
  server_.loop_.modify(socket_.get(), events, *this);
}

void NixlServer::Connection::write() {
  for (int chunks = 0; chunks < kChunksOfTurn;) {
    if (chunk_.bytes_left() == 0 && !send_small()) return;
    if (chunk_.bytes_left() == 0 && !begin_chunk()) {
      if (gone_ || out_.empty()) return;
      continue;  // a read has ended
    }
    const NixlChunk::State state = chunk_.send(socket_.get());
    if (state == NixlChunk::State::kBroken) return end();
    if (state == NixlChunk::State::kWaits) return want_output(true);
    progress_ = server_.loop_.now();
    reads_.front().next += chunk_units_;
    ++chunks;
  }
  want_output(true);
}

// False: the rest waits for the socket, or the connection is gone.
bool NixlServer::Connection::send_small() {
  while (out_at_ < out_.size()) {
    const ssize_t sent = send(socket_.get(), out_.data() + out_at_, out_.size() - out_at_,
                              MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0 && errno == EINTR) continue;
    if (sent < 0 && errno == EAGAIN) {
      want_output(true);
      return false;
    }
    if (sent < 0) {
      end();
      return false;
    }
    progress_ = server_.loop_.now();
    out_at_ += static_cast<size_t>(sent);
  }
  out_.clear();
  out_at_ = 0;
  return true;
}

// False: there is none to send now; then out_ says how the read ended, if one did.
bool NixlServer::Connection::begin_chunk() {
  if (link_timer_ != kNoTimer || reads_.empty()) {
    want_output(false);
    return false;
  }
  const Reading& reading = reads_.front();
  const bool stands = server_.offers_.stands(reading.request_id);
  if (reading.stopped || !stands || reading.next == reading.units.count()) {
    end_front_read(stands);
    return false;
  }
  const size_t most = server_.link_.piece_bytes(server_.limits_.chunk_bytes);
  const size_t units =
      std::min(most / reading.units.wire_bytes(), server_.limits_.chunk_pieces_max);
  chunk_units_ = std::clamp<size_t>(units, 1, reading.units.count() - reading.next);
  if (server_.link_.limits_rate() && !std::exchange(link_taken_, false)) {
    wait_for_link(chunk_units_ * reading.units.wire_bytes());
    return false;
  }
  fill_chunk();
  return true;
}

void NixlServer::Connection::end_front_read(bool stands) {
  const Reading ended = std::move(reads_.front());
  reads_.pop_front();
  link_taken_ = false;
  if (reads_.empty()) link_through_ = {};
  const auto status = ended.stopped ? NixlEnd::Status::kStopped
                      : stands      ? NixlEnd::Status::kRead
                                    : NixlEnd::Status::kRefused;
  end_read(ended.id, status, stands ? "" : "the offer ended while it was read");
  if (ended.done && !gone_) finish(ended.request_id, *ended.done);
}

void NixlServer::Connection::wait_for_link(uint64_t bytes) {
  const TimePoint now = server_.loop_.clock().now();
  const TimePoint through = server_.link_.take_next(link_through_, now, bytes);
  link_through_ = through;
  link_taken_ = true;
  want_output(false);
  link_timer_ = server_.loop_.after(through - now, [this] {
    link_timer_ = kNoTimer;
    write();
  });
}

void NixlServer::Connection::fill_chunk() {
  const Reading& reading = reads_.front();
  const NixlUnits& units = reading.units;
  const size_t bytes = chunk_units_ * units.wire_bytes();
  chunk_.clear();
  chunk_.add(std::as_bytes(std::span(chunk_head_)));
  if (units.packed()) {
    packed_.resize(bytes);
    for (size_t i = 0; i < chunk_units_; ++i) {
      pack_int8_slice(units.at(server_.memory_, reading.next + i),
                      std::span(packed_).subspan(i * units.wire_bytes(), units.wire_bytes()));
    }
    chunk_.add(packed_);
  } else {
    for (size_t i = 0; i < chunk_units_; ++i) {
      chunk_.add(units.at(server_.memory_, reading.next + i));
    }
  }
  const uint64_t checksum = chunk_.checksum(1);
  const auto body = static_cast<uint32_t>(NixlFrameHead::kChecksumBytes + bytes);
  write_nixl_frame_head({NixlFrameKind::kData, body, reading.id}, chunk_head_);
  std::memcpy(chunk_head_ + NixlFrameHead::kBytes, &checksum, sizeof checksum);
}

NixlServer::NixlServer(EventLoop& loop, Descriptor listener, const NixlLimits& limits,
                       Identity identity, const KvMemory& memory, LinkShaper& link,
                       NixlOffers& offers, NixlCounts& counts)
    : loop_(loop),
      limits_(limits),
      identity_(std::move(identity)),
      memory_(memory),
      link_(link),
      offers_(offers),
      counts_(counts),
      acceptor_(
          loop, std::move(listener),
          [this] { return connections_.size() < limits_.connections_max; },
          [this](Descriptor socket) { take(std::move(socket)); }) {
  look_for_stalled();
}

NixlServer::~NixlServer() {
  loop_.cancel(stalled_timer_);
}

void NixlServer::take(Descriptor socket) {
  connections_.push_back(std::make_unique<Connection>(*this, std::move(socket)));
}

// It may be on the call stack.
void NixlServer::drop(Connection& connection) {
  loop_.defer(lifeline_.guard([this, gone = &connection] {
    std::erase_if(connections_, [gone](const auto& each) { return each.get() == gone; });
  }));
}

void NixlServer::forget_offer(std::string_view id) {
  for (const auto& connection : connections_) connection->forget_offer(id);
}

void NixlServer::look_for_stalled() {
  const TimePoint now = loop_.now();
  for (const auto& connection : connections_) {
    if (connection->is_stalled(now)) connection->end();
  }
  stalled_timer_ = loop_.after(limits_.stall_timeout / 4, [this] { look_for_stalled(); });
}

}  // namespace kvasir
