#include "worker/kv_event_writer.h"

#include <chrono>
#include <utility>

#include "net/io/socket_address.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

constexpr std::string_view kTcp = "tcp://";

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Whom an endpoint names whose addresses are to be looked up; an empty host: nobody.
Result<HostPort> peer_of(const std::string& endpoint) {
  if (is_bound_endpoint(endpoint) || endpoint.rfind(kTcp, 0) != 0) return HostPort{};
  return parse_http_origin("http://" + endpoint.substr(kTcp.size()));
}

}  // namespace

Result<std::unique_ptr<KvEventWriter>> KvEventWriter::start(Executor& executor, Resolver& resolver,
                                                            KvEventWriterOptions options) {
  const std::string endpoint = options.publisher.endpoint;
  const Result<HostPort> peer = peer_of(endpoint);
  if (!peer) return Error{endpoint + ": " + peer.error().message};
  KvEventPublisherOptions of_publisher = options.publisher;
  if (!peer->host.empty()) of_publisher.endpoint.clear();
  Result<std::unique_ptr<KvEventPublisher>> publisher =
      KvEventPublisher::start(std::move(of_publisher));
  if (!publisher) return publisher.error();
  return std::unique_ptr<KvEventWriter>(
      new KvEventWriter(executor, resolver, std::move(options), std::move(*publisher), *peer));
}

KvEventWriter::KvEventWriter(Executor& executor, Resolver& resolver, KvEventWriterOptions options,
                             std::unique_ptr<KvEventPublisher> publisher, HostPort peer)
    : executor_(executor),
      resolver_(resolver),
      options_(std::move(options)),
      publisher_(std::move(publisher)),
      peer_(std::move(peer)) {
  if (options_.names) names_.emplace(*options_.names, options_.adapter_paths);
  if (!peer_.host.empty()) look_up();
  if (!publisher_->bound_endpoint().empty()) return;
  connection_timer_ =
      executor_.after(options_.unconnected_after, [this] { look_for_connection(); });
}

KvEventWriter::~KvEventWriter() {
  executor_.cancel(interval_timer_);
  executor_.cancel(look_up_timer_);
  executor_.cancel(connection_timer_);
}

// --- Events ---

void KvEventWriter::gather(size_t tokens) {
  if (!gathered_) encoder_.begin(unix_time());
  gathered_ = step_open_ = true;
  gathered_tokens_ += tokens;
}

void KvEventWriter::on_stored(const KvBlocksStored& event) {
  gather(event.token_ids.size());
  encoder_.stored(names_ ? names_->stored(event) : event);
}

void KvEventWriter::on_removed(const KvBlocksRemoved& event) {
  gather(event.block_hashes.size());
  encoder_.removed(names_ ? names_->removed(event) : event);
}

void KvEventWriter::on_all_cleared() {
  gather(0);
  if (names_) names_->cleared();
  encoder_.all_cleared();
}

void KvEventWriter::step_finished() {
  step_open_ = false;
  if (!gathered_) return;
  const bool at_once = options_.interval <= Duration::zero() || due_ ||
                       gathered_tokens_ >= options_.batch_tokens_max;
  if (at_once) return flush();
  if (interval_timer_ != kNoTimer) return;
  interval_timer_ = executor_.after(options_.interval, [this] { on_interval(); });
}

// What a step that still runs has told waits for its end.
void KvEventWriter::on_interval() {
  interval_timer_ = kNoTimer;
  due_ = step_open_;
  if (gathered_ && !step_open_) flush();
}

void KvEventWriter::flush() {
  executor_.cancel(std::exchange(interval_timer_, kNoTimer));
  publisher_->publish(encoder_.finish(options_.data_parallel_rank));
  gathered_ = due_ = false;
  gathered_tokens_ = 0;
  tell_drops();
}

void KvEventWriter::tell_drops() {
  const uint64_t dropped = publisher_->counts().dropped;
  if (dropped == drops_told_) return;
  log_repeated(LogLevel::kWarning, "KV_EVENT batches dropped",
               "KV_EVENT " + std::to_string(dropped - drops_told_) +
                   " batches dropped: more wait than --kv-events-config allows");
  drops_told_ = dropped;
}

// --- Whom they go to ---

void KvEventWriter::look_up() {
  look_up_ =
      resolver_.look_up(executor_, peer_.host, [this](const Result<Resolver::Addresses>& found) {
        on_addresses(found);
        look_up_timer_ = executor_.after(options_.look_up_interval, [this] { look_up(); });
      });
}

// When nobody can tell the addresses, those that were known stay.
void KvEventWriter::on_addresses(const Result<Resolver::Addresses>& addresses) {
  std::vector<std::string> peers;
  std::string told;
  if (addresses) {
    for (const SocketAddress& address : *addresses) {
      peers.push_back(std::string(kTcp) + to_string(HostPort{address_text(address), peer_.port}));
      told.append(told.empty() ? "" : ", ").append(peers.back());
    }
  }
  if (told.empty()) told = "nobody: " + peer_.host + " has no address";
  if (!addresses) told = "no further addresses: " + addresses.error().message;
  if (addresses) publisher_->set_peers(std::move(peers));
  if (told == peers_told_) return;
  peers_told_ = told;
  log_info("KV_EVENT publishing to " + told);
}

void KvEventWriter::look_for_connection() {
  connection_timer_ = kNoTimer;
  const std::string& endpoint = options_.publisher.endpoint;
  if (publisher_->counts().connections > 0) {
    if (unconnected_told_) log_info("KV_EVENT connected to " + endpoint);
    return;
  }
  if (!unconnected_told_) {
    log_warning("KV_EVENT nobody listens at " + endpoint +
                ": what is published is lost until somebody does; it is tried again. Does the "
                "manager run, with --bind at that port?");
  }
  unconnected_told_ = true;
  connection_timer_ =
      executor_.after(options_.unconnected_after, [this] { look_for_connection(); });
}

std::string KvEventWriter::description() const {
  const KvEventPublisherOptions& of_publisher = options_.publisher;
  std::string text = publisher_->bound_endpoint().empty() ? "to " + of_publisher.endpoint
                                                          : "on " + publisher_->bound_endpoint();
  text.append(", topic '").append(of_publisher.topic).append("', ");
  return publisher_->bound_replay_endpoint().empty()
             ? text + "no replay"
             : text + "replay on " + publisher_->bound_replay_endpoint();
}

}  // namespace kvasir
