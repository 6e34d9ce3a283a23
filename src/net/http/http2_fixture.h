// For the tests of HTTP/2: what a client says, frame by frame, sound or not; and what it hears.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/assert.h"

namespace kvasir {

using Http2TestFields = std::vector<std::pair<std::string, std::string>>;

// Types and flags of frames (RFC 9113, 6).
inline constexpr uint8_t kDataFrame = 0, kHeadersFrame = 1, kResetFrame = 3, kSettingsFrame = 4,
                         kPingFrame = 6, kGoawayFrame = 7, kWindowFrame = 8, kContinuationFrame = 9;
inline constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;

inline std::string big_endian(uint32_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}

inline std::string http2_frame(uint8_t type, uint8_t flags, uint32_t stream,
                               std::string_view payload) {
  std::string frame = big_endian(static_cast<uint32_t>(payload.size()), 3);
  frame += static_cast<char>(type);
  frame += static_cast<char>(flags);
  return frame.append(big_endian(stream, 4)).append(payload);
}

// Literal fields that are not indexed, as they stand (RFC 7541, 6.2.2).
inline std::string http2_block(const Http2TestFields& fields) {
  const auto append_text = [](std::string_view text, std::string& block) {
    size_t left = text.size();
    if (left < 127) {
      block += static_cast<char>(left);
    } else {
      block += '\x7f';
      for (left -= 127; left >= 128; left >>= 7) block += static_cast<char>(0x80 | (left & 0x7f));
      block += static_cast<char>(left);
    }
    block += text;
  };
  std::string block;
  for (const auto& field : fields) {
    block += '\0';
    append_text(field.first, block);
    append_text(field.second, block);
  }
  return block;
}

// What a client begins with: the preface, and empty SETTINGS or these.
inline std::string http2_hello(std::string_view settings = {}) {
  return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + http2_frame(kSettingsFrame, 0, 0, settings);
}
// One setting.
inline std::string http2_setting(uint16_t id, uint32_t value) {
  return big_endian(id, 2) + big_endian(value, 4);
}
inline std::string http2_headers(uint32_t stream, const Http2TestFields& fields,
                                 uint8_t flags = kEndHeaders | kEndStream) {
  return http2_frame(kHeadersFrame, flags, stream, http2_block(fields));
}
inline std::string http2_data(uint32_t stream, std::string_view bytes, bool ends = true) {
  return http2_frame(kDataFrame, ends ? kEndStream : 0, stream, bytes);
}
inline std::string http2_reset(uint32_t stream, uint32_t code = 8) {
  return http2_frame(kResetFrame, 0, stream, big_endian(code, 4));
}

// A head with its pseudo-header fields, and these behind them.
inline Http2TestFields http2_request(const std::string& method, const std::string& path,
                                     const Http2TestFields& more = {}) {
  Http2TestFields fields{
      {":method", method}, {":scheme", "http"}, {":path", path}, {":authority", "g"}};
  fields.insert(fields.end(), more.begin(), more.end());
  return fields;
}

// Reads what a server says.
class Http2Hearing {
 public:
  struct Stream {
    std::vector<Http2TestFields> heads;  // interim answers, the answer, its trailers
    std::string body;
    bool ended = false;
    int reset = -1;  // its code

    // "200", "100 200", "reset 1"
    std::string outcome() const {
      std::string text;
      for (const Http2TestFields& head : heads) {
        if (head.empty() || head.front().first != ":status") continue;
        text.append(text.empty() ? "" : " ").append(head.front().second);
      }
      if (reset > 0) text.append(text.empty() ? "" : " ").append("reset " + std::to_string(reset));
      return text;
    }
    bool over() const { return ended || reset >= 0; }
    std::string field(std::string_view name) const {
      for (const Http2TestFields& head : heads) {
        for (const auto& one : head) {
          if (one.first == name) return one.second;
        }
      }
      return "";
    }
  };

  Http2Hearing() { KVASIR_ASSERT(nghttp2_hd_inflate_new(&inflater_) == 0, "memory"); }
  ~Http2Hearing() { nghttp2_hd_inflate_del(inflater_); }
  Http2Hearing(const Http2Hearing&) = delete;
  Http2Hearing& operator=(const Http2Hearing&) = delete;

  // All that came up to now.
  void hear(std::string_view all) {
    while (all.size() >= used_ + 9) {
      const std::string_view rest = all.substr(used_);
      const size_t size = number(rest.substr(0, 3));
      if (rest.size() < 9 + size) return;
      used_ += 9 + size;
      take(static_cast<uint8_t>(rest[3]), static_cast<uint8_t>(rest[4]),
           number(rest.substr(5, 4)) & 0x7fffffff, rest.substr(9, size));
    }
  }

  std::map<uint32_t, Stream> streams;
  int goaways = 0;
  int goaway = -1;  // the code of the last one
  uint32_t goaway_stream = 0;
  int pings = 0;  // answered
  std::map<uint32_t, uint32_t> settings;

 private:
  static uint32_t number(std::string_view bytes) {
    uint32_t value = 0;
    for (const char byte : bytes) value = value << 8 | static_cast<uint8_t>(byte);
    return value;
  }

  void take(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload) {
    if (type == kHeadersFrame || type == kContinuationFrame) block_ += payload;
    if ((type == kHeadersFrame || type == kContinuationFrame) && (flags & kEndHeaders) != 0) {
      streams[id].heads.push_back(inflate());
    }
    if (type == kDataFrame) streams[id].body += payload;
    if (type == kDataFrame || type == kHeadersFrame) streams[id].ended |= (flags & kEndStream) != 0;
    if (type == kResetFrame) streams[id].reset = static_cast<int>(number(payload));
    if (type == kPingFrame && (flags & kAck) != 0) ++pings;
    if (type == kSettingsFrame) {
      for (; payload.size() >= 6; payload.remove_prefix(6)) {
        settings[number(payload.substr(0, 2))] = number(payload.substr(2, 4));
      }
    }
    if (type != kGoawayFrame) return;
    ++goaways;
    goaway_stream = number(payload.substr(0, 4)) & 0x7fffffff;
    goaway = static_cast<int>(number(payload.substr(4, 4)));
  }

  Http2TestFields inflate() {
    Http2TestFields fields;
    const auto* next = reinterpret_cast<const uint8_t*>(block_.data());
    size_t left = block_.size();
    for (int flags = 0; (flags & NGHTTP2_HD_INFLATE_FINAL) == 0;) {
      nghttp2_nv field{};
      const ssize_t read = nghttp2_hd_inflate_hd2(inflater_, &field, &flags, next, left, 1);
      KVASIR_ASSERT(read >= 0, "the server's fields can be read");
      next += read;
      left -= static_cast<size_t>(read);
      if ((flags & NGHTTP2_HD_INFLATE_EMIT) == 0) continue;
      fields.emplace_back(std::string(reinterpret_cast<char*>(field.name), field.namelen),
                          std::string(reinterpret_cast<char*>(field.value), field.valuelen));
    }
    nghttp2_hd_inflate_end_headers(inflater_);
    block_.clear();
    return fields;
  }

  nghttp2_hd_inflater* inflater_ = nullptr;
  size_t used_ = 0;
  std::string block_;
};

}  // namespace kvasir
