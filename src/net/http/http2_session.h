// One side, a server's or a client's, of one HTTP/2 connection, without a socket: bytes in, events
// and bytes out. Private to net/; what is below it (plain TCP or TLS) does not concern it.
//
// Events come from inside receive(); produce() calls only the output functions of a stream, so that
// what was taken may be borrowed until it is written. A stream that ended is reported by
// take_closed(), never in the middle of something else. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/io/gather_buffer.h"

struct nghttp2_session;

namespace kvasir {

struct Http2Field {
  std::string_view name;  // lower case
  std::string_view value;
};

// HTTP/2 error codes that are used here (RFC 9113, section 7).
enum class Http2Error : uint32_t {
  kNone = 0,
  kProtocol = 1,
  kInternal = 2,
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
};

// One request and its answer, as the session sees it. A server receives the one and sends the
// other.
class Http2Stream {
 public:
  virtual ~Http2Stream() = default;

  // A field of what is received: of a request's head, or of an answer's head or trailers.
  virtual void on_field(std::string_view name, std::string_view value) = 0;
  // A field that was left out because it has bytes that no field has.
  virtual void on_malformed_field() {}
  // Servers: the request's head is whole. `ends`: so is the request.
  virtual void on_head_end(bool ends) { static_cast<void>(ends); }
  virtual void on_data(std::string_view bytes) = 0;
  // The peer sends no more. Clients: what of the request was not sent yet never will be.
  virtual void on_half_close() = 0;

  // Bytes of the body that wait to be sent.
  virtual size_t output_size() const = 0;
  // The next `size` of them; they must stay in place until the connection has written them.
  virtual std::string_view take_output(size_t size) = 0;
  // Nothing waits and nothing will come.
  virtual bool output_complete() const = 0;
  // Sends the trailers, behind the last output. False: there are none.
  virtual bool send_trailers() { return false; }
};

class Http2Session {
 public:
  struct Settings {
    uint32_t connection_window_bytes;
    uint32_t stream_window_bytes;
    uint32_t head_bytes;
    // Servers
    uint32_t concurrent_streams;
    uint64_t resets_per_second;
  };
  class StreamFactory {
   public:
    virtual ~StreamFactory() = default;
    virtual std::unique_ptr<Http2Stream> open_stream(int32_t id) = 0;
  };
  struct Closed {
    std::unique_ptr<Http2Stream> stream;
    uint32_t error;  // of RST_STREAM or GOAWAY; 0 when it ended well
  };

  // A server's, which makes a stream of each request with `factory`; a client's without one.
  Http2Session(const Settings& settings, StreamFactory* factory);
  ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  // False: the peer does not speak HTTP/2, or breaks its rules beyond repair; close.
  bool receive(std::string_view bytes);
  // Appends frames until there are none or about `bytes_max` were made. False on a broken session.
  bool produce(GatherBuffer& output, size_t bytes_max);
  bool wants_write() const;
  // Nothing more will be read or written: close.
  bool over() const;
  bool goaway_received() const { return goaway_received_; }

  // Streams that ended since the last call.
  std::vector<Closed> take_closed();
  // Streams whose output was all taken since the last call. Some may be closed (not yet destroyed).
  std::vector<Http2Stream*> take_emptied();
  size_t open_streams() const { return open_.size(); }
  // `use` may answer or reset the stream.
  template <class Use>
  void for_each_open(Use use) {
    for (auto& entry : open_) use(*entry.second);
  }
  // Ends every stream as if by an error of the connection. Afterwards: neither receive() nor
  // produce().
  void close_all();

  // Clients: queues a request with a body; takes the stream over. The stream's id, or nothing (and
  // `stream` is left alone) when this connection takes no more: after GOAWAY, or when its ids are
  // used up.
  std::optional<int32_t> request(const std::vector<Http2Field>& head,
                                 std::unique_ptr<Http2Stream>& stream);
  // Servers: answering. Of a stream that is closed they do nothing.
  void respond(int32_t id, const std::vector<Http2Field>& head, bool with_body);
  // An interim answer (1xx) before it.
  void inform(int32_t id, std::string_view status);
  void send_trailers(int32_t id, const std::vector<Http2Field>& trailers);
  // There is output again, or there will be no more of it.
  void resume(int32_t id);
  void reset(int32_t id, Http2Error code);
  // Tells the peer to open no more streams: first so that those already on their way are still taken,
  // a round trip later for good.
  void send_shutdown_notice();
  void send_goaway();
  void send_ping();
  // Ends the connection: the peer learns why, and everything of it ends as soon as that is sent.
  void terminate(Http2Error code);

 private:
  struct Callbacks;

  bool is_server() const { return factory_ != nullptr; }

  nghttp2_session* session_ = nullptr;
  StreamFactory* const factory_;
  GatherBuffer* output_ = nullptr;  // during produce()
  bool goaway_received_ = false;
  std::vector<Closed> closed_;
  std::vector<Http2Stream*> emptied_;
  std::unordered_map<int32_t, std::unique_ptr<Http2Stream>> open_;
};

}  // namespace kvasir
