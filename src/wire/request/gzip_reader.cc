#include "wire/request/gzip_reader.h"

#include <zlib.h>

#include <algorithm>
#include <limits>

#include "base/text.h"

namespace kvasir {
namespace {

constexpr size_t kFirstOutputBytes = 16 * 1024;
// zlib's windowBits: the largest window, and what frames it.
constexpr int kWindowBits = 15;
constexpr int kGzipFrame = kWindowBits + 16;
constexpr int kZlibFrame = kWindowBits;
constexpr int kNoFrame = -kWindowBits;

// RFC 1950: method 8, and the first two bytes a multiple of 31.
bool has_zlib_frame(std::string_view body) {
  if (body.size() < 2) return false;
  const unsigned first = static_cast<unsigned char>(body[0]);
  const unsigned second = static_cast<unsigned char>(body[1]);
  return (first & 0x0f) == 8 && (first * 256 + second) % 31 == 0;
}

class Inflater {
 public:
  Inflater(int frame, std::string_view body, const InflateLimits& limits, size_t padding)
      : limits_(limits), padding_(padding), body_bytes_(body.size()) {
    ready_ = inflateInit2(&stream_, frame) == Z_OK;
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream_.avail_in = static_cast<uInt>(body.size());
  }
  ~Inflater() {
    if (ready_) inflateEnd(&stream_);
  }
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  Result<std::string> run(bool several_members) {
    if (!ready_) return Error{"the compressed body cannot be read: no memory"};
    for (size_t member = 1;; ++member) {
      if (member > limits_.members) {
        return Error{"the compressed body has more than " + std::to_string(limits_.members) +
                     " members"};
      }
      const Result<void> read = read_member();
      if (!read) return read.error();
      if (stream_.avail_in == 0) break;
      if (!several_members) return Error{"bytes follow the end of the compressed body"};
      if (inflateReset(&stream_) != Z_OK) return Error{"the compressed body cannot be read"};
    }
    output_.resize(size_);
    return std::move(output_);
  }

 private:
  size_t size_max() const {
    const size_t by_ratio = body_bytes_ > std::numeric_limits<size_t>::max() / limits_.ratio
                                ? std::numeric_limits<size_t>::max()
                                : body_bytes_ * limits_.ratio;
    return std::min(limits_.output_bytes, std::max(by_ratio, limits_.output_bytes_at_any_ratio));
  }

  // One more byte than allowed, so that a body of exactly the limit ends well.
  void make_room() {
    if (size_ < output_.size()) return;
    const size_t wanted = std::max(kFirstOutputBytes, output_.size() * 2);
    const size_t next = std::min(wanted, size_max() + 1);
    output_.reserve(next + padding_);
    output_.resize(next);
  }

  Result<void> read_member() {
    for (;;) {
      make_room();
      const size_t room =
          std::min<size_t>(output_.size() - size_, std::numeric_limits<uInt>::max());
      stream_.next_out = reinterpret_cast<Bytef*>(output_.data() + size_);
      stream_.avail_out = static_cast<uInt>(room);
      const int state = inflate(&stream_, Z_NO_FLUSH);
      size_ += room - stream_.avail_out;
      if (size_ > size_max()) return too_large();
      if (state == Z_STREAM_END) return {};
      if (state == Z_OK && (stream_.avail_in > 0 || stream_.avail_out == 0)) continue;
      if (state == Z_OK || state == Z_BUF_ERROR) return Error{"the compressed body is cut short"};
      return Error{std::string("the compressed body is damaged: ") +
                   (stream_.msg != nullptr ? stream_.msg : "not what its Content-Encoding says")};
    }
  }

  Error too_large() const {
    if (size_ > limits_.output_bytes) {
      return Error{"the compressed body unfolds to more than " +
                   std::to_string(limits_.output_bytes) + " bytes"};
    }
    return Error{"the compressed body unfolds to more than " + std::to_string(limits_.ratio) +
                 " times its size"};
  }

  const InflateLimits limits_;
  const size_t padding_;
  const size_t body_bytes_;
  z_stream stream_{};
  bool ready_ = false;
  std::string output_;
  size_t size_ = 0;  // of output_, what is filled
};

}  // namespace

ContentCoding content_coding(std::string_view content_encoding) {
  const std::string_view name = trimmed(content_encoding);
  if (name.empty() || equal_ignoring_case(name, "identity")) return ContentCoding::kIdentity;
  if (equal_ignoring_case(name, "gzip") || equal_ignoring_case(name, "x-gzip")) {
    return ContentCoding::kGzip;
  }
  if (equal_ignoring_case(name, "deflate")) return ContentCoding::kDeflate;
  return ContentCoding::kUnreadable;
}

Result<std::string> inflate_body(ContentCoding coding, std::string_view body,
                                 const InflateLimits& limits, size_t padding) {
  if (coding == ContentCoding::kUnreadable) {
    return Error{
        "a body with this Content-Encoding cannot be read: gzip, deflate and identity can"};
  }
  if (coding == ContentCoding::kIdentity) {
    if (body.size() > limits.output_bytes) {
      return Error{"the body has more than " + std::to_string(limits.output_bytes) + " bytes"};
    }
    std::string copy;
    copy.reserve(body.size() + padding);
    return std::move(copy.append(body));
  }
  if (body.size() > std::numeric_limits<uInt>::max()) {
    return Error{"the compressed body is larger than 4 GiB"};
  }
  const bool gzip = coding == ContentCoding::kGzip;
  const int frame = gzip ? kGzipFrame : has_zlib_frame(body) ? kZlibFrame : kNoFrame;
  return Inflater(frame, body, limits, padding).run(gzip);
}

}  // namespace kvasir
