// Finds the events of a server-sent event stream in bytes that arrive in any pieces. Does no I/O.
//
// Lines end with LF or CRLF. An event is its "data" lines, joined with LF, up to an empty line;
// comments and all other fields are skipped, and an event without data is none. Small: a stream
// that is read in whole events holds no bytes between two of them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvasir {

class SseScanner {
 public:
  class Sink {
   public:
    virtual ~Sink() = default;
    // The data of one event; valid during the call. Must not feed the scanner.
    virtual void on_event(std::string_view data) = 0;
  };

  static constexpr size_t kEventBytesMax = 4 * 1024 * 1024;
  explicit SseScanner(size_t event_bytes_max = kEventBytesMax)
      : event_bytes_max_(event_bytes_max) {}

  // Reports the events that `bytes` complete. False when an event grew beyond the limit: the stream
  // is lost, and nothing more is reported.
  bool feed(std::string_view bytes, Sink& sink);

 private:
  void on_line(std::string_view line, bool line_stays, Sink& sink);
  void add_data(std::string_view value, bool value_stays);
  void keep_data();

  const size_t event_bytes_max_;
  std::string line_;            // the beginning of a line whose end has not come
  std::string data_;            // of the event under way, unless data_view_ has it
  std::string_view data_view_;  // its only line so far, inside the bytes being fed
  bool has_data_ = false;
  bool failed_ = false;
};

}  // namespace kvasir
