// The client's side of one HTTP/2 connection, without a socket: bytes in, events and bytes out.
// Private to net/; the counterpart of Http2Session, with the same rules: events come from inside
// receive(), produce() calls only the output functions of a stream, and ended streams are handed
// over by take_closed(), never in the middle of something else. Not thread-safe.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "net/http/http2_session.h"
#include "net/io/gather_buffer.h"

struct nghttp2_session;

namespace kvasir {

// One request and its answer, as the session sees it.
class Http2ClientStream {
 public:
  virtual ~Http2ClientStream() = default;

  // A field of the answer's head or of its trailers.
  virtual void on_field(std::string_view name, std::string_view value) = 0;
  virtual void on_data(std::string_view bytes) = 0;
  // The answer is complete; what of the request was not sent yet never will be.
  virtual void on_answer_end() = 0;

  // Bytes of the request's body that wait.
  virtual size_t output_size() const = 0;
  // The next `size` of them; they must stay in place until the connection has written them.
  virtual std::string_view take_output(size_t size) = 0;
  // Nothing waits and nothing will come.
  virtual bool output_complete() const = 0;
};

class Http2ClientSession {
 public:
  struct Settings {
    uint32_t connection_window_bytes;
    uint32_t stream_window_bytes;
    uint32_t head_bytes;
  };
  struct Closed {
    std::unique_ptr<Http2ClientStream> stream;
    uint32_t error;  // of RST_STREAM or GOAWAY; 0 when it ended well
  };

  explicit Http2ClientSession(const Settings& settings);
  ~Http2ClientSession();
  Http2ClientSession(const Http2ClientSession&) = delete;
  Http2ClientSession& operator=(const Http2ClientSession&) = delete;

  // Queues a request with a body; takes the stream over. The stream's id, or nothing (and `stream`
  // is left alone) when this connection takes no more: after GOAWAY, or when its ids are used up.
  std::optional<int32_t> request(const std::vector<Http2Field>& head,
                                 std::unique_ptr<Http2ClientStream>& stream);
  // There is output again, or there will be no more of it.
  void resume(int32_t id);
  void reset(int32_t id, Http2Error code);

  // False: the peer does not speak HTTP/2, or breaks its rules beyond repair.
  bool receive(std::string_view bytes);
  // Appends frames until there are none or about `bytes_max` were made. False on a broken session.
  bool produce(GatherBuffer& output, size_t bytes_max);
  bool wants_write() const;
  bool over() const;
  bool goaway_received() const { return goaway_received_; }
  size_t open_streams() const { return open_.size(); }

  std::vector<Closed> take_closed();
  // Streams whose output was all taken since the last call. Some may be closed (not yet destroyed).
  std::vector<Http2ClientStream*> take_emptied();
  // Ends every stream as if by an error of the connection. Afterwards: neither receive() nor
  // produce().
  void close_all(Http2Error code);

 private:
  friend struct Http2ClientCallbacks;

  nghttp2_session* session_ = nullptr;
  GatherBuffer* output_ = nullptr;  // during produce()
  bool goaway_received_ = false;
  std::vector<Closed> closed_;
  std::vector<Http2ClientStream*> emptied_;
  std::unordered_map<int32_t, std::unique_ptr<Http2ClientStream>> open_;
};

}  // namespace kvasir
