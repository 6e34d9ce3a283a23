// The decoder's end of what it does with one prefiller: asks it for a handshake, connects, says
// which offers are still wanted, reads their blocks, and says so when they were read.
//
// It connects when there is something to do, and again, a few times, when a connection is lost; a
// read goes on where it was. A prefiller that is another one by now is not asked again; of one that
// is not compatible nothing is read, and it is told to let go of what it holds for us.
//
// Lives on its loop.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/lifeline.h"
#include "engine/kv_memory.h"
#include "net/io/resolver.h"
#include "net/io/socket.h"
#include "transfer/kv_connector.h"
#include "transfer/link_shaper.h"
#include "transfer/nixl/nixl_chunk.h"
#include "transfer/nixl/nixl_counts.h"
#include "transfer/nixl/nixl_handshake_call.h"
#include "transfer/nixl/nixl_limits.h"
#include "transfer/nixl/nixl_shared_view.h"
#include "transfer/nixl/nixl_units.h"

namespace kvasir {

// What all prefillers of a decoder have in common. What is referred to outlives them.
struct NixlDecoder {
  EventLoop& loop;
  ZmqContext& zmq;
  Resolver& resolver;
  const NixlLimits limits;
  KvMemory& memory;
  LinkShaper& link;
  NixlCounts& counts;
  std::string compatibility_hash, machine;
  Duration lease{};
  bool shared = false, compress = false, by_layers = false;
  bool only_compatible = true;  // whose hash is ours; else whose blocks are as large
  std::function<void(KvRequestId)> on_fetching;
  std::function<void(KvRequestId, KvFetched)> on_fetched;
};

// Blocks of an offer that are to be read, each into one of ours.
struct NixlWanted {
  KvRequestId request{};
  std::string offer;             // remote_request_id
  std::vector<uint32_t> remote;  // the prefiller's; at least one
  std::vector<uint32_t> local;   // as many
  BlockHash chain = 0;           // of the last one
};

class NixlPrefiller final : private IoHandler {
 public:
  struct Address {
    std::string host;  // of the side channel
    uint16_t port = 0;
    std::string engine_id;

    auto operator<=>(const Address&) const = default;
  };

  NixlPrefiller(const NixlDecoder& decoder, Address address);
  ~NixlPrefiller() override;
  NixlPrefiller(const NixlPrefiller&) = delete;
  NixlPrefiller& operator=(const NixlPrefiller&) = delete;

  // The offer is wanted, until done(): heartbeats say so.
  void want(const std::string& offer);
  void read(NixlWanted wanted);
  // Nothing more is read of the offer; `blocks` were.
  void done(const std::string& offer, uint64_t blocks);
  // Of a read: nothing is written any more, and on_fetched() is told.
  void stop(KvRequestId request);

  // Since when nobody needs it; nullopt: somebody does.
  std::optional<TimePoint> idle_since() const;

 private:
  struct Reading {
    NixlWanted wanted;
    uint64_t id = 0;  // 0: it was not asked for on this connection
    NixlUnits local, remote;
    size_t units = 0;   // of them that are there and whole
    size_t blocks = 0;  // that were there before them, on an earlier connection
    size_t attempts = 0;
    bool told_first_layer = false;
    bool shared = false;
    bool is_asked = false;  // on this connection
    TimePoint begun{};
    Duration post{};
    uint64_t bytes = 0, descriptors = 0;
  };
  struct Note {
    std::string offer;
    uint64_t blocks = 0;
  };
  enum class State : uint8_t { kApart, kAsking, kLookingUp, kConnecting, kJoined };

  void on_io(uint32_t events) override;

  // --- Joining (nixl_prefiller.cc) ---
  void join();
  void on_handshake(const Result<NixlHandshake>& handshake);
  Result<void> check(const NixlHandshake& handshake);
  void connect(const SocketAddress& address);
  void on_connected();
  void part();
  void lose(const std::string& problem, bool for_good = false);
  void give_up(const std::string& problem);
  void fail_readings(const std::string& problem);
  void on_beat();
  void on_look();
  Duration lease() const;

  // --- What is said (nixl_prefiller.cc) ---
  void say(NixlFrameKind kind, uint64_t id, std::string_view body);
  void flush();
  void watch();

  // --- Reading (nixl_prefiller_reads.cc) ---
  NixlEncoding encoding_of(const Reading& reading) const;
  void begin_readings();
  void begin(Reading& reading);
  void ask(uint64_t id);
  void resume_later(Reading& reading);
  void copy_some();
  void receive();
  bool begin_body(const NixlFrameHead& head);
  bool begin_data(const NixlFrameHead& head);
  bool end_body();
  bool end_data();
  bool take_data();
  bool end_reading(const NixlEnd& end);
  void tell_first_layer(Reading& reading);
  void complete(Reading& reading);
  void complete_whole();
  void fail(Reading& reading, const std::string& problem);
  Reading* find(uint64_t id);
  void erase(const Reading& reading);
  void expect_head();

  const NixlDecoder& decoder_;
  const Address address_;
  State state_ = State::kApart;
  size_t attempts_ = 0;
  std::optional<NixlAgent> agent_;
  std::string agent_hash_;
  std::optional<std::string> unreadable_;  // why nothing is read of who is asked or joined
  std::optional<NixlSharedView> view_;
  std::unique_ptr<NixlHandshakeCall> call_;
  std::unique_ptr<Resolver::LookUp> look_up_;
  Descriptor socket_;
  uint32_t watched_ = 0;
  TimerId connect_timer_ = kNoTimer, retry_timer_ = kNoTimer, beat_timer_ = kNoTimer,
          look_timer_ = kNoTimer;
  TimePoint used_{}, progress_{};

  std::set<std::string> wanted_;
  std::deque<std::unique_ptr<Reading>> readings_;
  std::set<uint64_t> dropped_;      // reads whose answer is of no use
  std::map<uint64_t, Note> notes_;  // that were not answered, by their frame's id
  uint64_t next_id_ = 1;
  std::string out_;
  size_t out_at_ = 0;

  // What is being received: a head, or the body of one.
  NixlChunk chunk_;
  bool in_body_ = false;
  bool link_busy_ = false;  // what was received is still on the link
  TimerId link_timer_ = kNoTimer;
  TimePoint link_through_{};  // of the last piece
  NixlFrameHead head_;
  char head_bytes_[NixlFrameHead::kBytes];
  uint64_t checksum_ = 0;
  size_t data_units_ = 0;
  std::string body_;
  std::vector<std::byte> packed_;
  bool copying_ = false;
  TimerId copy_timer_ = kNoTimer;
  Lifeline lifeline_;
};

}  // namespace kvasir
