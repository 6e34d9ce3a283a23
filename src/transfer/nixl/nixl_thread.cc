#include "transfer/nixl/nixl_thread.h"

#include <openssl/evp.h>

#include <array>
#include <random>
#include <utility>

#include "base/signals_blocked.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

constexpr std::string_view kNixlVersion = "1";  // of what workers say to each other
constexpr size_t kSocketsMost = 8192;           // of ZeroMQ: two for each handshake under way

std::string hexadecimal_of(std::span<const uint8_t> bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint8_t byte : bytes) {
    text += kDigits[byte >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

// A UUID, version 4.
std::string new_engine_id() {
  std::random_device device;
  std::array<uint8_t, 16> bytes;
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(device());
  bytes[6] = static_cast<uint8_t>((bytes[6] & 0x0f) | 0x40);
  bytes[8] = static_cast<uint8_t>((bytes[8] & 0x3f) | 0x80);
  std::string id = hexadecimal_of(bytes);
  for (const size_t at : {20, 16, 12, 8}) id.insert(at, 1, '-');
  return id;
}

NixlAgent agent_of(const KvMemory& memory) {
  const KvLayout& layout = memory.layout();
  NixlAgent agent;
  agent.version = kNixlVersion;
  agent.blocks = memory.blocks();
  agent.block_bytes = layout.block_bytes();
  agent.block_size = layout.block_size;
  agent.layers = layout.layers;
  agent.shared_name = memory.shared_name();
  agent.machine = this_machine();
  return agent;
}

}  // namespace

std::string nixl_compatibility_hash(const std::string& model, const KvLayout& layout) {
  std::string text = "kvasir " + std::string(kNixlVersion) + '\n' + model;
  for (const uint32_t number :
       {layout.block_size, layout.layers, layout.bytes_per_token, layout.scale}) {
    text += '\n' + std::to_string(number);
  }
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest;
  unsigned size = 0;
  EVP_Digest(text.data(), text.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return hexadecimal_of(std::span(digest).first(size));
}

Result<std::unique_ptr<NixlThread>> NixlThread::start(const KvTransferConfig& config,
                                                      const std::string& model,
                                                      const NixlLimits& limits, KvMemory& memory,
                                                      NixlEvents events) {
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return loop.error();
  Result<std::unique_ptr<ZmqContext>> zmq = ZmqContext::create(kSocketsMost);
  if (!zmq) return zmq.error();
  std::unique_ptr<NixlThread> made(new NixlThread(config, model, limits, memory, std::move(events),
                                                  std::move(*loop), std::move(*zmq)));
  if (const Result<void> opened = made->open(config, model); !opened) return opened.error();
  const SignalsBlocked blocked;
  made->thread_ = std::thread([thread = made.get()] { thread->loop_->run(); });
  return made;
}

NixlThread::NixlThread(const KvTransferConfig& config, const std::string& model,
                       const NixlLimits& limits, KvMemory& memory, NixlEvents events,
                       std::unique_ptr<EventLoop> loop, std::unique_ptr<ZmqContext> zmq)
    : limits_(limits),
      events_(std::move(events)),
      engine_id_(config.engine_id.empty() ? new_engine_id() : config.engine_id),
      compatibility_hash_(nixl_compatibility_hash(model, memory.layout())),
      memory_(memory),
      link_(config.link, memory.layout().scale),
      loop_(std::move(loop)),
      zmq_(std::move(zmq)),
      offers_(*loop_, config.lease, limits.lease_total_max,
              [this](const NixlOffers::Over& over) { on_over(over); }),
      decoder_{*loop_,
               *zmq_,
               resolver_,
               limits,
               memory,
               link_,
               counts_,
               compatibility_hash_,
               this_machine(),
               config.lease,
               config.transport == KvTransferConfig::Transport::kShm,
               config.compress,
               config.pipelining,
               config.enforce_handshake_compat,
               events_.on_fetching,
               events_.on_fetched} {}

Result<void> NixlThread::open(const KvTransferConfig& config, const std::string& model) {
  Result<std::unique_ptr<NixlSideChannel>> side_channel = NixlSideChannel::bind(
      *zmq_, limits_, config.side_channel_host, config.side_channel_port, counts_);
  if (!side_channel) return side_channel.error();
  side_channel_ = std::move(*side_channel);
  Result<Descriptor> listener = listen_tcp(config.side_channel_host, 0, false);
  if (!listener) return listener.error();
  const uint16_t data_port = local_port(*listener);
  server_ = std::make_unique<NixlServer>(*loop_, std::move(*listener), limits_,
                                         NixlServer::Identity{engine_id_, compatibility_hash_},
                                         memory_, link_, offers_, counts_);
  NixlAgent agent = agent_of(memory_);
  agent.engine_id = engine_id_;
  agent.model = model;
  agent.data_port = data_port;
  agent.lease_ms =
      static_cast<uint64_t>(std::max<int64_t>(config.lease / std::chrono::milliseconds(1), 0));
  side_channel_->listen(*loop_, {compatibility_hash_, agent});
  drop_idle_later();
  return {};
}

NixlThread::~NixlThread() {
  if (!thread_.joinable()) return;
  loop_->stop();
  thread_.join();
}

void NixlThread::offer(Offering offering) {
  loop_->post([this, of = std::move(offering)] {
    counts_.offered_blocks.fetch_add(of.blocks.size(), std::memory_order_relaxed);
    offers_.add(of.id, of.request, of.blocks, of.chain);
    events_.on_offered(of.request, of.params);
  });
}

void NixlThread::on_over(const NixlOffers::Over& over) {
  server_->forget_offer(over.id);
  counts_.offered_blocks.fetch_sub(over.blocks, std::memory_order_relaxed);
  if (over.expired) {
    counts_.expired_requests.fetch_add(1, std::memory_order_relaxed);
    log_repeated(LogLevel::kWarning, "handoffs whose lease ended",
                 "nobody has fetched the " + std::to_string(over.blocks) + " KV blocks of " +
                     over.id + ": their lease has ended, and they are free");
  }
  events_.on_released(over.request);
}

void NixlThread::want(NixlPrefiller::Address at, std::string offer) {
  loop_->post([this, at = std::move(at), offer = std::move(offer)] {
    if (NixlPrefiller* const of = prefiller(at)) of->want(offer);
  });
}

void NixlThread::read(NixlPrefiller::Address at, NixlWanted wanted) {
  loop_->post([this, at = std::move(at), wanted = std::move(wanted)] {
    if (NixlPrefiller* const of = prefiller(at)) return of->read(wanted);
    events_.on_fetched(wanted.request, {0, "too many prefillers at once"});
  });
}

void NixlThread::done(NixlPrefiller::Address at, std::string offer) {
  loop_->post([this, at = std::move(at), offer = std::move(offer)] {
    if (NixlPrefiller* const of = prefiller(at)) of->done(offer, 0);
  });
}

void NixlThread::stop(NixlPrefiller::Address at, KvRequestId request) {
  loop_->post([this, at = std::move(at), request] {
    if (NixlPrefiller* const of = prefiller(at)) of->stop(request);
  });
}

NixlPrefiller* NixlThread::prefiller(const NixlPrefiller::Address& at) {
  const auto found = prefillers_.find(at);
  if (found != prefillers_.end()) return found->second.get();
  if (prefillers_.size() >= limits_.prefillers_max) drop_idle(Duration::zero());
  if (prefillers_.size() >= limits_.prefillers_max) return nullptr;
  return prefillers_.emplace(at, std::make_unique<NixlPrefiller>(decoder_, at)).first->second.get();
}

void NixlThread::drop_idle(Duration since) {
  const TimePoint now = loop_->now();
  std::erase_if(prefillers_, [&](const auto& each) {
    const std::optional<TimePoint> idle = each.second->idle_since();
    return idle && now - *idle >= since;
  });
}

void NixlThread::drop_idle_later() {
  idle_timer_ = loop_->after(limits_.idle_max / 2, [this] {
    drop_idle(limits_.idle_max);
    drop_idle_later();
  });
}

}  // namespace kvasir
