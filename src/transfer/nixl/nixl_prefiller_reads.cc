// NixlPrefiller: from the first byte of a read to its last.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "transfer/nixl/nixl_prefiller.h"

namespace kvasir {
namespace {

constexpr int kFramesOfTurn = 16;  // then others of the loop have their turn

std::span<const std::byte> bytes_of(uint64_t& number) {
  return std::as_bytes(std::span(&number, 1));
}

}  // namespace

NixlEncoding NixlPrefiller::encoding_of(const Reading& reading) const {
  if (reading.shared) return NixlEncoding::kShared;
  return decoder_.compress ? NixlEncoding::kInt8 : NixlEncoding::kHalf;
}

void NixlPrefiller::begin_readings() {
  for (const auto& reading : readings_) begin(*reading);
}

void NixlPrefiller::begin(Reading& reading) {
  const bool all_there = std::all_of(reading.wanted.remote.begin(), reading.wanted.remote.end(),
                                     [this](uint32_t block) { return block < agent_->blocks; });
  reading.shared = view_.has_value() && all_there;
  reading.is_asked = false;
  const NixlEncoding encoding = encoding_of(reading);
  const KvLayout& layout = decoder_.memory.layout();
  reading.local = NixlUnits(layout, reading.wanted.local, encoding, decoder_.by_layers);
  reading.remote = NixlUnits(layout, reading.wanted.remote, encoding, decoder_.by_layers);
  reading.units = 0;
  reading.id = next_id_++;
  reading.post = decoder_.loop.clock().now() - reading.begun;
  reading.descriptors += reading.local.count();
  if (reading.shared) {
    if (!copying_) copy_some();
    return;
  }
  const Duration latency = decoder_.link.latency();
  if (latency <= Duration::zero()) return ask(reading.id);
  decoder_.loop.after(latency, lifeline_.guard([this, id = reading.id] { ask(id); }));
}

// Of a read that is shared, when it was copied: whether it was there all the time.
void NixlPrefiller::ask(uint64_t id) {
  Reading* const reading = find(id);
  if (reading == nullptr || state_ != State::kJoined) return;
  reading->is_asked = true;
  const NixlWanted& wanted = reading->wanted;
  say(NixlFrameKind::kRead, id,
      write_nixl_read(
          {wanted.offer, wanted.chain, encoding_of(*reading), decoder_.by_layers, wanted.remote}));
}

// What is whole stays, the rest is asked for on the next connection.
void NixlPrefiller::resume_later(Reading& reading) {
  if (reading.id == 0) return;
  if (!reading.shared) {  // of a copy only the prefiller can say whether it holds
    const size_t whole = reading.local.whole_blocks(reading.units);
    const auto cut = static_cast<ptrdiff_t>(whole);
    reading.wanted.local.erase(reading.wanted.local.begin(), reading.wanted.local.begin() + cut);
    reading.wanted.remote.erase(reading.wanted.remote.begin(), reading.wanted.remote.begin() + cut);
    reading.blocks += whole;
  }
  reading.units = 0;
  reading.id = 0;
  reading.is_asked = false;
  ++reading.attempts;
}

// Copies a piece of the first read that has some left to copy, and goes on in a later turn.
void NixlPrefiller::copy_some() {
  copying_ = false;
  const auto next = std::find_if(readings_.begin(), readings_.end(), [](const auto& reading) {
    return reading->shared && reading->id != 0 && reading->units < reading->local.count();
  });
  if (next == readings_.end() || state_ != State::kJoined) return;
  Reading& reading = **next;
  copying_ = true;
  const bool begins = reading.units == 0;
  const size_t most = decoder_.link.piece_bytes(decoder_.limits.copy_bytes);
  const size_t last = std::min(reading.local.count(),
                               reading.units + std::max<size_t>(most / reading.local.bytes(), 1));
  const uint64_t bytes = (last - reading.units) * reading.local.bytes();
  for (; reading.units < last; ++reading.units) {
    const auto from = reading.remote.at(*view_, reading.units);
    std::memcpy(reading.local.at(decoder_.memory, reading.units).data(), from.data(), from.size());
  }
  reading.bytes += bytes;
  const TimePoint now = decoder_.loop.clock().now();
  const Duration wait =
      decoder_.link.take(now, bytes) - now + (begins ? decoder_.link.latency() : Duration::zero());
  const auto go_on = [this, id = reading.id] {
    Reading* const of = find(id);
    if (of != nullptr) {
      tell_first_layer(*of);
      if (of->units == of->local.count()) ask(id);
    }
    copy_some();
  };
  copy_timer_ = decoder_.loop.after(wait, go_on);
}

void NixlPrefiller::expect_head() {
  in_body_ = false;
  chunk_.clear();
  chunk_.add(std::as_bytes(std::span(head_bytes_)));
}

void NixlPrefiller::receive() {
  for (int frames = 0; frames < kFramesOfTurn && state_ == State::kJoined && !link_busy_;) {
    const size_t before = chunk_.bytes_left();
    const NixlChunk::State state = chunk_.receive(socket_.get());
    if (chunk_.bytes_left() != before) progress_ = decoder_.loop.now();
    if (state == NixlChunk::State::kBroken) {
      return lose(std::string("the connection ended: ") + std::strerror(errno));
    }
    if (state == NixlChunk::State::kWaits) return;
    if (in_body_) {
      ++frames;
      if (!end_body()) return;
      continue;
    }
    const Result<NixlFrameHead> head = read_nixl_frame_head(head_bytes_);
    if (!head) return lose("it sends " + head.error().message);
    if (!begin_body(*head)) return;
  }
}

// False: the connection is lost.
bool NixlPrefiller::begin_body(const NixlFrameHead& head) {
  head_ = head;
  in_body_ = true;
  if (head.kind == NixlFrameKind::kData) return begin_data(head);
  if (head.body_bytes > decoder_.limits.answer_frame_bytes_max) {
    lose("it sends a frame that is too long");
    return false;
  }
  body_.resize(head.body_bytes);
  chunk_.clear();
  chunk_.add(std::as_bytes(std::span(body_)));
  return true;
}

bool NixlPrefiller::begin_data(const NixlFrameHead& head) {
  const auto refuse = [this] {
    lose("it sends blocks that nobody asked for");
    return false;
  };
  if (head.body_bytes <= NixlFrameHead::kChecksumBytes) return refuse();
  const size_t bytes = head.body_bytes - NixlFrameHead::kChecksumBytes;
  Reading* const reading = find(head.id);
  chunk_.clear();
  chunk_.add(bytes_of(checksum_));
  if (reading == nullptr || reading->shared) {
    const size_t most =
        std::max(decoder_.limits.chunk_bytes, decoder_.memory.layout().block_bytes());
    if (dropped_.count(head.id) == 0 || bytes > most) return refuse();
    packed_.resize(bytes);
    chunk_.add(packed_);
    return true;
  }
  const NixlUnits& units = reading->local;
  data_units_ = bytes / units.wire_bytes();
  if (bytes % units.wire_bytes() != 0 || data_units_ > units.count() - reading->units) {
    return refuse();
  }
  if (units.packed()) {
    packed_.resize(bytes);
    chunk_.add(packed_);
    return true;
  }
  for (size_t i = 0; i < data_units_; ++i) {
    chunk_.add(units.at(decoder_.memory, reading->units + i));
  }
  return true;
}

// False: the connection is lost, or the link is busy with what came.
bool NixlPrefiller::end_body() {
  if (head_.kind == NixlFrameKind::kData) return end_data();
  if (head_.kind == NixlFrameKind::kNoted) {
    notes_.erase(head_.id);
    attempts_ = 0;
    used_ = decoder_.loop.now();
    expect_head();
    return true;
  }
  const Result<NixlEnd> end = read_nixl_end(body_);
  if (head_.kind != NixlFrameKind::kEnd || !end) {
    lose("it sends a frame that is no answer");
    return false;
  }
  return end_reading(*end);
}

bool NixlPrefiller::end_data() {
  if (find(head_.id) == nullptr) {
    expect_head();
    return true;
  }
  if (chunk_.checksum(1) != checksum_) {
    lose("blocks arrived changed: their checksum is another one");
    return false;
  }
  if (!decoder_.link.limits_rate()) return take_data();
  const TimePoint now = decoder_.loop.clock().now();
  const TimePoint through = decoder_.link.take_next(link_through_, now, head_.body_bytes);
  link_through_ = through;
  link_busy_ = true;
  watch();
  link_timer_ = decoder_.loop.after(through - now, [this] {
    link_timer_ = kNoTimer;
    link_busy_ = false;
    progress_ = decoder_.loop.now();
    watch();
    take_data();
  });
  return false;
}

bool NixlPrefiller::take_data() {
  Reading* const reading = find(head_.id);
  expect_head();
  if (reading == nullptr) return true;  // it was stopped meanwhile
  const NixlUnits& units = reading->local;
  if (units.packed()) {
    for (size_t i = 0; i < data_units_; ++i) {
      const auto packed = std::span(packed_).subspan(i * units.wire_bytes(), units.wire_bytes());
      if (!unpack_int8_slice(packed, units.at(decoder_.memory, reading->units + i))) {
        lose("it sends compressed blocks that are none");
        return false;
      }
    }
  }
  reading->units += data_units_;
  reading->bytes += data_units_ * units.wire_bytes();
  tell_first_layer(*reading);
  return true;
}

void NixlPrefiller::tell_first_layer(Reading& reading) {
  if (!decoder_.by_layers || reading.told_first_layer) return;
  if (reading.units < reading.local.first_layer()) return;
  reading.told_first_layer = true;
  decoder_.on_fetching(reading.wanted.request);
}

bool NixlPrefiller::end_reading(const NixlEnd& end) {
  Reading* const reading = find(head_.id);
  if (reading == nullptr && dropped_.erase(head_.id) == 0) {
    lose("it ends a read that nobody asked for");
    return false;
  }
  expect_head();
  if (readings_.size() <= 1) link_through_ = {};  // this was the last one
  if (reading == nullptr) return true;
  attempts_ = 0;
  if (end.status != NixlEnd::Status::kRead) {
    if (reading->shared) reading->units = 0;  // a copy of what was not there
    fail(*reading, end.problem);
  } else if (reading->units == reading->local.count()) {
    complete(*reading);
  } else {
    lose("it ends a read before all of it was sent");
    return false;
  }
  return true;
}

void NixlPrefiller::complete(Reading& reading) {
  NixlCounts& counts = decoder_.counts;
  counts.transfers.fetch_add(1, std::memory_order_relaxed);
  counts.bytes.fetch_add(reading.bytes, std::memory_order_relaxed);
  const KvTransferRecord record{reading.bytes, reading.descriptors, reading.post,
                                decoder_.loop.clock().now() - reading.begun};
  counts.records.with([&](auto& records) {
    if (records.size() >= decoder_.limits.records_max) records.pop_front();
    records.push_back(record);
  });
  const auto blocks = static_cast<uint32_t>(reading.blocks + reading.local.blocks().size());
  const KvRequestId request = reading.wanted.request;
  const std::string offer = reading.wanted.offer;
  erase(reading);
  done(offer, blocks);
  decoder_.on_fetched(request, {blocks, {}});
}

// Of reads all of which was there when the connection was lost, but for the word that it was all.
void NixlPrefiller::complete_whole() {
  for (size_t i = 0; i < readings_.size();) {
    Reading& reading = *readings_[i];
    const bool whole = !reading.shared && reading.id != 0 && reading.units == reading.local.count();
    if (whole) {
      complete(reading);
    } else {
      ++i;
    }
  }
}

// Whoever asked for it gets on without the rest, and the offer may go.
void NixlPrefiller::fail(Reading& reading, const std::string& problem) {
  decoder_.counts.failed_transfers.fetch_add(1, std::memory_order_relaxed);
  size_t blocks = reading.blocks;
  if (reading.id != 0 && !reading.shared) blocks += reading.local.whole_blocks(reading.units);
  const KvRequestId request = reading.wanted.request;
  const std::string offer = reading.wanted.offer;
  erase(reading);
  wanted_.erase(offer);
  if (state_ == State::kJoined || unreadable_) done(offer, blocks);
  const std::string where = to_string(HostPort{address_.host, address_.port});
  decoder_.on_fetched(request, {static_cast<uint32_t>(blocks),
                                "blocks from the prefiller at " + where + ": " + problem});
}

void NixlPrefiller::stop(KvRequestId request) {
  const auto found =
      std::find_if(readings_.begin(), readings_.end(),
                   [request](const auto& reading) { return reading->wanted.request == request; });
  if (found == readings_.end()) return;
  Reading& reading = **found;
  const uint64_t id = reading.id;
  if (id != 0 && reading.is_asked && state_ == State::kJoined) {
    dropped_.insert(id);
    if (in_body_ && head_.kind == NixlFrameKind::kData && head_.id == id && !link_busy_) {
      packed_.resize(std::max<size_t>(packed_.size(), EventLoop::kScratchBytes));
      chunk_.divert(packed_);
    }
    say(NixlFrameKind::kStop, id, {});
  }
  const std::string offer = reading.wanted.offer;
  erase(reading);
  done(offer, 0);
  decoder_.on_fetched(request, {0, "the request was cancelled"});
}

NixlPrefiller::Reading* NixlPrefiller::find(uint64_t id) {
  const auto found = std::find_if(readings_.begin(), readings_.end(),
                                  [id](const auto& reading) { return reading->id == id; });
  return id == 0 || found == readings_.end() ? nullptr : found->get();
}

void NixlPrefiller::erase(const Reading& reading) {
  std::erase_if(readings_, [&reading](const auto& each) { return each.get() == &reading; });
}

}  // namespace kvasir
