// The requests that one thread of a program carries between clients and workers: to a prefill
// worker and then to a decoder, or to a decoder alone. What goes where is decided by TwoLegs; this
// has the connections. The decoder's answer goes back byte for byte.
//
// Lives on its loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "handoff/handoff_options.h"
#include "handoff/two_legs.h"
#include "legs/worker_call.h"
#include "legs/worker_clients.h"
#include "net/http/http_status.h"
#include "wire/kv_transfer/leg_bodies.h"

namespace kvasir {

class BootstrapClients;
class EventLoop;
class HttpExchange;
class LegsRelay;
class ReleaseCall;

// Where one request may go.
struct LegsRoute {
  std::vector<LegWorker> prefillers;  // in the order in which they are asked
  // At least one. The next is asked when no connection to one can be made.
  std::vector<LegWorker> decoders;
  std::string request_id;  // the client hears it in x-request-id
  // A worker that has more of the prompt in its cache than whoever prefills (kOffloading, kNixlV2).
  std::optional<LegWorker> kv_source = {};
  // In an error of a request without legs: what the decoder is called, and the error's type (empty:
  // as the status has it).
  std::string_view decoder_words = "the decode worker";
  std::string_view decoder_error = "decode_upstream_error";
  // Of such a request, when the decoder's connection breaks before it answers.
  int broken_status = kHttpBadGateway;
  std::string more_fields = {};  // of the answer, whole lines
};

// What is done to a decoder's answer, and what is told beside it.
struct AnswerOptions {
  // usage.prompt_tokens_details.cached_tokens of completions and chats becomes the prefiller's, for
  // to the decoder all of the prompt was cached. A whole answer that is larger stays as it is.
  bool prefill_cached_tokens = false;
  size_t whole_bytes_max = 4 * 1024 * 1024;
  // What is known only at a stream's end: as trailer fields; as a comment behind the last event.
  bool timing_trailers = false, timing_comment = false;
  // A stream begins with the prefiller's token, where LegBodies::has_certain_first_token(); the
  // decoder's repetition of it is dropped, and an answer that begins in another way is cut.
  bool first_token = false;
  bool server_timing = false;  // the field Server-Timing, and times of whole answers
  // Legs get a traceparent with a span id of their own.
  bool trace = false;
};

enum class LegStage : uint8_t { kNone, kPrefill, kDecode };

struct LegsReport {
  std::string_view request_id;
  std::string_view path;
  bool generates = false;                   // it can have two legs
  int status = 0;                           // as the client saw it; 499: it left before
  bool is_cut = false;                      // the answer had begun and could not be completed
  Duration time{};                          // from the request's last byte to its end
  std::optional<Duration> first_byte_time;  // to the first byte of the decoder's answer
  const HandoffReport* handoff = nullptr;   // null: it went to the decoder as it came
  std::string_view prefiller;               // whose handoff was used; empty: none
  std::string_view decoder;                 // that was asked last; empty: none was
  std::string_view why;                     // of an error that is our own
  LegStage failed_at = LegStage::kNone;     // whose error the client got, or half an answer
  // From the decode leg's start to its answer's end, if that came.
  std::optional<Duration> decode_time = {};
};

// For something that a leg needs; destroyed: nobody waits any more.
class LegWait {
 public:
  LegWait() = default;
  virtual ~LegWait() = default;
  LegWait(const LegWait&) = delete;
  LegWait& operator=(const LegWait&) = delete;
};

// Whose request it is, and who hears of its legs. Called on the relays' thread.
class LegsObserver {
 public:
  virtual ~LegsObserver() = default;
  // The X-Request-Id of a leg. `prefiller`: whose prefill leg it is, or whose handoff the decoder
  // gets; nullopt: the decoder works alone.
  virtual std::string leg_request_id(const LegsRoute& route, std::optional<size_t> prefiller,
                                     size_t decoder) {
    static_cast<void>(prefiller), static_cast<void>(decoder);
    return route.request_id;
  }
  enum class End : uint8_t {
    kAnswered,   // with whatever status below 500
    kFailed,     // no connection, a broken one, too slow, or a status of 500 and more
    kCancelled,  // nobody waits for it any more
  };
  // Before a leg is sent. Null: it may be at once; else `told` is called in a later turn, once, and
  // an error says why it is not. That may destroy the wait.
  virtual std::unique_ptr<LegWait> wait_to_prefill(size_t prefiller,
                                                   std::function<void(Result<void>)> told) {
    static_cast<void>(prefiller), static_cast<void>(told);
    return nullptr;
  }
  virtual void on_prefill_sent(size_t prefiller) { static_cast<void>(prefiller); }
  virtual void on_prefill_ended(size_t prefiller, End end) {
    static_cast<void>(prefiller), static_cast<void>(end);
  }
  virtual void on_decode_sent(size_t decoder) { static_cast<void>(decoder); }
  // A connection to a worker could not be made, or broke before the answer was whole.
  virtual void on_connection_failed(LegStage stage, std::string_view why) {
    static_cast<void>(stage), static_cast<void>(why);
  }
  // Its connection or its answer; a status of 500 and more.
  virtual void on_decoder_failed(size_t decoder) { static_cast<void>(decoder); }
  // Once, the last call.
  virtual void on_done(const LegsReport& report) = 0;
};

class LegsRelays {
 public:
  struct Options {
    const HandoffOptions& handoff;
    // Answer bytes a slow client may leave unread here before the decoder's connection is paused.
    size_t unread_bytes_max = 1024 * 1024;
    AnswerOptions answer = {};
    BootstrapClients* bootstrap = nullptr;  // null: kMooncake is not spoken
  };
  // All must outlive it.
  LegsRelays(EventLoop& loop, WorkerClients& clients, Random& random, const Options& options);
  ~LegsRelays();
  LegsRelays(const LegsRelays&) = delete;
  LegsRelays& operator=(const LegsRelays&) = delete;

  // To a decoder as it came, but for `body`, if there is one.
  void start(HttpExchange& exchange, LegsRoute route, std::unique_ptr<LegsObserver> observer,
             std::optional<std::string> body = std::nullopt);
  // By the prefillers, if there are any.
  void start(HttpExchange& exchange, LegBodies bodies, LegsRoute route,
             std::unique_ptr<LegsObserver> observer);
  size_t size() const { return relays_.size(); }

  // For the relays.
  EventLoop& loop() { return loop_; }
  WorkerClients& clients() { return clients_; }
  Random& random() { return random_; }
  const Options& options() const { return options_; }
  // It is over, and goes.
  void remove(LegsRelay& relay);
  // Sends a decode leg that nobody waits for.
  void release(LegWorker decoder, std::string head, std::string body);
  void remove(ReleaseCall& call);

 private:
  LegsRelay& add(HttpExchange& exchange, LegsRoute route, std::unique_ptr<LegsObserver> observer);

  EventLoop& loop_;
  WorkerClients& clients_;
  Random& random_;
  const Options options_;
  std::unordered_set<LegsRelay*> relays_;
  std::unordered_set<ReleaseCall*> releases_;
};

// "x-request-id" of a request, else a new one.
std::string request_id_of(const HttpHead& request, Random& random);

}  // namespace kvasir
