// Replicas that call each other over real sockets, on one loop.
#include "replicas/replicas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "config/policy_fixture.h"
#include "fleet/fleet.h"
#include "net/grpc/grpc_client.h"
#include "net/grpc/grpc_server.h"
#include "net/io/resolver_fixture.h"
#include "plugins/plugin_roster.h"
#include "replicas/replica_probe.h"
#include "replicas/replica_session.h"
#include "scheduling/policy.h"
#include "scheduling/scheduler.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kConfig = R"(
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: inflight-load-producer
- type: active-request-scorer
)";

std::unique_ptr<Policy> make_policy() {
  PluginOptions options;
  options.endpoints = 2;
  return std::move(policy_from_config(kConfig, "test", options).value().policy);
}

// A server with its Replicas, which are given the ports of all.
struct Node : ReplicaProbe {
  explicit Node(EventLoop& event_loop)
      : loop(event_loop), fleet({{"a", "h", 1, {}}, {"b", "h", 2, {}}}) {
    fleet.set_healthy(EndpointId(0), true);
    fleet.set_healthy(EndpointId(1), true);
    scheduler = std::make_unique<Scheduler>(fleet, make_policy(), clock);
    listener = listen_tcp("127.0.0.1", 0, false).value();
    port = local_port(listener);
  }
  void start(const std::vector<uint16_t>& ports, Duration first_retry = milliseconds(20)) {
    std::vector<HostPort> peers;
    for (const uint16_t peer : ports) peers.push_back({"127.0.0.1", peer});
    start_with(peers, first_retry);
  }
  void start_with(const std::vector<HostPort>& peers, Duration first_retry = milliseconds(20)) {
    ReplicaOptions options;
    options.peers = peers;
    options.peers_are_told = peers.empty();
    options.look_up_interval = milliseconds(5);
    options.sync.interval = milliseconds(10);
    options.sync.heartbeat = milliseconds(20);
    options.sync.timeout = milliseconds(2000);
    options.sync.grace = milliseconds(100);
    options.first_retry = options.retry_max = first_retry;
    options.secret = secret;
    options.receiver.proof_timeout = proof_timeout;
    options.receiver.strangers = 4;
    options.receiver.speakers = 6;
    options.refused_retry = milliseconds(50);
    replicas = std::make_unique<Replicas>(loop, resolver, fleet, *scheduler, clock, *this, options);
    receiver = replicas->make_receiver(loop);
    if (!listener.open()) listener = listen_tcp("127.0.0.1", port, false).value();
    server = std::make_unique<GrpcServer>(
        loop, std::move(listener),
        std::vector<GrpcRoute>{{ReplicaReceiver::kPath, receiver.get()}});
  }
  void stop() {
    server.reset();
    loop.post([this] { loop.stop(); });
    loop.run();  // what the receiver posted
    receiver.reset();
    replicas.reset();
    listener = Descriptor();
  }
  uint32_t pick(RequestId id) {
    Request request;
    request.id = id;
    return index_of(scheduler->schedule(request, {}).decision.endpoint);
  }

  void on_replica_found(uint64_t, size_t count) override { others = count; }
  void on_replica_lost(uint64_t, size_t count) override { others = count; }
  void on_replica_trouble(std::string_view what) override { refused.emplace_back(what); }
  void on_replica_refused(ReplicaRefusal reason) override { reasons.push_back(reason); }

  EventLoop& loop;
  FakeResolver resolver;
  SteadyClock clock;
  Fleet fleet;
  std::unique_ptr<Scheduler> scheduler;
  Descriptor listener;
  uint16_t port = 0;
  std::unique_ptr<Replicas> replicas;
  std::unique_ptr<ReplicaReceiver> receiver;
  std::unique_ptr<GrpcServer> server;
  size_t others = 0;
  std::vector<std::string> refused;
  std::vector<ReplicaRefusal> reasons;
  std::string secret = "the secret of these tests";
  Duration proof_timeout = std::chrono::seconds(5);
};

class ReplicasTest : public ::testing::Test {
 protected:
  // Runs the loop until it holds or ten seconds are over.
  bool run_until(const std::function<bool()>& holds) {
    const TimePoint deadline = SteadyClock().now() + std::chrono::seconds(10);
    std::function<void()> look = [&] {
      if (holds() || SteadyClock().now() > deadline) return loop_->stop();
      loop_->after(milliseconds(1), look);
    };
    loop_->post(look);
    loop_->run();
    return holds();
  }
  std::vector<uint16_t> ports() const { return {a_.port, b_.port}; }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  Node a_{*loop_};
  Node b_{*loop_};
};

TEST_F(ReplicasTest, StartedAlikeTheyFindEachOtherAndNotThemselves) {
  a_.start(ports());
  b_.start(ports());
  ASSERT_TRUE(run_until([&] { return a_.others == 1 && b_.others == 1; }));
  const uint32_t busy = a_.pick(1);
  ASSERT_TRUE(run_until([&] {
    const uint32_t picked = b_.pick(1);
    b_.scheduler->ended(1);
    const uint32_t again = b_.pick(1);
    b_.scheduler->ended(1);
    return picked != busy && again != busy;
  })) << "load booked by one counts for the other";
  EXPECT_EQ(a_.others, 1u);
  EXPECT_THAT(a_.refused, ::testing::IsEmpty());
}

TEST_F(ReplicasTest, OneThatIsGoneIsForgottenAndFoundAgain) {
  a_.start(ports());
  b_.start(ports());
  ASSERT_TRUE(run_until([&] { return a_.others == 1; }));
  b_.stop();
  ASSERT_TRUE(run_until([&] { return a_.others == 0; }));
  b_.start(ports());
  EXPECT_TRUE(run_until([&] { return a_.others == 1 && b_.others == 1; }));
}

TEST_F(ReplicasTest, OneThatComesLateIsCalledAtOnceWhenItSpeaks) {
  b_.listener = Descriptor();
  a_.start({b_.port}, std::chrono::hours(1));
  bool tried = false;
  loop_->after(milliseconds(50), [&] { tried = true; });
  ASSERT_TRUE(run_until([&] { return tried; }));
  b_.start({a_.port});
  EXPECT_TRUE(run_until([&] { return b_.others == 1; }));
}

TEST_F(ReplicasTest, ADrainedServerEndsTheirCalls) {
  a_.start(ports());
  b_.start(ports());
  ASSERT_TRUE(run_until([&] { return a_.others == 1 && b_.others == 1; }));
  bool drained = false;
  b_.receiver->drain();
  b_.server->drain([&] { drained = true; });
  EXPECT_TRUE(run_until([&] { return drained; }));
  EXPECT_EQ(a_.others, 1u) << "it is drained, and still tells its load";
}

TEST_F(ReplicasTest, ANameThatMovesIsFollowed) {
  b_.start({a_.port});
  a_.start_with({{"peers.svc", b_.port}, {"none.svc", b_.port}});
  a_.resolver.set("none.svc", {});
  ASSERT_TRUE(run_until([&] { return a_.refused.size() == 2; }));
  EXPECT_THAT(a_.refused, ElementsAre("a peer is not found: the resolver is away",
                                      "a peer is not found: none.svc has no address"));
  const auto told = [&] {  // b hears a only when a calls it
    return b_.others == 1;
  };
  EXPECT_FALSE(told());
  a_.resolver.set("peers.svc", {"127.0.0.9", "127.0.0.1"});
  ASSERT_TRUE(run_until(told)) << "every address is called";
  a_.resolver.set("peers.svc", {});
  const int look_ups = a_.resolver.look_ups("peers.svc");
  ASSERT_TRUE(run_until([&] { return a_.resolver.look_ups("peers.svc") > look_ups + 1; }));
  EXPECT_TRUE(told()) << "a name without an address keeps those it had";
  a_.resolver.set("peers.svc", {"127.0.0.9"});
  EXPECT_TRUE(run_until([&] { return !told(); })) << "an address that is gone is not called";
}

TEST_F(ReplicasTest, AddressesThatAreToldAreCalledUntilTheyAreToldNoMore) {
  a_.start({});
  b_.start({});
  const auto at = [](uint16_t port) { return with_port(*literal_address("127.0.0.1"), port); };
  a_.replicas->set_addresses({at(a_.port), at(b_.port)});
  b_.replicas->set_addresses({at(a_.port), at(b_.port)});
  ASSERT_TRUE(run_until([&] { return a_.others == 1 && b_.others == 1; }));
  a_.replicas->set_addresses({at(a_.port)});
  EXPECT_TRUE(run_until([&] { return b_.others == 0; })) << "a calls b no more";
  EXPECT_EQ(a_.others, 1u) << "but b still calls a";
  a_.replicas->set_addresses({at(b_.port)});
  EXPECT_TRUE(run_until([&] { return b_.others == 1; }));
}

// Somebody who calls a replica, and knows the secret or does not.
struct Caller : GrpcClientCall::Observer {
  void call(GrpcClient& client) {
    end.reset();
    call_ = &client.start(ReplicaReceiver::kPath, *this, Duration::zero());
  }
  void greet(GrpcClient& client, const std::string& secret, uint64_t origin) {
    call(client);
    sealer.emplace(secret, origin);
    call_->send(sealer->hello());
  }
  void say(const ReplicaMessage& message) {
    const std::string bytes = write_replica_message(message);
    call_->send(sealer->seal(bytes), bytes);
  }
  void on_message(std::string_view bytes) override { answer = bytes; }
  void on_end(const GrpcStatus& status) override { end = status; }
  std::optional<GrpcCode> code() const {
    return end ? std::optional<GrpcCode>(static_cast<GrpcCode>(end->code)) : std::nullopt;
  }

  GrpcClientCall* call_ = nullptr;
  std::optional<ReplicaSealer> sealer;
  std::string answer;
  std::optional<GrpcStatus> end;
};

TEST_F(ReplicasTest, WhoDoesNotKnowTheSecretIsNotHeard) {
  a_.start({a_.port});
  GrpcClient client(*loop_, resolve("127.0.0.1", a_.port).value(), "test");
  // A message of the first version, which had no handshake; what is none; and nothing at all.
  const std::string forged = write_replica_message({.origin = 7, .sequence = 1});
  size_t refused = 0;
  for (const std::string& first : {forged, std::string("\xff\xff"), std::string()}) {
    Caller caller;
    caller.call(client);
    caller.call_->send(first);
    ++refused;
    ASSERT_TRUE(run_until([&] { return caller.end && a_.reasons.size() == refused; }));
    EXPECT_EQ(caller.code(), GrpcCode::kUnauthenticated);
  }
  // It greets as it should, ignores that the answer's proof is not what it knows, and goes on.
  Caller guesser;
  guesser.greet(client, "a guess", 7);
  ASSERT_TRUE(run_until([&] { return !guesser.answer.empty(); }));
  guesser.call_->send(std::string(32, 'x'), forged);
  ASSERT_TRUE(run_until([&] { return guesser.end && a_.reasons.size() == refused + 1; }));
  EXPECT_EQ(guesser.code(), GrpcCode::kUnauthenticated);
  EXPECT_THAT(a_.reasons, ::testing::Each(ReplicaRefusal::kUnproven));
  EXPECT_THAT(a_.refused, Contains(HasSubstr("another secret")));
  EXPECT_EQ(a_.others, 0u);
  EXPECT_EQ(a_.pick(1), 0u) << "and nothing it said counts";
}

TEST_F(ReplicasTest, AStreamSpeaksForOneOrigin) {
  a_.start({a_.port});
  GrpcClient client(*loop_, resolve("127.0.0.1", a_.port).value(), "test");
  Caller caller;
  caller.greet(client, a_.secret, 7);
  ASSERT_TRUE(run_until([&] { return !caller.answer.empty(); }));
  ASSERT_TRUE(caller.sealer->hear(caller.answer));
  caller.say({.origin = 7, .sequence = 1});
  ASSERT_TRUE(run_until([&] { return a_.others == 1; }));
  caller.say({.origin = 8, .sequence = 1});
  ASSERT_TRUE(run_until([&] { return caller.end && !a_.reasons.empty(); }));
  EXPECT_EQ(caller.code(), GrpcCode::kInvalidArgument);
  EXPECT_THAT(a_.reasons, ::testing::ElementsAre(ReplicaRefusal::kNotUnderstood));
  EXPECT_EQ(a_.others, 1u);
}

TEST_F(ReplicasTest, TheSameTroubleIsToldOnceAndCountedEachTime) {
  a_.start({a_.port});
  GrpcClient client(*loop_, resolve("127.0.0.1", a_.port).value(), "test");
  for (size_t i = 1; i <= 6; ++i) {
    Caller caller;
    caller.call(client);
    caller.call_->send(i % 2 == 0 ? "\xff\xff" : "");  // two kinds in turn
    ASSERT_TRUE(run_until([&] { return caller.end && a_.reasons.size() == i; }));
  }
  EXPECT_EQ(a_.refused.size(), 2u);
}

TEST_F(ReplicasTest, ReplicasWithDifferentSecretsShareNothing) {
  b_.secret = "the secret of somebody else";
  a_.start(ports());
  b_.start(ports());
  ASSERT_TRUE(run_until([&] { return !a_.refused.empty() && !b_.refused.empty(); }));
  EXPECT_THAT(a_.refused, Contains(HasSubstr("another secret")));
  for (const std::string& trouble : a_.refused) EXPECT_THAT(trouble, Not(HasSubstr(a_.secret)));
  EXPECT_EQ(a_.others + b_.others, 0u);
}

TEST_F(ReplicasTest, StrangersWhoSayNothingKeepNobodyOutAndAreEnded) {
  a_.proof_timeout = milliseconds(300);
  a_.start(ports());
  GrpcClient client(*loop_, resolve("127.0.0.1", a_.port).value(), "test");
  std::vector<Caller> strangers(10);
  for (Caller& stranger : strangers) stranger.call(client);
  b_.start(ports());
  ASSERT_TRUE(run_until([&] { return a_.others == 1 && b_.others == 1; }));
  ASSERT_TRUE(run_until([&] {
    return std::all_of(strangers.begin(), strangers.end(),
                       [](const Caller& stranger) { return stranger.end.has_value(); });
  }));
  EXPECT_EQ(strangers.front().code(), GrpcCode::kResourceExhausted) << "the oldest make room";
  EXPECT_EQ(strangers.back().code(), GrpcCode::kUnauthenticated) << "the others run out of time";
  EXPECT_EQ(a_.others, 1u);
}

TEST_F(ReplicasTest, APeerThatSharesNothingIsReported) {
  b_.server =
      std::make_unique<GrpcServer>(*loop_, std::move(b_.listener), std::vector<GrpcRoute>{});
  a_.start(ports());
  EXPECT_TRUE(run_until([&] { return !a_.refused.empty(); }));
  EXPECT_THAT(a_.refused, Contains(HasSubstr("does not listen")));
}

TEST_F(ReplicasTest, MoreSpeakersThanAllowedAreRefused) {
  a_.start({a_.port});
  GrpcClient client(*loop_, resolve("127.0.0.1", a_.port).value(), "test");
  std::vector<Caller> callers(7);  // one more than are heard
  for (size_t i = 0; i < callers.size(); ++i) {
    Caller& caller = callers[i];
    caller.greet(client, a_.secret, 100 + i);
    ASSERT_TRUE(run_until([&] { return !caller.answer.empty(); }));
    ASSERT_TRUE(caller.sealer->hear(caller.answer));
    caller.say({.origin = 100 + i, .sequence = 1});
    ASSERT_TRUE(run_until([&] { return a_.others == i + 1 || caller.end; }));
  }
  EXPECT_EQ(callers.back().code(), GrpcCode::kResourceExhausted);
  EXPECT_FALSE(callers.front().end.has_value());
  EXPECT_THAT(a_.reasons, ::testing::ElementsAre(ReplicaRefusal::kTooMany));
}

TEST(ReplicaSecret, IsNeededUnlessEverybodyIsOnThisMachine) {
  const struct {
    const char* host;
    std::vector<HostPort> peers;
    bool needed;
  } cases[] = {
      {"127.0.0.1", {{"127.0.0.1", 1}, {"localhost", 2}, {"127.3.2.1", 3}, {"::1", 4}}, false},
      {"::1", {{"::1", 1}}, false},
      {"0.0.0.0", {{"127.0.0.1", 1}}, true},
      {"::", {{"127.0.0.1", 1}}, true},
      {"127.0.0.1", {{"127.0.0.1", 1}, {"10.0.0.1", 2}}, true},
      {"127.0.0.1", {{"epp-peers.default.svc", 1}}, true},
      {"127.0.0.1", {{"127.0.0.1.example.com", 1}}, true},
      {"localhost", {{"localhost", 1}}, false},
  };
  for (const auto& [host, peers, needed] : cases) {
    EXPECT_EQ(needs_secret(host, peers), needed) << host << " " << peers.back().host;
  }
}

}  // namespace
}  // namespace kvasir
