#include "worker/kv_event_publisher.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <deque>
#include <optional>
#include <set>
#include <thread>

#include "base/big_endian.h"
#include "base/guarded.h"
#include "base/signals_blocked.h"
#include "net/io/socket.h"
#include "worker/kv_event_messages.h"
#include "worker/kv_event_replays.h"

namespace kvasir {

// What the thread has to do.
struct PublisherInbox {
  std::deque<NumberedBatch> batches;
  std::optional<std::vector<std::string>> peers;
  bool stop = false;
};

class KvEventPublisher::State {
 public:
  explicit State(KvEventPublisherOptions options) : options_(std::move(options)) {}
  ~State();

  Result<void> open();
  void begin() {
    const SignalsBlocked blocked;
    thread_ = std::thread([this] { run(); });
  }

  void publish(std::string batch);
  void set_peers(std::vector<std::string> peers);
  KvEventCounts counts() const;
  const std::string& bound() const { return bound_; }
  const std::string& bound_replay() const {
    return replays_ ? replays_->bound_endpoint() : nowhere_;
  }

 private:
  void wake();
  // The thread:
  void run();
  bool take_work();
  bool serve_replays();
  Result<void> watch_connections();
  void count_connections();
  void take_in_subscriptions();
  void send(const NumberedBatch& batch);
  void connect_to(const std::vector<std::string>& peers);

  const KvEventPublisherOptions options_;
  const std::shared_ptr<std::atomic<size_t>> bytes_ = std::make_shared<std::atomic<size_t>>(0);
  // Closed in the opposite order: sockets before their context.
  PublisherContext context_;
  PublisherSocket publisher_;
  PublisherSocket monitor_;  // of its connections; none when it is bound
  std::optional<KvEventReplays> replays_;
  Descriptor wake_;
  std::string bound_;
  const std::string nowhere_;

  Guarded<PublisherInbox> inbox_;
  std::atomic<uint64_t> offered_{0};  // the next sequence number
  std::atomic<uint64_t> published_{0}, dropped_{0}, connections_{0};
  std::thread thread_;

  // Only the thread:
  std::set<std::string> peers_;
};

Result<void> KvEventPublisher::State::open() {
  context_.reset(zmq_ctx_new());
  wake_ = Descriptor(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!context_ || wake_.get() < 0) return Error{"no more descriptors"};
  const std::string& endpoint = options_.endpoint;
  Result<PublisherSocket> publisher =
      make_publisher_socket(context_.get(), ZMQ_PUB, options_.hwm, endpoint);
  if (!publisher) return publisher.error();
  publisher_ = std::move(*publisher);
  if (is_bound_endpoint(endpoint)) {
    const Result<std::string> bound = bind_publisher_socket(publisher_, endpoint);
    if (!bound) return bound.error();
    bound_ = *bound;
  } else if (Result<void> watched = watch_connections(); !watched) {
    return watched;
  } else if (!endpoint.empty() && zmq_connect(publisher_.get(), endpoint.c_str()) != 0) {
    return zmq_error("cannot connect to " + endpoint);
  }
  if (options_.replay_endpoint.empty()) return {};
  return replays_.emplace(options_).open(context_.get());
}

Result<void> KvEventPublisher::State::watch_connections() {
  constexpr const char* kMonitor = "inproc://connections-of-publisher";
  monitor_.reset(zmq_socket(context_.get(), ZMQ_PAIR));
  if (!monitor_ ||
      zmq_socket_monitor(publisher_.get(), kMonitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED) != 0 ||
      zmq_connect(monitor_.get(), kMonitor) != 0) {
    return zmq_error("its connections cannot be watched");
  }
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
  const uint64_t sequence = offered_.fetch_add(1, std::memory_order_relaxed);
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
  return {offered_.load(),
          published_.load(),
          dropped_.load(),
          replays_ ? replays_->replayed() : 0,
          replays_ ? replays_->ignored() : 0,
          connections_.load()};
}

// --- The thread ---

void KvEventPublisher::State::run() {
  const int retry_ms = static_cast<int>(to_milliseconds(options_.replay_retry)) + 1;
  while (take_work()) {
    const bool more = replays_ && serve_replays();
    if (monitor_) count_connections();
    std::array<zmq_pollitem_t, 3> items{};
    int count = 0;
    items[count++] = {nullptr, wake_.get(), ZMQ_POLLIN, 0};
    if (monitor_) items[count++] = {monitor_.get(), 0, ZMQ_POLLIN, 0};
    if (replays_) items[count++] = {replays_->socket(), 0, ZMQ_POLLIN, 0};
    const int slow_clients_ms = replays_ && replays_->any_under_way() ? retry_ms : -1;
    zmq_poll(items.data(), count, more ? 0 : slow_clients_ms);
  }
}

// Each event is two frames, and there is one kind only.
void KvEventPublisher::State::count_connections() {
  std::array<char, 256> frame{};
  while (zmq_recv(monitor_.get(), frame.data(), frame.size(), ZMQ_DONTWAIT) >= 0) {
    int more = 0;
    size_t size = sizeof more;
    zmq_getsockopt(monitor_.get(), ZMQ_RCVMORE, &more, &size);
    if (more == 0) connections_.fetch_add(1, std::memory_order_relaxed);
  }
}

// Whether more can be done at once. A client subscribes, and then asks for what it missed: from the
// end of the answer on it must hear everything live.
bool KvEventPublisher::State::serve_replays() {
  const bool more_requests = replays_->read_requests();
  if (!replays_->any_under_way()) return more_requests;
  take_in_subscriptions();
  return replays_->go_on() || more_requests;
}

// ZeroMQ looks for subscriptions when it sends, but not within a millisecond or so (3,000,000
// processor cycles) of having looked: what is sent meanwhile goes to earlier subscribers alone.
void KvEventPublisher::State::take_in_subscriptions() {
  int events = 0;
  size_t size = sizeof events;
  zmq_getsockopt(publisher_.get(), ZMQ_EVENTS, &events, &size);
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
  if (replays_) replays_->keep(numbered);
  void* socket = publisher_.get();
  const bool sent = send_frame(socket, options_.topic, true) &&
                    send_frame(socket, big_endian_bytes(numbered.sequence), true) &&
                    send_batch(socket, numbered.batch);
  (sent ? published_ : dropped_).fetch_add(1, std::memory_order_relaxed);
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
