#include "wire/sse_scanner.h"

namespace kvasir {

bool SseScanner::feed(std::string_view bytes, Sink& sink) {
  while (!failed_ && !bytes.empty()) {
    const size_t end = bytes.find('\n');
    const std::string_view piece = bytes.substr(0, end);
    if (line_.size() + data_.size() + data_view_.size() + piece.size() > event_bytes_max_) {
      failed_ = true;
      break;
    }
    if (end == std::string_view::npos) {
      line_ += piece;
      break;
    }
    bytes.remove_prefix(end + 1);
    if (line_.empty()) {
      on_line(piece, true, sink);
    } else {
      line_ += piece;
      on_line(line_, false, sink);
      line_.clear();
    }
  }
  keep_data();
  return !failed_;
}

// `line_stays`: its bytes outlive this call, until the end of feed().
void SseScanner::on_line(std::string_view line, bool line_stays, Sink& sink) {
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  if (line.empty()) {
    if (!has_data_) return;
    sink.on_event(data_view_.data() != nullptr ? data_view_ : std::string_view(data_));
    data_.clear();
    data_view_ = {};
    has_data_ = false;
  } else if (line.substr(0, 5) == "data:") {
    line.remove_prefix(5);
    if (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    add_data(line, line_stays);
  } else if (line == "data") {
    add_data({}, false);
  }
}

void SseScanner::add_data(std::string_view value, bool value_stays) {
  if (!has_data_ && value_stays) {
    data_view_ = value;
  } else {
    keep_data();
    if (has_data_) data_ += '\n';
    data_ += value;
  }
  has_data_ = true;
}

// Copies what lies in the bytes being fed, which are about to go.
void SseScanner::keep_data() {
  if (data_view_.data() == nullptr) return;
  data_.assign(data_view_);
  data_view_ = {};
}

}  // namespace kvasir
