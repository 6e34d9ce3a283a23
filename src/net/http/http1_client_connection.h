// The connections of an HttpClient. Private to net/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/lifeline.h"
#include "net/http/http_answer_reader.h"
#include "net/http/http_client.h"
#include "net/io/deadline.h"
#include "net/io/event_loop.h"
#include "net/io/transport.h"

namespace kvasir {

class Http1ClientConnection;

// What the connections of one client share.
struct Http1Pool {
  EventLoop& loop;
  const SocketAddress address;
  const HttpClientLimits limits;
  const TlsPeer peer;
  std::unordered_set<Http1ClientConnection*> connections;
  std::vector<Http1ClientConnection*> idle;  // last used last: taken from the back
  uint64_t idle_turns = 0;                   // connections that became idle, ever

  void close_idle_until(uint64_t turn);
};

// One connection of a pool. Destroyed at the end of the loop's iteration in which it is closed.
class Http1ClientConnection final : public IoHandler, public HttpCall {
 public:
  explicit Http1ClientConnection(Http1Pool& pool)
      : pool_(pool),
        loop_(pool.loop),
        reader_(pool.limits),
        deadline_(loop_, [this] { on_deadline(); }) {}
  ~Http1ClientConnection() override {
    loop_.cancel(refused_);
    loop_.cancel(gather_);
  }

  HttpCall& start(std::string_view head, std::string_view body, HttpCallObserver& observer,
                  bool is_head_request);
  // HttpCall
  void cancel() override { close(); }
  void pause() override { set_paused(true); }
  void resume() override { set_paused(false); }
  bool request_sent() const override {
    return unsent_head_.empty() && unsent_body_.empty() && transport_.unsent() == 0 &&
           (answered_ || !may_be_stale());
  }
  bool connected() const override { return connected_; }

  uint64_t idle_turn() const { return idle_turn_; }
  // Whether nothing arrived while it was idle: neither bytes that nobody asked for, nor its end.
  bool quiet() const;
  void detach_and_close();
  void on_io(uint32_t events) override;

 private:
  using Kind = HttpFailure::Kind;
  using Cause = HttpFailure::Cause;

  void set_paused(bool paused);
  void begin();
  void connect();
  void on_connected();
  void on_ready();
  void send_request();
  void read_all();
  size_t on_readable();
  void note_pace(size_t bytes);
  void stop_gathering();
  void take(std::string_view bytes);
  void on_end_of_input();
  void on_answer_complete();
  void become_idle();
  void fail(Kind kind, std::string message, Cause cause = Cause::kOther);
  void fail_closed(const std::string& how);
  void fail_connect(int error);
  void fail_handshake(const std::string& how);
  bool may_be_stale() const { return reused_ && loop_.now() - began_ <= pool_.limits.stale_within; }
  void send_again();
  void close_socket();
  void close();
  void update_watch();
  void on_deadline();

  Http1Pool& pool_;
  EventLoop& loop_;
  Transport transport_;
  HttpAnswerReader reader_;
  std::string_view head_;  // of the call, as is body_
  std::string_view body_;
  std::string_view unsent_head_;
  std::string_view unsent_body_;
  HttpCallObserver* observer_ = nullptr;  // null while idle
  uint32_t watched_ = 0;
  Deadline deadline_;
  TimerId refused_ = kNoTimer;  // reports a connection that could not even be tried
  TimePoint began_{};           // of the call, on this connection
  TimerId gather_ = kNoTimer;   // runs while the answer is read by the clock, and not when it comes
  TimePoint last_read_{};
  uint32_t quick_reads_ = 0;    // in a row
  uint64_t idle_turn_ = 0;      // Http1Pool::idle_turns when it last became idle
  bool is_head_request_ = false;
  bool connected_ = false;
  bool reused_ = false;
  bool resent_ = false;    // HttpFailure::resent
  bool answered_ = false;  // some byte of this answer has arrived
  bool paused_ = false;
  bool hung_up_ = false;  // while paused: not watched until the reader goes on
  bool closed_ = false;
  Lifeline lifeline_;
};

}  // namespace kvasir
