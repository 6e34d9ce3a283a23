#include "transfer/p2p/p2p_connector.h"

#include <gtest/gtest.h>

#include "transfer/connector_side_fixture.h"
#include "transfer/kv_fingerprint.h"
#include "transfer/p2p/p2p_stranger_fixture.h"
#include "transfer/packed_block.h"

namespace kvasir {
namespace {

using SendType = KvTransferConfig::SendType;
constexpr Duration kLong = std::chrono::minutes(10);
constexpr Duration kShort = std::chrono::milliseconds(1);

class P2pTest : public testing::Test {
 protected:
  P2pTest() {
    options_.node.server.port = 0;
    options_.node.fingerprint = 7;
    options_.node.tensor_bytes_most = 3 * small_kv_layout().block_bytes();
    options_.node.arrivals.receive_patience = kLong;
    options_.node.send_patience = kLong;
    options_.node.hold = kLong;
    options_.node.get_again = kShort;
  }
  uint16_t start(ConnectorSide& side, bool prefills, uint16_t port = 0) {
    P2pConnectorOptions options = options_;
    options.prefills = prefills;
    options.decodes = !prefills;
    options.node.server.port = port;
    auto made = P2pConnector::start(options, side.memory(), side.loop(), side.owner());
    EXPECT_TRUE(made) << made.error().message;
    if (!made) return 0;
    const uint16_t got = (*made)->port();
    side.use(std::move(made).value());
    return got;
  }
  void start_both() {
    prefill_port_ = start(prefill_, true);
    decode_port_ = start(decode_, false);
  }
  std::string id(const std::string& unique = "0123456789abcdef0123456789abcdef") const {
    return "cmpl-" + p2p_request_id("127.0.0.1:" + std::to_string(prefill_port_),
                                    "127.0.0.1:" + std::to_string(decode_port_), unique);
  }
  void wait_for_refusals(ConnectorSide& side, uint64_t count) {
    // What is told comes by way of the loop.
    while (side.connector().stats().refused_peers < count) {
      side.loop().after(kShort, [&] { side.loop().stop(); });
      side.loop().run();
    }
    EXPECT_EQ(side.connector().stats().refused_peers, count);
  }

  P2pConnectorOptions options_;
  ConnectorSide prefill_, decode_;
  uint16_t prefill_port_ = 1, decode_port_ = 1;  // until they are started
  const TestPrompt prompt_{41};
};

class AllSendTypes : public P2pTest, public testing::WithParamInterface<SendType> {
 protected:
  AllSendTypes() {
    options_.send_type = GetParam();
    start_both();
  }
};
std::string send_type_name(const testing::TestParamInfo<SendType>& parameter) {
  if (parameter.param == SendType::kGet) return "GET";
  return parameter.param == SendType::kPut ? "PUT" : "PUT_ASYNC";
}
INSTANTIATE_TEST_SUITE_P(P2p, AllSendTypes,
                         testing::Values(SendType::kPut, SendType::kPutAsync, SendType::kGet),
                         send_type_name);

TEST_P(AllSendTypes, BytesAreEqualAfterATransfer) {
  for (const size_t tokens : {5, 8, 41, 100}) {
    const TestPrompt prompt(tokens, 0, 1000 * static_cast<uint32_t>(tokens));
    const std::string name = id("request" + std::to_string(tokens));
    const auto [request, plan] = prefill_.plan(prompt, name);
    EXPECT_EQ(plan.remote_blocks, 0u);
    ASSERT_TRUE(plan.keeps);
    prefill_.start_offer(request, prompt);
    prefill_.run_until([&, about = request] { return prefill_.offered.count(about) > 0; });
    EXPECT_EQ(decode_.decode(prompt, name + "-0-a74a7b4a"), (tokens - 1) / 4) << decode_.problem;
    EXPECT_EQ(decode_.problem, "");
    prefill_.run_until([&, about = request] { return prefill_.released.count(about) > 0; });
  }
  EXPECT_EQ(prefill_.connector().stats().offers, 0u);
  EXPECT_EQ(prefill_.connector().stats().failed_transfers, 0u);
  EXPECT_EQ(decode_.connector().stats().failed_transfers, 0u);
  EXPECT_EQ(decode_.connector().stats().transfers, 4u);
  EXPECT_EQ(decode_.connector().take_records().size(), 4u);
}

// Both legs are sent at one time.
TEST_P(AllSendTypes, WhoDecodesMayAskFirst) {
  const KvRequestId second = decode_.plan(prompt_, id()).first;
  decode_.connector().fetch(second, 2, ConnectorSide::blocks_from(20, 8));
  const KvRequestId first = prefill_.plan(prompt_, id()).first;
  prefill_.start_offer(first, prompt_);
  decode_.run_until([&] { return decode_.fetched.count(second) > 0; });
  EXPECT_EQ(decode_.fetched.at(second).blocks, 8u);
  decode_.expect_right(prompt_, 2, 20, 8);
  prefill_.run_until([&] { return prefill_.released.count(first) > 0; });
}

TEST_P(AllSendTypes, BlocksThatAreAllHereAreNotFetched) {
  const auto [first, plan] = prefill_.plan(prompt_, id());
  prefill_.start_offer(first, prompt_);
  const KvRequestId second = decode_.plan(prompt_, id()).first;
  EXPECT_EQ(decode_.fetch(second, 10, {}).problem, "");
  prefill_.run_until([&, about = first] { return prefill_.released.count(about) > 0; });
  EXPECT_EQ(prefill_.connector().stats().expired_requests, 0u);
}

TEST_P(AllSendTypes, BlocksThatNobodyWantsMayBeOfferedLater) {
  const KvRequestId second = decode_.plan(prompt_, id("unwanted")).first;
  EXPECT_EQ(decode_.fetch(second, 10, {}).problem, "");
  // What is said on one connection comes in order: after this the word has come.
  const KvRequestId other = prefill_.plan(prompt_, id("other")).first;
  prefill_.start_offer(other, prompt_);
  EXPECT_EQ(decode_.decode(prompt_, id("other")), 10u);
  prefill_.run_until([&] { return prefill_.released.count(other) > 0; });
  prefill_.offer(prefill_.plan(prompt_, id("unwanted")).first, prompt_);
  EXPECT_EQ(prefill_.connector().stats().offers, 0u);
  EXPECT_EQ(prefill_.connector().stats().expired_requests, 0u);
  EXPECT_EQ(prefill_.connector().stats().failed_transfers, 0u);
  EXPECT_EQ(decode_.connector().stats().transfers, 1u);
}

TEST_P(AllSendTypes, AClientMayLeaveAtAnyMoment) {
  // Before its prompt is offered.
  prefill_.forget(prefill_.plan(prompt_, id("1")).first);
  // While it is offered: it stands until it is fetched, or its time is over.
  const KvRequestId offered = prefill_.plan(prompt_, id("2")).first;
  prefill_.start_offer(offered, prompt_);
  prefill_.forget(offered);
  EXPECT_EQ(decode_.decode(prompt_, id("2")), 10u);
  prefill_.run_until([&] { return prefill_.released.count(offered) > 0; });
  // Before its blocks are fetched, then while they are.
  decode_.forget(decode_.plan(prompt_, id("3")).first);
  const KvRequestId fetching = decode_.plan(prompt_, id("4")).first;
  decode_.connector().fetch(fetching, 0, ConnectorSide::blocks_from(0, 10));
  decode_.forget(fetching);
  decode_.run_until([&] { return decode_.fetched.count(fetching) > 0; });
  EXPECT_EQ(decode_.fetched.at(fetching).blocks, 0u);
  EXPECT_EQ(decode_.connector().stats().failed_transfers, 0u);
}

TEST_P(AllSendTypes, APromptThatIsAnotherOneIsRefused) {
  const KvRequestId first = prefill_.plan(TestPrompt(41, 20, 5), id()).first;
  prefill_.start_offer(first, TestPrompt(41, 20, 5));
  EXPECT_LT(decode_.decode(prompt_, id()), 6u) << "what came is the same only so far";
  EXPECT_NE(decode_.problem, "");
}

TEST_P(AllSendTypes, AnotherModelIsRefused) {
  ConnectorSide other;
  ++options_.node.fingerprint;
  options_.node.send_patience = options_.node.arrivals.receive_patience =
      std::chrono::milliseconds(200);
  decode_port_ = start(other, false);
  const KvRequestId first = prefill_.plan(prompt_, id()).first;
  prefill_.start_offer(first, prompt_);
  EXPECT_EQ(other.decode(prompt_, id()), 0u);
  ConnectorSide& refuses = GetParam() == SendType::kGet ? prefill_ : other;
  while (refuses.connector().stats().refused_peers == 0) {
    refuses.loop().after(kShort, [&] { refuses.loop().stop(); });
    refuses.loop().run();
  }
}

TEST_P(AllSendTypes, RestartedWorkersFindEachOtherAgain) {
  for (const std::string unique : {"1", "2", "3"}) {
    const KvRequestId first = prefill_.plan(prompt_, id(unique)).first;
    prefill_.start_offer(first, prompt_);
    EXPECT_EQ(decode_.decode(prompt_, id(unique)), 10u) << decode_.problem;
    prefill_.run_until([&] { return prefill_.released.count(first) > 0; });
    const bool decodes = unique == "1";
    ConnectorSide& restarted = decodes ? decode_ : prefill_;
    restarted.drop_connector();
    const uint16_t port = decodes ? decode_port_ : prefill_port_;
    ASSERT_EQ(start(restarted, !decodes, port), port);
  }
}

// Unless the others are there before the first ones: then it is tried again.
TEST_P(AllSendTypes, WhoDecodesIsToldWhenTheFirstBlocksAreThere) {
  options_.pipelining = true;
  options_.node.arrivals.link.latency = std::chrono::milliseconds(1);
  options_.node.arrivals.link.gb_per_s = 1e-4;
  decode_.drop_connector();
  decode_port_ = start(decode_, false);
  for (int i = 0; i < 100 && decode_.fetching == 0; ++i) {
    const std::string name = id("request" + std::to_string(i));
    const KvRequestId second = decode_.plan(prompt_, name).first;
    decode_.connector().fetch(second, 0, ConnectorSide::blocks_from(0, 10));
    prefill_.start_offer(prefill_.plan(prompt_, name).first, prompt_);
    decode_.run_until([&] { return decode_.fetched.count(second) > 0; });
    EXPECT_EQ(decode_.fetched.at(second).blocks, 10u);
  }
  EXPECT_EQ(decode_.fetching, 1);
}

TEST_P(AllSendTypes, CompressedBlocksAreNearWhatTheyWereAndCountAsTheyCame) {
  options_.node.compress = true;
  ConnectorSide prefill, decode;
  prefill_port_ = start(prefill, true);
  decode_port_ = start(decode, false);
  const KvRequestId first = prefill.plan(prompt_, id()).first;
  prefill.start_offer(first, prompt_);
  const KvRequestId second = decode.plan(prompt_, id()).first;
  ASSERT_EQ(decode.fetch(second, 0, ConnectorSide::blocks_from(0, 10)).blocks, 10u);
  EXPECT_EQ(decode.connector().stats().bytes, 10 * packed_block_bytes(small_kv_layout()));
  std::vector<std::byte> packed(packed_block_bytes(small_kv_layout()));
  std::vector<std::byte> right(small_kv_layout().block_bytes());
  for (uint32_t i = 0; i < 10; ++i) {
    fill_kv_block(prompt_.blocks[i], right);
    pack_block(small_kv_layout(), right, packed);
    ASSERT_TRUE(unpack_block(small_kv_layout(), packed, right));
    const std::span<const std::byte> there = decode.memory().block(i);
    EXPECT_TRUE(std::equal(there.begin(), there.end(), right.begin())) << i;
  }
}

TEST_F(P2pTest, RequestsWithoutAddressesAreNobodys) {
  start_both();
  for (const char* name : {"cmpl-1", "", "___prefill_addr_a___decode_addr_b_7"}) {
    const KvPlan first = prefill_.plan(prompt_, name).second;
    const KvPlan second = decode_.plan(prompt_, name).second;
    EXPECT_FALSE(first.keeps);
    EXPECT_EQ(second.remote_blocks, 0u);
  }
}

TEST_F(P2pTest, AWorkerThatDoesBothKnowsItsLegByItsAddress) {
  prefill_port_ = start(prefill_, true);
  options_.decodes = options_.prefills = true;
  auto made = P2pConnector::start(options_, decode_.memory(), decode_.loop(), decode_.owner());
  ASSERT_TRUE(made);
  const uint16_t own = (*made)->port();
  decode_.use(std::move(made).value());
  const auto plan = [&](uint16_t first, uint16_t second) {
    prefill_port_ = first;
    decode_port_ = second;
    return decode_.plan(prompt_, id()).second;
  };
  EXPECT_TRUE(plan(own, 1).keeps);
  EXPECT_EQ(plan(1, own).remote_blocks, 10u);
  EXPECT_FALSE(plan(own, own).keeps);
  EXPECT_FALSE(plan(1, 1).keeps);
}

TEST_F(P2pTest, AWorkerWhomIdsNameOtherwiseIsFoundWhereItIs) {
  decode_port_ = start(decode_, false);
  options_.node.addresses["vllm-decode-p2p:14579"] = {"127.0.0.1", decode_port_};
  prefill_port_ = start(prefill_, true);
  const std::string name =
      "cmpl-" + p2p_request_id("vllm-prefill-p2p:14579", "vllm-decode-p2p:14579", "7");
  const auto [request, plan] = prefill_.plan(prompt_, name);
  ASSERT_TRUE(plan.keeps);
  prefill_.start_offer(request, prompt_);
  prefill_.run_until([&, about = request] { return prefill_.offered.count(about) > 0; });
  EXPECT_EQ(decode_.decode(prompt_, name), 10u) << decode_.problem;
}

TEST_F(P2pTest, WhoWaitsInVainComputes) {
  options_.node.arrivals.receive_patience = kShort;
  for (const SendType type : {SendType::kPut, SendType::kGet}) {
    options_.send_type = type;
    decode_port_ = start(decode_, false);
    EXPECT_EQ(decode_.decode(prompt_, id()), 0u);
    EXPECT_EQ(decode_.problem, "they do not come in time");
    EXPECT_EQ(decode_.connector().stats().failed_transfers, 1u);
  }
}

TEST_F(P2pTest, WhoCannotBeReachedHoldsNoBlocks) {
  options_.node.send_patience = kShort;
  options_.send_type = SendType::kPut;
  prefill_port_ = start(prefill_, true);
  decode_port_ = 1;
  prefill_.prefill(prompt_, id());
  prefill_.prefill(prompt_, "cmpl-___prefill_addr_a:1___decode_addr_no.such.host.invalid:2_7");
  EXPECT_EQ(prefill_.connector().stats().failed_transfers, 2u);
  EXPECT_EQ(prefill_.connector().stats().offers, 0u);
}

TEST_F(P2pTest, WhatNobodyGetsIsReleased) {
  options_.node.hold = kShort;
  options_.send_type = SendType::kGet;
  prefill_port_ = start(prefill_, true);
  prefill_.prefill(prompt_, id());
  EXPECT_EQ(prefill_.connector().stats().expired_requests, 1u);
}

TEST_F(P2pTest, ABufferThatIsFullIsToldAndThePromptIsComputed) {
  options_.node.arrivals.limits.bytes_max = 5 * small_kv_layout().block_bytes();
  start_both();
  prefill_.prefill(prompt_, id());
  EXPECT_EQ(prefill_.connector().stats().failed_transfers, 1u);
  EXPECT_EQ(decode_.decode(prompt_, id()), 3u) << "at once: nobody waits for the rest";
  EXPECT_NE(decode_.problem, "");
}

TEST_F(P2pTest, APortThatIsTakenRefusesToStart) {
  start_both();
  P2pConnectorOptions options = options_;
  options.node.server.port = decode_port_;
  ConnectorSide side;
  EXPECT_FALSE(P2pConnector::start(options, side.memory(), side.loop(), side.owner()));
}

TEST_F(P2pTest, AWorkerTellsItsProxyThatItIsThere) {
  const std::shared_ptr<void> context(zmq_ctx_new(), zmq_ctx_term);
  const std::shared_ptr<void> router(zmq_socket(context.get(), ZMQ_ROUTER), zmq_close);
  ASSERT_EQ(zmq_bind(router.get(), "tcp://127.0.0.1:*"), 0);
  char bound[64] = "";
  size_t size = sizeof bound;
  zmq_getsockopt(router.get(), ZMQ_LAST_ENDPOINT, bound, &size);
  options_.node.registrar.proxy = parse_http_origin(std::string(bound).substr(6)).value();
  options_.node.registrar.roles = {P2pRole::kDecode};
  options_.node.registrar.http_address = "127.0.0.1:8000";
  options_.node.registrar.zmq_address = "127.0.0.1";
  options_.node.registrar.interval = kShort;
  decode_port_ = start(decode_, false);
  const std::string zmq_address = "127.0.0.1:" + std::to_string(decode_port_);
  for (int i = 0; i < 2; ++i) {
    char frame[256];
    const int name = zmq_recv(router.get(), frame, sizeof frame, 0);
    EXPECT_EQ(std::string(frame, static_cast<size_t>(name)), zmq_address);
    const int message = zmq_recv(router.get(), frame, sizeof frame, 0);
    EXPECT_EQ(std::string(frame, static_cast<size_t>(message)),
              write_p2p_registration({P2pRole::kDecode, "127.0.0.1:8000", zmq_address}));
  }
}

// The connection for data stays, and with it the session, whose name for us is another's now.
TEST_F(P2pTest, AWorkerIsGreetedAgainWhenItsCommandsWereCut) {
  options_.send_type = SendType::kPut;
  prefill_port_ = start(prefill_, true);
  P2pPuppet receiver;
  decode_port_ = receiver.port();
  for (const std::string unique : {"1", "2"}) {
    const KvRequestId request = prefill_.plan(prompt_, id(unique)).first;
    prefill_.start_offer(request, prompt_);
    EXPECT_EQ(receiver.next().kind, P2pCommand::Kind::kNew);
    EXPECT_EQ(receiver.next().kind, P2pCommand::Kind::kPut);
    receiver.cut_commands();
    prefill_.run_until([&] { return prefill_.released.count(request) > 0; });
  }
  EXPECT_EQ(prefill_.connector().stats().failed_transfers, 2u);
}

TEST_F(P2pTest, WhatNobodyWantsIsSaidAgainWhenTheWordWasCutOff) {
  options_.send_type = SendType::kGet;
  decode_port_ = start(decode_, false);
  P2pPuppet holder;
  prefill_port_ = holder.port();
  decode_.forget(decode_.plan(prompt_, id()).first);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(holder.next().kind, P2pCommand::Kind::kNew);
    const P2pCommand drop = holder.next();
    EXPECT_EQ(drop.kind, P2pCommand::Kind::kDrop);
    EXPECT_EQ(drop.tensor_id, p2p_tensor_id(*p2p_request_key(id()), 0, 1));
    if (i == 0) holder.cut_commands();
  }
}

// It is told to drop what it does not bring, from within its own turn.
TEST_F(P2pTest, WhoIsCutOffIsNotLetGoWhileItSaysSo) {
  options_.send_type = SendType::kGet;
  options_.node.peers_max = 1;
  decode_port_ = start(decode_, false);
  P2pPuppet holder;
  prefill_port_ = holder.port();
  const KvRequestId request = decode_.plan(prompt_, id()).first;
  decode_.connector().fetch(request, 0, ConnectorSide::blocks_from(0, 10));
  EXPECT_EQ(holder.next().kind, P2pCommand::Kind::kNew);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(holder.next().kind, P2pCommand::Kind::kGet);
    holder.answer(write_p2p_reply({P2pReply::kDone, 0, {}}));
  }
  EXPECT_TRUE(holder.data_is_refused(P2pStranger::frame(99, "nobody asked for it")));
  decode_.run_until([&] { return decode_.fetched.count(request) > 0; });
  EXPECT_EQ(holder.next().kind, P2pCommand::Kind::kNew);
  EXPECT_EQ(holder.next().kind, P2pCommand::Kind::kDrop);
}

// And what it has just brought.
TEST_F(P2pTest, WhoIsAskedIsNotLetGoThoughThereAreMoreThanMay) {
  options_.send_type = SendType::kGet;
  options_.node.peers_max = 1;
  start_both();
  for (const std::string unique : {"1", "2", "3"}) {
    const KvRequestId first = prefill_.plan(prompt_, id(unique)).first;
    prefill_.start_offer(first, prompt_);
    EXPECT_EQ(decode_.decode(prompt_, id(unique)), 10u) << decode_.problem;
    prefill_.run_until([&] { return prefill_.released.count(first) > 0; });
  }
}

TEST_F(P2pTest, WhatIsNoLongerAskedForIsNotExpected) {
  options_.send_type = SendType::kGet;
  decode_port_ = start(decode_, false);
  P2pPuppet holder;
  prefill_port_ = holder.port();
  // The number of the frame for its last block, which is not there yet.
  const auto next_get = [&](const std::string& unique) {
    const std::string wanted = p2p_tensor_id(*p2p_request_key(id(unique)), 9, 1);
    for (;;) {
      const P2pCommand command = holder.next();
      if (command.kind == P2pCommand::Kind::kDrop) holder.answer("0");
      if (command.kind != P2pCommand::Kind::kGet) continue;
      holder.answer(write_p2p_reply({P2pReply::kNotThere, 0, {}}));
      if (command.tensor_id == wanted || testing::Test::HasFailure()) return command.number;
    }
  };
  const auto fetch = [&](const std::string& unique) {
    const KvRequestId request = decode_.plan(prompt_, id(unique)).first;
    decode_.connector().fetch(request, 0, ConnectorSide::blocks_from(0, 10));
    return request;
  };
  const KvRequestId first = fetch("1");
  const uint64_t number = next_get("1");
  decode_.forget(first);
  decode_.run_until([&] { return decode_.fetched.count(first) > 0; });
  // Until its turn to be asked again would have come: that of one that came later has.
  fetch("2");
  for (int i = 0; i < 3; ++i) next_get("2");
  const std::string block(small_kv_layout().block_bytes(), 'x');
  EXPECT_TRUE(holder.data_is_refused(P2pStranger::frame(number, block)));
}

// ---- whoever is no worker ----

class P2pStrangers : public P2pTest {
 protected:
  P2pStrangers() {
    decode_port_ = start(decode_, false);
    stranger_.emplace(decode_port_);
    for (uint32_t i = 0; i < 10; ++i) {
      std::vector<std::byte> block(small_kv_layout().block_bytes());
      fill_kv_block(prompt_.blocks[i], block);
      bytes_.append(reinterpret_cast<const char*>(block.data()), block.size());
    }
  }
  P2pCommand put(uint64_t number = 5) const {
    P2pCommand command;
    command.kind = P2pCommand::Kind::kPut;
    command.tensor_id = p2p_tensor_id(id(), 0, 10);
    command.number = number;
    command.last_block = prompt_.blocks[9];
    command.blocks = 10;
    command.layers = 2;
    command.values = small_kv_layout().slice_bytes() / 2;
    command.dtype = kP2pDtype;
    return command;
  }
  std::string ask(const P2pCommand& command) { return stranger_->ask(write_p2p_command(command)); }

  std::optional<P2pStranger> stranger_;
  std::string bytes_;
};

TEST_F(P2pStrangers, OneWhoSpeaksAsWorkersDoIsServed) {
  stranger_->connect_data(7);
  ASSERT_EQ(ask(put()), "0");
  stranger_->send_data(P2pStranger::frame(5, bytes_));
  EXPECT_EQ(decode_.decode(prompt_, id()), 10u);
}

TEST_F(P2pStrangers, WhatNobodyWantsAnyMoreIsNotSent) {
  const std::string unwanted = id();
  stranger_->connect_data(7);
  decode_.forget(decode_.plan(prompt_, unwanted).first);
  // Its thread hears of both in order.
  EXPECT_EQ(decode_.fetch(decode_.plan(prompt_, id("1")).first, 0, {}).problem, "");
  const KvRequestId later = decode_.plan(prompt_, id("2")).first;
  decode_.connector().fetch(later, 0, ConnectorSide::blocks_from(0, 10));
  decode_.forget(later);
  decode_.run_until([&] { return decode_.fetched.count(later) > 0; });
  EXPECT_EQ(ask(put()), "2");
  // Until it is.
  const KvRequestId wanted = decode_.plan(prompt_, unwanted).first;
  decode_.connector().fetch(wanted, 0, ConnectorSide::blocks_from(0, 10));
  std::string answer;
  while ((answer = ask(put())) == "2") {
  }
  ASSERT_EQ(answer, "0");
  stranger_->send_data(P2pStranger::frame(5, bytes_));
  decode_.run_until([&] { return decode_.fetched.count(wanted) > 0; });
  EXPECT_EQ(decode_.fetched.at(wanted).blocks, 10u);
}

TEST_F(P2pStrangers, WhoDidNotGreetDropsNothing) {
  prefill_port_ = 0;
  options_.send_type = SendType::kGet;
  ConnectorSide holds;
  prefill_port_ = start(holds, true);
  P2pStranger stranger(prefill_port_);
  P2pCommand drop;
  drop.kind = P2pCommand::Kind::kDrop;
  drop.tensor_id = p2p_tensor_id(*p2p_request_key(id()), 0, 1);
  EXPECT_EQ(stranger.ask(write_p2p_command(drop)), "1");
  const KvRequestId request = holds.plan(prompt_, id()).first;
  holds.start_offer(request, prompt_);
  EXPECT_EQ(stranger.ask(write_p2p_command(drop)), "1");
  EXPECT_EQ(stranger.greet(7).ret, P2pReply::kDone);
  EXPECT_EQ(holds.released.count(request), 0u);
  EXPECT_EQ(stranger.ask(write_p2p_command(drop)), "0");
  holds.run_until([&] { return holds.released.count(request) > 0; });
}

TEST_F(P2pStrangers, OneFlippedByteAnywhereIsFound) {
  const std::string sound = P2pStranger::frame(5, bytes_);
  uint64_t refused = 0;
  for (size_t at = 0; at < sound.size(); at += at < 24 ? 1 : 7) {
    P2pStranger stranger(decode_port_);
    stranger.connect_data(7);
    ASSERT_EQ(stranger.ask(write_p2p_command(put())), "0");
    std::string bytes = sound;
    bytes[at] = static_cast<char>(bytes[at] ^ 0x40);
    stranger.send_data(bytes);
    ASSERT_EQ(decode_.decode(prompt_, id()), 0u) << "at " << at;
    ++refused;
  }
  wait_for_refusals(decode_, refused);
}

TEST_F(P2pStrangers, AConnectionThatIsCutInTheMiddleIsNotWaitedFor) {
  stranger_->connect_data(7);
  ASSERT_EQ(ask(put()), "0");
  stranger_->send_data(P2pStranger::frame(5, bytes_).substr(0, 100));
  const KvRequestId request = decode_.plan(prompt_, id()).first;
  decode_.connector().fetch(request, 0, ConnectorSide::blocks_from(0, 10));
  stranger_->cut();
  decode_.run_until([&] { return decode_.fetched.count(request) > 0; });
  EXPECT_EQ(decode_.fetched.at(request).blocks, 0u);
}

TEST_F(P2pStrangers, MessagesThatAreNoneAreAnsweredAndCounted) {
  uint64_t refused = 0;
  for (const std::string message : {"", "x", "\x80",
                                    "\x82\xa3"
                                    "cmd\xa3GET\xa9tensor_id\1"}) {
    EXPECT_EQ(stranger_->ask(message), "1");
    wait_for_refusals(decode_, ++refused);
  }
}

TEST_F(P2pStrangers, WhoDidNotGreetPutsNothing) {
  EXPECT_EQ(ask(put()), "1");
  EXPECT_EQ(stranger_->greet(8).ret, P2pReply::kRefused) << "another model";
  EXPECT_EQ(ask(put()), "1");
  EXPECT_EQ(stranger_->greet(7).ret, P2pReply::kDone);
  EXPECT_EQ(stranger_->greet(7).ret, P2pReply::kRefused) << "once a connection";
}

TEST_F(P2pStrangers, WhatDoesNotFitOurBlocksIsRefused) {
  stranger_->connect_data(7);
  std::vector<P2pCommand> wrong(7, put());
  wrong[0].dtype = "bfloat16";
  wrong[1].layers = 3;
  wrong[2].values = ~0ULL;
  wrong[3].blocks = 11;
  wrong[4].tensor_id = id() + "#model.layers.0.self_attn.attn";
  wrong[5].tensor_id = p2p_tensor_id("cmpl-1", 0, 10);
  wrong[6].tensor_id = p2p_tensor_id(id(), 0, 0x7fffffff);
  wrong[6].blocks = 0x7fffffff;  // there is no room for them
  for (const P2pCommand& command : wrong) EXPECT_EQ(ask(command), "1") << command.tensor_id;
  wait_for_refusals(decode_, 6);
}

TEST_F(P2pStrangers, ConnectionsThatNobodyAnnouncedAreCut) {
  const P2pReply reply = stranger_->greet(7);
  for (const std::string& hello :
       {std::string("GET / HTTP/1.1\r\n\r\n......"), "KVASIRP2" + std::string(16, 'x')}) {
    P2pStranger other(decode_port_);
    other.connect_to(static_cast<uint16_t>(reply.port));
    other.send_data(hello);
    EXPECT_TRUE(other.is_cut());
  }
  stranger_->connect_to(static_cast<uint16_t>(reply.port));
  stranger_->send_data("KVASIRP2" + reply.token + P2pStranger::frame(1, "not announced"));
  EXPECT_TRUE(stranger_->is_cut());
  EXPECT_EQ(ask(put()), "1") << "its session is over";
}

TEST_F(P2pStrangers, ConnectionsThatSayNothingAreFew) {
  const auto port = static_cast<uint16_t>(stranger_->greet(7).port);
  std::vector<std::unique_ptr<P2pStranger>> silent;
  for (size_t i = 0; i < options_.node.server.strangers_max; ++i) {
    silent.push_back(std::make_unique<P2pStranger>(decode_port_));
    silent.back()->connect_to(port);
  }
  P2pStranger last(decode_port_);
  last.connect_to(port);
  EXPECT_TRUE(last.is_cut());
}

}  // namespace
}  // namespace kvasir
