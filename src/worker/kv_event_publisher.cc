#include "worker/kv_event_publisher.h"

#include <sys/eventfd.h>
#include <unistd.h>
#include <zmq.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <deque>
#include <optional>
#include <set>
#include <thread>

#include "base/guarded.h"
#include "net/io/socket.h"

namespace kvasir {

// A batch, and the account of bytes that it burdens as long as anybody keeps it.
class KeptBatch {
 public:
  KeptBatch(std::string bytes, std::shared_ptr<std::atomic<size_t>> account)
      : bytes_(std::move(bytes)), account_(std::move(account)) {
    account_->fetch_add(bytes_.size(), std::memory_order_relaxed);
  }
  ~KeptBatch() { account_->fetch_sub(bytes_.size(), std::memory_order_relaxed); }
  KeptBatch(const KeptBatch&) = delete;
  KeptBatch& operator=(const KeptBatch&) = delete;

  const std::string& bytes() const { return bytes_; }

 private:
  const std::string bytes_;
  const std::shared_ptr<std::atomic<size_t>> account_;
};
using SharedBatch = std::shared_ptr<const KeptBatch>;

struct NumberedBatch {
  uint64_t sequence = 0;
  SharedBatch batch;
};

// What the thread has to do.
struct PublisherInbox {
  std::deque<NumberedBatch> batches;
  std::optional<std::vector<std::string>> peers;
  bool stop = false;
};

struct ClosePublisherSocket {
  void operator()(void* socket) const { zmq_close(socket); }
};
struct EndPublisherContext {
  void operator()(void* context) const { zmq_ctx_term(context); }
};
using PublisherSocket = std::unique_ptr<void, ClosePublisherSocket>;
using PublisherContext = std::unique_ptr<void, EndPublisherContext>;

namespace {

std::string big_endian(uint64_t value) {
  std::string bytes(8, '\0');
  for (size_t i = 0; i < 8; ++i) bytes[i] = static_cast<char>(value >> (8 * (7 - i)));
  return bytes;
}

// False: the peer takes nothing now, or is gone. Never waits.
bool send_frame(void* socket, std::string_view bytes, bool more) {
  const int flags = ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0);
  return zmq_send(socket, bytes.data(), bytes.size(), flags) >= 0;
}

// The batch lives until the message is gone.
bool send_batch(void* socket, const SharedBatch& batch) {
  auto* keeper = new SharedBatch(batch);
  zmq_msg_t message;
  const auto release = [](void*, void* hint) { delete static_cast<SharedBatch*>(hint); };
  void* bytes = const_cast<char*>(batch->bytes().data());  // it is only read
  if (zmq_msg_init_data(&message, bytes, batch->bytes().size(), release, keeper) != 0) {
    delete keeper;
    return false;
  }
  if (zmq_msg_send(&message, socket, ZMQ_DONTWAIT) >= 0) return true;
  zmq_msg_close(&message);
  return false;
}

Error zmq_error(const std::string& what) {
  return Error{what + ": " + zmq_strerror(zmq_errno())};
}

Result<PublisherSocket> make_socket(void* context, int type, int hwm, bool v6) {
  PublisherSocket socket(zmq_socket(context, type));
  if (!socket) return zmq_error("ZeroMQ");
  const int no_linger = 0, on = 1;
  zmq_setsockopt(socket.get(), ZMQ_LINGER, &no_linger, sizeof no_linger);
  zmq_setsockopt(socket.get(), ZMQ_SNDHWM, &hwm, sizeof hwm);
  if (v6) zmq_setsockopt(socket.get(), ZMQ_IPV6, &on, sizeof on);
  if (type == ZMQ_ROUTER) {
    zmq_setsockopt(socket.get(), ZMQ_ROUTER_MANDATORY, &on, sizeof on);
    const int requests_max = 1000;
    zmq_setsockopt(socket.get(), ZMQ_RCVHWM, &requests_max, sizeof requests_max);
    const int64_t request_bytes_max = 1024;
    zmq_setsockopt(socket.get(), ZMQ_MAXMSGSIZE, &request_bytes_max, sizeof request_bytes_max);
  }
  return socket;
}

// Peers may have either kind of address.
bool is_v6(const std::string& endpoint) {
  return endpoint.empty() || endpoint.find("::") != std::string::npos ||
         endpoint.find('[') != std::string::npos;
}

Result<std::string> bind_to(const PublisherSocket& socket, const std::string& endpoint) {
  if (zmq_bind(socket.get(), endpoint.c_str()) != 0) return zmq_error("cannot bind " + endpoint);
  std::array<char, 256> bound{};
  size_t size = bound.size();
  if (zmq_getsockopt(socket.get(), ZMQ_LAST_ENDPOINT, bound.data(), &size) != 0) return endpoint;
  return std::string(bound.data());
}

// Messages of one replay that wait for a client.
constexpr int kReplayHwm = 1000;

}  // namespace

class KvEventPublisher::State {
 public:
  explicit State(KvEventPublisherOptions options)
      : options_(std::move(options)), topic_(options_.topic) {}
  ~State();

  Result<void> open();
  void begin() {
    thread_ = std::thread([this] { run(); });
  }

  void publish(std::string batch);
  void set_peers(std::vector<std::string> peers);
  KvEventCounts counts() const;
  const std::string& bound() const { return bound_; }
  const std::string& bound_replay() const { return bound_replay_; }

 private:
  // One client that gets what is kept, as fast as it takes it.
  struct Replay {
    std::string client;
    uint64_t next = 0;
    TimePoint progress{};
  };
  enum class ReplayTurn : uint8_t { kGoesOn, kWaits, kOver };

  void wake();
  // The thread:
  void run();
  bool take_work();
  void send(const NumberedBatch& batch);
  void keep(const NumberedBatch& batch);
  void connect_to(const std::vector<std::string>& peers);
  void read_requests();
  void serve_replays();
  ReplayTurn send_next(Replay& replay);
  bool reply(const std::string& client, std::string_view sequence, const SharedBatch* batch);

  const KvEventPublisherOptions options_;
  const std::string topic_;
  const SteadyClock clock_;
  const std::shared_ptr<std::atomic<size_t>> bytes_ = std::make_shared<std::atomic<size_t>>(0);
  // Closed in the opposite order: sockets before their context.
  PublisherContext context_;
  PublisherSocket publisher_;
  PublisherSocket router_;
  Descriptor wake_;
  std::string bound_;
  std::string bound_replay_;

  uint64_t next_sequence_ = 0;  // of whoever publishes
  Guarded<PublisherInbox> inbox_;
  std::atomic<uint64_t> published_{0}, dropped_{0}, replayed_{0}, ignored_{0};
  std::thread thread_;

  // Only the thread:
  std::deque<NumberedBatch> kept_;
  size_t kept_bytes_ = 0;
  std::vector<Replay> replays_;
  std::set<std::string> peers_;
};

Result<void> KvEventPublisher::State::open() {
  context_.reset(zmq_ctx_new());
  wake_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!context_ || wake_.get() < 0) return Error{"no more descriptors"};
  const std::string& endpoint = options_.endpoint;
  Result<PublisherSocket> publisher =
      make_socket(context_.get(), ZMQ_PUB, options_.hwm, is_v6(endpoint));
  if (!publisher) return publisher.error();
  publisher_ = std::move(*publisher);
  if (is_bound_endpoint(endpoint)) {
    const Result<std::string> bound = bind_to(publisher_, endpoint);
    if (!bound) return bound.error();
    bound_ = *bound;
  } else if (!endpoint.empty() && zmq_connect(publisher_.get(), endpoint.c_str()) != 0) {
    return zmq_error("cannot connect to " + endpoint);
  }
  if (options_.replay_endpoint.empty()) return {};
  Result<PublisherSocket> router =
      make_socket(context_.get(), ZMQ_ROUTER, kReplayHwm, is_v6(options_.replay_endpoint));
  if (!router) return router.error();
  router_ = std::move(*router);
  const Result<std::string> bound = bind_to(router_, options_.replay_endpoint);
  if (!bound) return bound.error();
  bound_replay_ = *bound;
  return {};
}

KvEventPublisher::State::~State() {
  if (!thread_.joinable()) return;
  inbox_.with([](PublisherInbox& inbox) { inbox.stop = true; });
  wake();
  thread_.join();
}

void KvEventPublisher::State::wake() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
}

void KvEventPublisher::State::publish(std::string batch) {
  const uint64_t sequence = next_sequence_++;
  bool taken = bytes_->load(std::memory_order_relaxed) + batch.size() <= options_.bytes_max;
  bool first = false;
  if (taken) {
    NumberedBatch numbered{sequence, std::make_shared<const KeptBatch>(std::move(batch), bytes_)};
    inbox_.with([&](PublisherInbox& inbox) {
      taken = inbox.batches.size() < options_.max_queue_size;
      first = taken && inbox.batches.empty();
      if (taken) inbox.batches.push_back(std::move(numbered));
    });
  }
  if (!taken) dropped_.fetch_add(1, std::memory_order_relaxed);
  if (first) wake();
}

void KvEventPublisher::State::set_peers(std::vector<std::string> peers) {
  inbox_.with([&](PublisherInbox& inbox) { inbox.peers = std::move(peers); });
  wake();
}

KvEventCounts KvEventPublisher::State::counts() const {
  return {published_.load(), dropped_.load(), replayed_.load(), ignored_.load()};
}

// --- The thread
// ---------------------------------------------------------------------------------------

void KvEventPublisher::State::run() {
  while (take_work()) {
    if (router_) {
      read_requests();
      serve_replays();
    }
    std::array<zmq_pollitem_t, 2> items{};
    items[0] = {nullptr, wake_.get(), ZMQ_POLLIN, 0};
    items[1] = {router_.get(), 0, ZMQ_POLLIN, 0};
    const auto retry_ms = static_cast<int>(to_milliseconds(options_.replay_retry)) + 1;
    zmq_poll(items.data(), router_ ? 2 : 1, replays_.empty() ? -1 : retry_ms);
  }
}

// False: it is time to go.
bool KvEventPublisher::State::take_work() {
  uint64_t count = 0;
  [[maybe_unused]] const ssize_t got = read(wake_.get(), &count, sizeof count);
  PublisherInbox work;
  inbox_.with([&](PublisherInbox& inbox) {
    work.batches.swap(inbox.batches);
    work.peers.swap(inbox.peers);
    work.stop = inbox.stop;
  });
  if (work.peers) connect_to(*work.peers);
  for (const NumberedBatch& batch : work.batches) send(batch);
  return !work.stop;
}

void KvEventPublisher::State::send(const NumberedBatch& numbered) {
  if (router_) keep(numbered);
  void* socket = publisher_.get();
  const bool sent = send_frame(socket, topic_, true) &&
                    send_frame(socket, big_endian(numbered.sequence), true) &&
                    send_batch(socket, numbered.batch);
  (sent ? published_ : dropped_).fetch_add(1, std::memory_order_relaxed);
}

void KvEventPublisher::State::keep(const NumberedBatch& numbered) {
  kept_.push_back(numbered);
  kept_bytes_ += numbered.batch->bytes().size();
  while (kept_.size() > options_.buffer_steps || kept_bytes_ > options_.replay_bytes_max) {
    kept_bytes_ -= kept_.front().batch->bytes().size();
    kept_.pop_front();
  }
}

void KvEventPublisher::State::connect_to(const std::vector<std::string>& peers) {
  const std::set<std::string> wanted(peers.begin(), peers.end());
  for (const std::string& peer : wanted) {
    if (peers_.count(peer) == 0) zmq_connect(publisher_.get(), peer.c_str());
  }
  for (const std::string& peer : peers_) {
    if (wanted.count(peer) == 0) zmq_disconnect(publisher_.get(), peer.c_str());
  }
  peers_ = wanted;
}

// A request has three frames: client, nothing, the first sequence number that is wanted.
void KvEventPublisher::State::read_requests() {
  for (;;) {
    std::vector<std::string> frames;
    int more = 1;
    while (more != 0) {
      zmq_msg_t frame;
      zmq_msg_init(&frame);
      const int size = zmq_msg_recv(&frame, router_.get(), ZMQ_DONTWAIT);
      if (size < 0) return;
      if (frames.size() < 4) {
        frames.emplace_back(static_cast<const char*>(zmq_msg_data(&frame)), zmq_msg_size(&frame));
      }
      more = zmq_msg_more(&frame);
      zmq_msg_close(&frame);
    }
    const bool sound = frames.size() == 3 && frames[1].empty() && frames[2].size() <= 8;
    if (!sound || replays_.size() >= options_.replays_max) {
      ignored_.fetch_add(1, std::memory_order_relaxed);
      continue;
    }
    uint64_t first = 0;
    for (const char byte : frames[2]) first = first << 8 | static_cast<unsigned char>(byte);
    replays_.push_back({frames[0], first, clock_.now()});
  }
}

void KvEventPublisher::State::serve_replays() {
  const TimePoint now = clock_.now();
  for (size_t i = 0; i < replays_.size();) {
    Replay& replay = replays_[i];
    ReplayTurn turn = ReplayTurn::kGoesOn;
    while (turn == ReplayTurn::kGoesOn) {
      turn = send_next(replay);
      if (turn == ReplayTurn::kGoesOn) replay.progress = now;
    }
    const bool given_up = now - replay.progress > options_.replay_patience;
    if (turn == ReplayTurn::kWaits && !given_up) {
      ++i;
      continue;
    }
    replays_.erase(replays_.begin() + static_cast<ptrdiff_t>(i));
  }
}

KvEventPublisher::State::ReplayTurn KvEventPublisher::State::send_next(Replay& replay) {
  const auto batch = std::lower_bound(
      kept_.begin(), kept_.end(), replay.next,
      [](const NumberedBatch& kept, uint64_t sequence) { return kept.sequence < sequence; });
  const bool last = batch == kept_.end();
  const std::string sequence = last ? std::string(8, '\xff') : big_endian(batch->sequence);
  if (!reply(replay.client, sequence, last ? nullptr : &batch->batch)) {
    return zmq_errno() == EAGAIN ? ReplayTurn::kWaits : ReplayTurn::kOver;
  }
  if (last) return ReplayTurn::kOver;
  replayed_.fetch_add(1, std::memory_order_relaxed);
  replay.next = batch->sequence + 1;
  return ReplayTurn::kGoesOn;
}

// Client, nothing, topic, sequence number, batch; the last one of a replay has no topic and no
// batch.
bool KvEventPublisher::State::reply(const std::string& client, std::string_view sequence,
                                    const SharedBatch* batch) {
  void* socket = router_.get();
  const std::string_view topic = batch == nullptr ? std::string_view() : topic_;
  if (!send_frame(socket, client, true) || !send_frame(socket, {}, true) ||
      !send_frame(socket, topic, true) || !send_frame(socket, sequence, true)) {
    return false;
  }
  return batch == nullptr ? send_frame(socket, {}, false) : send_batch(socket, *batch);
}

Result<std::unique_ptr<KvEventPublisher>> KvEventPublisher::start(KvEventPublisherOptions options) {
  auto state = std::make_unique<State>(std::move(options));
  if (Result<void> opened = state->open(); !opened) return opened.error();
  state->begin();
  return std::unique_ptr<KvEventPublisher>(new KvEventPublisher(std::move(state)));
}

KvEventPublisher::KvEventPublisher(std::unique_ptr<State> state) : state_(std::move(state)) {}
KvEventPublisher::~KvEventPublisher() = default;

void KvEventPublisher::publish(std::string batch) {
  state_->publish(std::move(batch));
}
void KvEventPublisher::set_peers(std::vector<std::string> endpoints) {
  state_->set_peers(std::move(endpoints));
}
KvEventCounts KvEventPublisher::counts() const {
  return state_->counts();
}
const std::string& KvEventPublisher::bound_endpoint() const {
  return state_->bound();
}
const std::string& KvEventPublisher::bound_replay_endpoint() const {
  return state_->bound_replay();
}

bool is_bound_endpoint(const std::string& endpoint) {
  return endpoint.find('*') != std::string::npos || endpoint.find("::") != std::string::npos ||
         endpoint.rfind("ipc://", 0) == 0 || endpoint.rfind("inproc://", 0) == 0;
}

}  // namespace kvasir
