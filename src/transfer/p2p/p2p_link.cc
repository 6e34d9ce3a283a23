#include "transfer/p2p/p2p_link.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/little_endian.h"
#include "transfer/kv_fingerprint.h"

namespace kvasir {
namespace {

constexpr std::string_view kLinkMagic = "KVASIRP2";
constexpr size_t kPiecesOfCall = 256;
constexpr int kReadsOfTurn = 32;
constexpr size_t kReadBytesMost = size_t{256} << 10;  // their checksum finds them in the cache

static_assert(P2pLink::kHelloBytes == P2pLink::kFrameHeadBytes);

}  // namespace

P2pLink::P2pLink(EventLoop& loop, Descriptor socket, Owner& owner)
    : loop_(loop), owner_(owner), socket_(std::move(socket)) {
  set_no_delay(socket_);
  watch();
}

P2pLink::P2pLink(EventLoop& loop, const SocketAddress& address, const std::string& token,
                 Owner& owner)
    : loop_(loop), owner_(owner), connecting_(true), greeted_(true), hello_(kLinkMagic) {
  hello_ += token;
  socket_ = std::move(start_connect(address).socket);
  if (socket_.open()) set_no_delay(socket_);
  watch();
}

P2pLink::~P2pLink() {
  if (watched_ != 0) loop_.unwatch(socket_.get(), *this);
}

void P2pLink::watch() {
  if (!socket_.open()) return;
  const bool writes = connecting_ || !hello_.empty() || !outgoing_.empty();
  const uint32_t wanted = EPOLLIN | (writes ? EPOLLOUT : 0u);
  if (wanted == watched_) return;
  if (watched_ == 0) {
    loop_.watch(socket_.get(), wanted, *this);
  } else {
    loop_.modify(socket_.get(), wanted, *this);
  }
  watched_ = wanted;
}

void P2pLink::send(Frame frame) {
  auto made = std::make_unique<Outgoing>();
  made->frame = std::move(frame);
  if (over()) {
    made->frame.done(false);
    return;
  }
  made->rest.push_back(made->head);
  made->rest.insert(made->rest.end(), made->frame.pieces.begin(), made->frame.pieces.end());
  outgoing_.push_back(std::move(made));
  watch();
}

// Its turn has come: the first of many frames does not wait for the checksums of the others.
void P2pLink::begin(Outgoing& frame) {
  const std::vector<std::span<const std::byte>>& pieces = frame.frame.pieces;
  uint64_t bytes = 0;
  for (const std::span<const std::byte> piece : pieces) bytes += piece.size();
  put_little_endian(frame.frame.number, frame.head.data());
  put_little_endian(bytes, frame.head.data() + 8);
  put_little_endian(kv_checksum(pieces), frame.head.data() + 16);
  frame.begun = true;
}

void P2pLink::cut() {
  if (over()) return;
  if (watched_ != 0) loop_.unwatch(socket_.get(), *this);
  watched_ = 0;
  socket_ = Descriptor();
  rest_ = {};
  const auto unsent = std::exchange(outgoing_, {});
  for (const auto& outgoing : unsent) outgoing->frame.done(false);
  owner_.on_cut(*this);
}

void P2pLink::on_io(uint32_t events) {
  if (connecting_ && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0) {
    if (connect_error(socket_) != 0) return cut();
    connecting_ = false;
  }
  if (connecting_) return;
  const bool sound = (events & EPOLLOUT) == 0 || write_some();
  if (!sound || ((events & ~EPOLLOUT) != 0 && !read_some())) return cut();
  watch();
}

bool P2pLink::read_some() {
  for (int reads = 0; reads < kReadsOfTurn && !over(); ++reads) {
    const bool in_head = rest_.empty();
    const std::span<std::byte> into = in_head ? std::span(head_).subspan(head_size_)
                                              : rest_.first(std::min(rest_.size(), kReadBytesMost));
    const ssize_t size = recv(socket_.get(), into.data(), into.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (size == 0 || !on_read(static_cast<size_t>(size))) return false;
  }
  return true;
}

bool P2pLink::on_read(size_t size) {
  if (rest_.empty()) {
    head_size_ += size;
    return head_size_ < head_.size() || begin_frame();
  }
  arrived_.add(rest_.first(size));
  rest_ = rest_.subspan(size);
  if (rest_.empty()) owner_.on_frame_end(*this, number_, arrived_.take() == checksum_);
  return true;
}

// The head is there: of a frame, or the hello.
bool P2pLink::begin_frame() {
  head_size_ = 0;
  if (!greeted_) {
    greeted_ = true;
    const auto* text = reinterpret_cast<const char*>(head_.data());
    return std::string_view(text, kLinkMagic.size()) == kLinkMagic &&
           owner_.on_hello(*this, std::string(text + kLinkMagic.size(), kTokenBytes));
  }
  number_ = read_little_endian<uint64_t>(head_.data());
  checksum_ = read_little_endian<uint64_t>(head_.data() + 16);
  rest_ = owner_.on_frame(*this, number_, read_little_endian<uint64_t>(head_.data() + 8));
  return !rest_.empty();
}

bool P2pLink::write_some() {
  while (!hello_.empty()) {
    const ssize_t size = ::send(socket_.get(), hello_.data(), hello_.size(), MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    hello_.erase(0, static_cast<size_t>(size));
  }
  while (!outgoing_.empty()) {
    Outgoing& first = *outgoing_.front();
    if (!first.begun) begin(first);
    std::array<iovec, kPiecesOfCall> pieces;
    const size_t count = std::min(kPiecesOfCall, first.rest.size() - first.next);
    for (size_t i = 0; i < count; ++i) {
      const std::span<const std::byte> piece = first.rest[first.next + i];
      pieces[i] = {const_cast<std::byte*>(piece.data()), piece.size()};  // it is only read
    }
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = count;
    const ssize_t size = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    advance(static_cast<size_t>(size));
  }
  return true;
}

void P2pLink::advance(size_t written) {
  Outgoing& first = *outgoing_.front();
  while (first.next < first.rest.size()) {
    std::span<const std::byte>& piece = first.rest[first.next];
    const size_t part = std::min(written, piece.size());
    piece = piece.subspan(part);
    written -= part;
    if (!piece.empty()) return;
    ++first.next;
  }
  const std::unique_ptr<Outgoing> sent = std::move(outgoing_.front());
  outgoing_.pop_front();
  sent->frame.done(true);
}

}  // namespace kvasir
