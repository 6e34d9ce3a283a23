// The server's side of one HTTP/2 connection, without a socket: bytes in, events and bytes out. Private to
// net/; what is below it (plain TCP or TLS) does not concern it.
//
// Events come from inside receive(); produce() calls only the output functions of a stream, so that what
// was taken may be borrowed until it is written. A stream that ended is reported by take_closed(), never
// in the middle of something else. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
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
  kInternal = 2,
  kRefusedStream = 7,
  kCancel = 8,
  kEnhanceYourCalm = 11,
};

// One request and its answer, as the session sees it.
class Http2Stream {
 public:
  virtual ~Http2Stream() = default;

  virtual void on_field(std::string_view name, std::string_view value) = 0;
  virtual void on_head_end() = 0;
  virtual void on_data(std::string_view bytes) = 0;
  virtual void on_half_close() = 0;

  // Bytes of the answer's body that wait.
  virtual size_t output_size() const = 0;
  // The next `size` of them; they must stay in place until the connection has written them.
  virtual std::string_view take_output(size_t size) = 0;
  // Nothing waits and nothing will come: the trailers may go.
  virtual bool output_complete() const = 0;
  virtual void send_trailers() = 0;
};

class Http2Session {
 public:
  struct Settings {
    uint32_t connection_window_bytes;
    uint32_t stream_window_bytes;
    uint32_t concurrent_streams;
    uint32_t head_bytes;
    uint64_t resets_per_second;
  };
  class StreamFactory {
   public:
    virtual ~StreamFactory() = default;
    virtual std::unique_ptr<Http2Stream> open_stream(int32_t id) = 0;
  };

  // `factory` must outlive the session.
  Http2Session(const Settings& settings, StreamFactory& factory);
  ~Http2Session();
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;

  // False: the peer does not speak HTTP/2; say goodbye and close.
  bool receive(std::string_view bytes);
  // Appends frames until there are none or about `bytes_max` were made. False on a broken session.
  bool produce(GatherBuffer& output, size_t bytes_max);
  bool wants_write() const;
  // Nothing more will be read or written: close.
  bool over() const;

  // Streams that ended since the last call.
  std::vector<std::unique_ptr<Http2Stream>> take_closed();
  // Streams whose output was all taken since the last call. Some may be closed (not yet destroyed).
  std::vector<Http2Stream*> take_emptied();
  size_t open_streams() const { return open_.size(); }
  // Ends every stream, as if the peer had reset it. Afterwards: neither receive() nor produce().
  void close_all();

  // Answering. Of a stream that is closed they do nothing.
  void respond(int32_t id, const std::vector<Http2Field>& head, bool with_body);
  void resume(int32_t id);
  void send_trailers(int32_t id, const std::vector<Http2Field>& trailers);
  void reset(int32_t id, Http2Error code);
  // Tells the peer to open no more streams: first so that those already on their way are still taken,
  // a round trip later for good.
  void send_shutdown_notice();
  void send_goaway();
  void send_ping();

 private:
  friend struct Http2Callbacks;

  nghttp2_session* session_ = nullptr;
  StreamFactory& factory_;
  GatherBuffer* output_ = nullptr;  // during produce()
  std::vector<std::unique_ptr<Http2Stream>> closed_;
  std::vector<Http2Stream*> emptied_;
  std::unordered_map<int32_t, std::unique_ptr<Http2Stream>> open_;
};

}  // namespace kvasir
