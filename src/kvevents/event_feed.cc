#include "kvevents/event_feed.h"

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <utility>

#include "base/guarded.h"
#include "base/signals_blocked.h"
#include "kvevents/bound_events.h"
#include "kvevents/event_address.h"
#include "kvevents/feed_source.h"
#include "net/io/event_loop.h"
#include "net/zmq/zmq_socket.h"

namespace kvasir {
namespace {

// A subscription, a replay or the bound one: the socket, its monitor, and the monitor's other end.
constexpr size_t kSocketsEach = 3;
constexpr size_t kStrangerShown = 256;  // bytes of it in a message
constexpr size_t kStrangersMost = 64;   // topics that are told of

ZmqSocketOptions socket_options(const KvEventFeedOptions& options) {
  ZmqSocketOptions of;
  of.high_water_mark = options.receive_high_water_mark;
  of.message_bytes_max = options.message_bytes_max;
  of.messages_per_turn = std::max<size_t>(options.messages_per_turn, 1);
  of.reconnect_first = options.reconnect_first;
  of.reconnect_max = options.reconnect_max;
  of.connect_timeout = options.connect_timeout;
  return of;
}

Result<void> check_addresses(const KvEventFeedOptions& options) {
  if (options.bind.empty()) {
    const Result<void> events = check_event_pattern(options.addresses.events);
    if (!events) return events;
  } else if (const Result<void> bind = check_bind_address(options.bind); !bind) {
    return bind;
  }
  if (options.addresses.replay.empty()) return {};
  const Result<void> replay = check_event_pattern(options.addresses.replay);
  if (!replay || !options.bind.empty()) return replay;
  return check_rank_ports(options.addresses.events, options.addresses.replay,
                          options.addresses.ranks);
}

}  // namespace

class KvEventFeed::State {
 public:
  State(KvEventFeedOptions options, std::unique_ptr<ZmqContext> context,
        std::unique_ptr<EventLoop> loop, KvSourceTracker& tracker, KvEventProbe& probe)
      : options_(std::move(options)),
        context_(std::move(context)),
        loop_(std::move(loop)),
        tools_{*loop_,
               *context_,
               options_,
               socket_options(options_),
               tracker,
               probe,
               ReplayTurns(std::max(options_.replays_max, 1u), *loop_),
               WaitingBudget{options_.waiting_bytes_max, 0}} {}

  ~State() {
    if (!thread_.joinable()) return;
    loop_->post([this] { close(); });
    loop_->stop();
    thread_.join();
  }

  Result<void> bind();
  void start();
  void post(std::function<void()> work);
  void join(EndpointId id, const Endpoint& endpoint, const KvEventAddresses& addresses);
  void leave(EndpointId id);
  void reset(EndpointId id);
  void look_at_held(const LookAtHeld& look) {
    if (bound_ == nullptr) {
      look(nullptr);
    } else {
      bound_->look_at_held(look);
    }
  }
  KvEventFeedStatistics statistics() const;
  const KvEventAddresses& addresses() const { return options_.addresses; }

 private:
  struct Member {
    Endpoint endpoint;
    KvEventAddresses addresses;
    std::vector<std::unique_ptr<FeedSource>> sources;
    bool waits = false;  // for an address that another one has
  };
  // Who has an address, and whether it was told that others want it.
  struct AddressOwner {
    EndpointId endpoint{};
    bool told = false;
  };
  static bool is_same(const Member& member, const Endpoint& endpoint,
                      const KvEventAddresses& addresses) {
    const Endpoint& its = member.endpoint;
    return its.name == endpoint.name && its.host == endpoint.host && its.port == endpoint.port &&
           member.addresses == addresses;
  }
  using SharedCounters = std::shared_ptr<const FeedSourceCounters>;

  // Who says the rank of another, under another topic of the same pod, is counted as one more.
  static uint32_t free_rank(const Member& member, uint32_t wished) {
    const auto is_taken = [&](uint32_t rank) {
      return std::any_of(member.sources.begin(), member.sources.end(),
                         [&](const auto& source) { return source->counters()->name.rank == rank; });
    };
    if (!is_taken(wished)) return wished;
    uint32_t rank = 0;
    while (is_taken(rank)) ++rank;
    return rank;
  }

  void subscribe(EndpointId id, Member& member);
  FeedSource* add(Member& member, const FeedSourceName& name, bool bound);
  bool claim_address(const FeedSourceName& name);
  void release_addresses(EndpointId id);
  void run_commands();
  FeedSource* find_publisher(std::string_view topic, uint32_t rank);
  Member* find_member(std::string_view topic, EndpointId& id);
  void tell_stranger(std::string_view topic);
  void refuse(const FeedSourceName& name, std::string_view why);
  void tidy();
  void close();

  const KvEventFeedOptions options_;
  const std::unique_ptr<ZmqContext> context_;  // outlives the sockets that the loop destroys
  const std::unique_ptr<EventLoop> loop_;
  FeedTools tools_;
  BoundEventsCounters bound_counters_;
  std::unique_ptr<BoundEvents> bound_;
  Guarded<std::deque<std::function<void()>>> commands_;  // of other threads, in their order
  std::map<EndpointId, Member> members_;
  std::map<std::string, AddressOwner> owners_;  // of addresses of events
  std::set<std::string, std::less<>> strangers_;  // topics that were told of
  size_t sources_ = 0;
  EventStreamCounters::Count refused_{0};
  Guarded<std::map<const FeedSource*, SharedCounters>> counters_;
  std::thread thread_;
};

Result<void> KvEventFeed::State::bind() {
  if (options_.bind.empty()) return {};
  auto bound = BoundEvents::open(
      tools_, options_.bind, bound_counters_,
      [this](std::string_view topic, uint32_t rank) { return find_publisher(topic, rank); });
  if (!bound) return bound.error();
  bound_ = std::move(*bound);
  return {};
}

void KvEventFeed::State::start() {
  loop_->post([this] { tidy(); });
  const SignalsBlocked blocked;
  thread_ = std::thread([this] { loop_->run(); });
}

void KvEventFeed::State::post(std::function<void()> work) {
  commands_.with([&](auto& commands) { commands.push_back(std::move(work)); });
  loop_->post([this] { run_commands(); });
}

void KvEventFeed::State::run_commands() {
  std::deque<std::function<void()>> commands;
  commands_.with([&](auto& waiting) { commands.swap(waiting); });
  for (const auto& command : commands) command();
}

void KvEventFeed::State::tidy() {
  const Duration pause = tools_.tracker.tidy(loop_->now()) ? Duration{} : options_.tidy_interval;
  loop_->after(pause, [this] { tidy(); });
}

void KvEventFeed::State::close() {
  for (auto& [id, member] : members_) member.sources.clear();
  members_.clear();
  bound_.reset();
  counters_.with([](auto& all) { all.clear(); });
}

void KvEventFeed::State::join(EndpointId id, const Endpoint& endpoint,
                              const KvEventAddresses& addresses) {
  const auto found = members_.find(id);
  if (found != members_.end() && is_same(found->second, endpoint, addresses)) return;
  leave(id);
  Member& member = members_[id];
  member.endpoint = endpoint;
  member.addresses = addresses;
  if (options_.bind.empty()) subscribe(id, member);
}

// From the first rank on that is not subscribed to yet.
void KvEventFeed::State::subscribe(EndpointId id, Member& member) {
  const auto subscribed = static_cast<uint32_t>(member.sources.size());
  for (uint32_t rank = subscribed; rank < member.addresses.ranks; ++rank) {
    FeedSourceName name{id, member.endpoint, rank, {}, {}, member.addresses.topic};
    const Result<std::string> events =
        event_address(member.addresses.events, member.endpoint, rank);
    if (!events) return refuse(name, events.error().message);
    name.events = *events;
    if (!member.addresses.replay.empty()) {
      const Result<std::string> replay =
          event_address(member.addresses.replay, member.endpoint, rank);
      if (!replay) return refuse(name, replay.error().message);
      name.replay = *replay;
    }
    member.waits = !claim_address(name);
    if (member.waits || add(member, name, false) == nullptr) return;
  }
}

// Events do not say whose they are: who publishes at an address is one endpoint, and the first that
// joined it is. False: it is another one's.
bool KvEventFeed::State::claim_address(const FeedSourceName& name) {
  AddressOwner& owner = owners_.try_emplace(name.events, AddressOwner{name.id}).first->second;
  if (owner.endpoint == name.id) return true;
  EventStreamCounters::add(refused_);
  if (!std::exchange(owner.told, true)) {
    tools_.probe.on_refused(name.endpoint, name.rank,
                            name.events + " is already the address of the events of " +
                                members_[owner.endpoint].endpoint.name +
                                ", and they do not say whose they are: each needs its own, as by "
                                "HOST and PORT in the address");
  }
  return false;
}

// Who waits for one of them has it now.
void KvEventFeed::State::release_addresses(EndpointId id) {
  if (std::erase_if(owners_, [&](const auto& of) { return of.second.endpoint == id; }) == 0) return;
  for (auto& [its_id, member] : members_) {
    if (member.waits) subscribe(its_id, member);
  }
}

FeedSource* KvEventFeed::State::add(Member& member, const FeedSourceName& name, bool bound) {
  if (sources_ >= options_.sources_max) {
    refuse(name, "there are as many sources as there may be (" +
                     std::to_string(options_.sources_max) + ")");
    return nullptr;
  }
  auto added = bound ? FeedSource::bound(tools_, name) : FeedSource::subscribe(tools_, name);
  if (!added) {
    refuse(name, added.error().message);
    return nullptr;
  }
  FeedSource* const source = added->get();
  member.sources.push_back(std::move(*added));
  ++sources_;
  counters_.with([&](auto& all) { all[source] = source->counters(); });
  return source;
}

void KvEventFeed::State::refuse(const FeedSourceName& name, std::string_view why) {
  EventStreamCounters::add(refused_);
  tools_.probe.on_refused(name.endpoint, name.rank, why);
}

void KvEventFeed::State::leave(EndpointId id) {
  const auto found = members_.find(id);
  if (found == members_.end()) return;
  for (const auto& source : found->second.sources) {
    if (bound_ != nullptr) bound_->forget(*source);
    counters_.with([&](auto& all) { all.erase(source.get()); });
    --sources_;
  }
  members_.erase(found);
  release_addresses(id);
}

void KvEventFeed::State::reset(EndpointId id) {
  const auto found = members_.find(id);
  if (found == members_.end()) return;
  for (const auto& source : found->second.sources) source->on_reset();
}

// Of the endpoints that joined, the one whose name, or address, stands in the topic.
KvEventFeed::State::Member* KvEventFeed::State::find_member(std::string_view topic,
                                                            EndpointId& id) {
  const EventTopic read = read_event_topic(topic);
  for (auto& [its_id, member] : members_) {
    const Endpoint& endpoint = member.endpoint;
    const bool there = endpoint.host == read.pod && (!read.port || *read.port == endpoint.port);
    const bool named =
        endpoint.name == read.pod ||
        (read.port && endpoint.name == std::string(read.pod) + ":" + std::to_string(*read.port));
    if (!there && !named) continue;
    id = its_id;
    return &member;
  }
  return nullptr;
}

// Its messages are counted, and dropped.
void KvEventFeed::State::tell_stranger(std::string_view topic) {
  topic = topic.substr(0, kStrangerShown);
  if (strangers_.size() >= kStrangersMost || !strangers_.emplace(topic).second) return;
  std::string known;
  if (!members_.empty()) {
    const Endpoint& one = members_.begin()->second.endpoint;
    known = ", as '" + one.name + "' at " + one.host + ":" + std::to_string(one.port) + " has";
  }
  tools_.probe.on_unnamed_publisher(
      "the topic '" + std::string(topic) + "' of KV events names no endpoint that is known, and " +
      "they are dropped: kv@POD@MODEL needs the name or HOST:PORT of one as POD" + known);
}

FeedSource* KvEventFeed::State::find_publisher(std::string_view topic, uint32_t rank) {
  run_commands();  // sockets have their turn before what was posted: it may have joined by now
  EndpointId id{};
  Member* member = find_member(topic, id);
  if (member == nullptr && options_.publishers != nullptr) {
    std::optional<std::pair<EndpointId, Endpoint>> found = options_.publishers->find(topic);
    if (!found) return nullptr;
    id = found->first;
    if (members_.count(id) == 0) join(id, found->second, options_.addresses);
    member = &members_[id];
  }
  if (member == nullptr) {
    tell_stranger(topic);
    return nullptr;
  }
  rank = free_rank(*member, rank);
  FeedSourceName name{id, member->endpoint, rank, std::string(topic), {}, {}};
  if (!member->addresses.replay.empty()) {
    const Result<std::string> replay =
        event_address(member->addresses.replay, member->endpoint, rank);
    if (replay) name.replay = *replay;
  }
  return add(*member, name, true);
}

KvEventFeedStatistics KvEventFeed::State::statistics() const {
  KvEventFeedStatistics all;
  all.refused_sources = refused_;
  all.unknown_messages = bound_counters_.unknown;
  all.faulty_messages = bound_counters_.faulty;
  all.json_messages = bound_counters_.json;
  const TimePoint now = loop_->clock().now();
  counters_.with([&](const auto& counters) {
    for (const auto& [source, its] : counters) all.sources.push_back(its->statistics(now));
  });
  std::sort(all.sources.begin(), all.sources.end(), [](const auto& left, const auto& right) {
    return std::pair(left.endpoint, left.rank) < std::pair(right.endpoint, right.rank);
  });
  return all;
}

uint64_t KvEventFeedStatistics::active_subscribers() const {
  return static_cast<uint64_t>(
      std::count_if(sources.begin(), sources.end(), [](const auto& of) { return of.connected; }));
}

uint64_t KvEventFeedStatistics::stale_sources() const {
  return static_cast<uint64_t>(std::count_if(sources.begin(), sources.end(), [](const auto& of) {
    return of.freshness == KvFreshness::kStale;
  }));
}

KvEventFeed::KvEventFeed(std::unique_ptr<State> state) : state_(std::move(state)) {}
KvEventFeed::~KvEventFeed() = default;

Result<std::unique_ptr<KvEventFeed>> KvEventFeed::start(KvEventFeedOptions options,
                                                        KvSourceTracker& tracker,
                                                        KvEventProbe& probe) {
  const Result<void> addresses = check_addresses(options);
  if (!addresses) return addresses.error();
  Result<std::unique_ptr<ZmqContext>> context =
      ZmqContext::create((options.sources_max + options.replays_max + 1) * kSocketsEach);
  if (!context) return context.error();
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return loop.error();
  auto state = std::make_unique<State>(std::move(options), std::move(*context), std::move(*loop),
                                       tracker, probe);
  const Result<void> bound = state->bind();
  if (!bound) return bound.error();
  state->start();
  return std::unique_ptr<KvEventFeed>(new KvEventFeed(std::move(state)));
}

void KvEventFeed::joined(EndpointId id, const Endpoint& endpoint) {
  joined(id, endpoint, state_->addresses());
}

void KvEventFeed::joined(EndpointId id, const Endpoint& endpoint,
                         const KvEventAddresses& addresses) {
  state_->post(
      [state = state_.get(), id, endpoint, addresses] { state->join(id, endpoint, addresses); });
}

void KvEventFeed::left(EndpointId id) {
  state_->post([state = state_.get(), id] { state->leave(id); });
}

void KvEventFeed::was_reset(EndpointId id) {
  state_->post([state = state_.get(), id] { state->reset(id); });
}

void KvEventFeed::post(std::function<void()> work) {
  state_->post(std::move(work));
}

void KvEventFeed::look_at_held(LookAtHeld look) {
  state_->post([state = state_.get(), look = std::move(look)] { state->look_at_held(look); });
}

KvEventFeedStatistics KvEventFeed::statistics() const {
  return state_->statistics();
}

}  // namespace kvasir
