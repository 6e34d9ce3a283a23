// Whoever speaks to a NixlConnector and is no worker, or one that does not keep to what was agreed.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "net/io/socket.h"
#include "net/zmq/zmq_socket.h"
#include "transfer/nixl/nixl_chunk.h"
#include "transfer/nixl/nixl_fixture.h"
#include "transfer/nixl/nixl_thread.h"
#include "wire/kv_transfer/nixl_handshake.h"
#include "wire/kv_transfer/prefill_handoff.h"
#include "wire/msgpack/msgpack_writer.h"

namespace kvasir {
namespace {

using testing::HasSubstr;
using std::literals::operator""s;

// A REQ socket, as vLLM's decoders have: the answer, or nothing after a while.
std::string ask(uint16_t port, const std::string& question, int patience_ms = 10'000) {
  void* const context = zmq_ctx_new();
  void* const socket = zmq_socket(context, ZMQ_REQ);
  const int none = 0;
  zmq_setsockopt(socket, ZMQ_LINGER, &none, sizeof none);
  zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience_ms, sizeof patience_ms);
  zmq_connect(socket, ("tcp://127.0.0.1:" + std::to_string(port)).c_str());
  zmq_send(socket, question.data(), question.size(), 0);
  std::string answer(65'536, '\0');
  const int size = zmq_recv(socket, answer.data(), answer.size(), 0);
  answer.resize(static_cast<size_t>(std::max(size, 0)));
  zmq_close(socket);
  zmq_ctx_term(context);
  return answer;
}

// A connection to a data port, and everything by hand.
class RawPeer {
 public:
  explicit RawPeer(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(socket_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    const timeval patience{10, 0};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  }
  void send_bytes(std::string_view bytes) {
    (void)::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  void say(NixlFrameKind kind, uint64_t id, std::string_view body) {
    std::string frame;
    append_nixl_frame(frame, kind, id, body);
    send_bytes(frame);
  }
  // The next frame's head and body; nullopt: the connection ended.
  std::optional<std::pair<NixlFrameHead, std::string>> hear() {
    char head[NixlFrameHead::kBytes];
    if (!fill(head, sizeof head)) return std::nullopt;
    const Result<NixlFrameHead> read = read_nixl_frame_head(head);
    if (!read) return std::nullopt;
    std::string body(read->body_bytes, '\0');
    if (!fill(body.data(), body.size())) return std::nullopt;
    return std::pair(*read, body);
  }
  // While what came before it is not read.
  void wait_until_reset() {
    pollfd until{socket_.get(), POLLRDHUP, 0};
    EXPECT_EQ(poll(&until, 1, 60'000), 1);
  }
  bool has_ended() {
    char byte;
    return recv(socket_.get(), &byte, 1, 0) <= 0 && errno != EAGAIN;
  }

 private:
  bool fill(char* to, size_t size) {
    return size == 0 || recv(socket_.get(), to, size, MSG_WAITALL) == static_cast<ssize_t>(size);
  }
  Descriptor socket_;
};

class NixlHostileTest : public testing::Test {
 protected:
  void SetUp() override {
    params = prefiller.prefill(1, prompt);
    leg = read_nixl_leg_params(params);
    const Result<NixlHandshake> said =
        read_nixl_handshake(ask(leg.handoff.port, write_nixl_question({})));
    ASSERT_TRUE(said.ok());
    handshake = *said;
  }
  std::string hello() const {
    return write_nixl_hello({handshake.agent->engine_id, handshake.compatibility_hash});
  }
  NixlRead right_read() const {
    return {leg.handoff.request_id, prompt.blocks.back(), NixlEncoding::kHalf, false,
            leg.block_ids};
  }
  void expect_that_it_still_serves() {
    NixlTestWorker decoder(loop);
    decoder.plan(9, prompt, params);
    EXPECT_EQ(decoder.fetch(9, 0, 5).blocks, 5u) << decoder.fetched[9].problem;
    EXPECT_TRUE(decoder.holds(prompt, 0, 5));
  }

  PatientLoop loop;
  NixlTestWorker prefiller{loop};
  const NixlTestPrompt prompt{5, 1};
  std::string params;
  NixlLegParams leg;
  NixlHandshake handshake;
};

// vLLM compares the hash before it looks at anything else, and says that they differ.
TEST_F(NixlHostileTest, ARealDecoderIsToldAnotherHashInBothForms) {
  for (const std::string& question :
       {"\x92\xc4\x0cget_meta_msg\x00"s, "\x93\xc4\x0cget_meta_msg\x00\x00"s}) {
    const Result<NixlHandshake> said = read_nixl_handshake(ask(leg.handoff.port, question));
    ASSERT_TRUE(said.ok()) << said.error().message;
    EXPECT_EQ(said->compatibility_hash.size(), 64u);
    EXPECT_EQ(said->compatibility_hash, handshake.compatibility_hash);
    EXPECT_EQ(said->agent->model, "m");
  }
}

TEST_F(NixlHostileTest, TheHashIsOfEverythingThatMustBeTheSame) {
  const KvLayout layout = NixlTestWorker::small_layout();
  std::set<std::string> hashes{nixl_compatibility_hash("m", layout),
                               nixl_compatibility_hash("n", layout)};
  for (uint32_t KvLayout::*member :
       {&KvLayout::block_size, &KvLayout::layers, &KvLayout::bytes_per_token, &KvLayout::scale}) {
    KvLayout other = layout;
    other.*member += 1;
    hashes.insert(nixl_compatibility_hash("m", other));
  }
  EXPECT_EQ(hashes.size(), 6u);
}

TEST_F(NixlHostileTest, WhatIsNoQuestionIsNotAnswered) {
  for (const std::string& question :
       {"hello"s, "\x92\xc4\x0cget_meta_msq\x00"s, std::string(100'000, 'x')}) {
    EXPECT_EQ(ask(leg.handoff.port, question, 50), "");
  }
  EXPECT_EQ(prefiller.connector().stats().refused_peers, 2u);  // the longest one never arrived
  expect_that_it_still_serves();
}

TEST_F(NixlHostileTest, WhoIsNoWorkerIsCutOff) {
  const std::string huge_frame = "K\x01\0\0\xff\xff\xff\x7f\0\0\0\0\0\0\0\0"s;
  for (const std::string& bytes :
       {"GET / HTTP/1.1\r\nHost: a\r\n\r\n"s, huge_frame, std::string(1'000, '\0')}) {
    RawPeer peer(handshake.agent->data_port);
    peer.send_bytes(bytes);
    EXPECT_TRUE(peer.has_ended()) << bytes;
  }
  EXPECT_EQ(prefiller.connector().stats().refused_peers, 3u);
  expect_that_it_still_serves();
}

TEST_F(NixlHostileTest, WhoDoesNotSayHelloFirstIsCutOff) {
  const std::string hellos[] = {
      write_nixl_hello({"another engine", handshake.compatibility_hash}),
      write_nixl_hello({handshake.agent->engine_id, "another hash"}),
      write_nixl_done({"r", 1}),
  };
  for (const std::string& body : hellos) {
    RawPeer peer(handshake.agent->data_port);
    peer.say(NixlFrameKind::kHello, 0, body);
    EXPECT_TRUE(peer.has_ended());
  }
  RawPeer silent(handshake.agent->data_port);
  silent.say(NixlFrameKind::kRead, 1, write_nixl_read(right_read()));
  EXPECT_TRUE(silent.has_ended());
  expect_that_it_still_serves();
}

TEST_F(NixlHostileTest, ForeignReadsAreRefusedAndCounted) {
  RawPeer peer(handshake.agent->data_port);
  peer.say(NixlFrameKind::kHello, 0, hello());
  std::vector<NixlRead> foreign(4, right_read());
  foreign[0].request_id = "cmpl-1-0-00000000";
  foreign[1].blocks[0] = 200;
  foreign[2].chain ^= 1;
  foreign[3].encoding = NixlEncoding::kShared;
  foreign[3].blocks.push_back(0);
  uint64_t id = 1;
  for (const NixlRead& read : foreign) {
    peer.say(NixlFrameKind::kRead, id, write_nixl_read(read));
    const auto answer = peer.hear();
    ASSERT_TRUE(answer.has_value());
    EXPECT_EQ(answer->first.kind, NixlFrameKind::kEnd);
    EXPECT_EQ(answer->first.id, id++);
    EXPECT_EQ(read_nixl_end(answer->second)->status, NixlEnd::Status::kRefused);
  }
  EXPECT_EQ(prefiller.connector().stats().refused_peers, 4u);
  // Guessing goes on for a while only.
  bool cut_off = false;
  for (int guess = 0; guess < 20 && !cut_off; ++guess) {
    peer.say(NixlFrameKind::kRead, id++, write_nixl_read(foreign[0]));
    cut_off = !peer.hear().has_value();
  }
  EXPECT_TRUE(cut_off);
  expect_that_it_still_serves();
}

TEST_F(NixlHostileTest, ARightReadIsServedWithItsChecksum) {
  RawPeer peer(handshake.agent->data_port);
  peer.say(NixlFrameKind::kHello, 0, hello());
  peer.say(NixlFrameKind::kRead, 7, write_nixl_read(right_read()));
  const auto data = peer.hear();
  ASSERT_TRUE(data.has_value());
  EXPECT_EQ(data->first.kind, NixlFrameKind::kData);
  EXPECT_EQ(data->first.id, 7u);
  NixlChunk payload;
  const std::string_view bytes =
      std::string_view(data->second).substr(NixlFrameHead::kChecksumBytes);
  ASSERT_EQ(bytes.size(), 5 * prefiller.memory().layout().block_bytes());
  payload.add(std::as_bytes(std::span(bytes)));
  uint64_t checksum = 0;
  std::memcpy(&checksum, data->second.data(), sizeof checksum);
  EXPECT_EQ(payload.checksum(0), checksum);
  EXPECT_EQ(peer.hear()->first.kind, NixlFrameKind::kEnd);
}

TEST_F(NixlHostileTest, BrokenFramesEndTheConnectionOnly) {
  for (const NixlFrameKind kind : {NixlFrameKind::kRead, NixlFrameKind::kDone, NixlFrameKind::kBeat,
                                   NixlFrameKind::kData, NixlFrameKind::kHello}) {
    RawPeer peer(handshake.agent->data_port);
    peer.say(NixlFrameKind::kHello, 0, hello());
    peer.say(kind, 1, "\xc1\xc1");
    EXPECT_TRUE(peer.has_ended());
  }
  expect_that_it_still_serves();
}

TEST_F(NixlHostileTest, WhoSaysNothingIsCutOffAfterAWhile) {
  NixlLimits impatient;
  impatient.stall_timeout = std::chrono::milliseconds(20);
  NixlTestWorker worker(loop, NixlTestWorker::on_free_ports(), impatient);
  const uint16_t port = read_nixl_leg_params(worker.prefill(1, prompt)).handoff.port;
  const auto said = read_nixl_handshake(ask(port, write_nixl_question({})));
  RawPeer silent(said->agent->data_port);
  EXPECT_TRUE(silent.has_ended());
  RawPeer half(said->agent->data_port);
  half.say(NixlFrameKind::kHello, 0,
           write_nixl_hello({said->agent->engine_id, said->compatibility_hash}));
  half.send_bytes("K\x02");
  EXPECT_TRUE(half.has_ended());
}

// --- A decoder that does not keep up: its blocks do not fit into what a connection holds ---

class NixlSlowDecoderTest : public testing::Test {
 protected:
  static KvLayout large_layout() {
    KvLayout layout = NixlTestWorker::small_layout();
    layout.bytes_per_token = 64 * 1024;
    return layout;
  }
  // Asks for all blocks of an offer, twice over, and reads nothing.
  std::unique_ptr<RawPeer> ask_for_all(NixlTestWorker& worker) {
    const NixlTestPrompt prompt(80, 1);
    const std::string params = worker.prefill(1, prompt);
    const NixlLegParams leg = read_nixl_leg_params(params);
    const auto said = read_nixl_handshake(ask(leg.handoff.port, write_nixl_question({})));
    auto peer = std::make_unique<RawPeer>(said->agent->data_port);
    peer->say(NixlFrameKind::kHello, 0,
              write_nixl_hello({said->agent->engine_id, said->compatibility_hash}));
    offer = leg.handoff.request_id;
    const NixlRead read{offer, prompt.blocks.back(), NixlEncoding::kHalf, false, leg.block_ids};
    peer->say(NixlFrameKind::kRead, 1, write_nixl_read(read));
    peer->say(NixlFrameKind::kRead, 2, write_nixl_read(read));
    return peer;
  }
  // How each read ended, as far as the connection lets it be known.
  static std::map<uint64_t, NixlEnd::Status> ends(RawPeer& peer, size_t most) {
    std::map<uint64_t, NixlEnd::Status> ended;
    while (ended.size() < most) {
      const auto frame = peer.hear();
      if (!frame) break;
      if (frame->first.kind != NixlFrameKind::kEnd) continue;
      ended[frame->first.id] = read_nixl_end(frame->second)->status;
    }
    return ended;
  }

  PatientLoop loop;
  std::string offer;
};

// What it was sent until then it has; nothing is read of blocks that are others' by now.
TEST_F(NixlSlowDecoderTest, AnOfferThatEndsWhileItIsReadBreaksTheConnection) {
  KvTransferConfig brief = NixlTestWorker::on_free_ports();
  brief.lease = std::chrono::milliseconds(200);
  NixlTestWorker worker(loop, brief, {}, {}, large_layout());
  const auto peer = ask_for_all(worker);
  loop.run_until([&] { return worker.released.count(1) > 0; });
  EXPECT_EQ(worker.connector().stats().expired_requests, 1u);
  EXPECT_TRUE(ends(*peer, 2).empty());
}

TEST_F(NixlSlowDecoderTest, AReadThatIsStoppedEndsAndTheConnectionStays) {
  NixlTestWorker worker(loop, NixlTestWorker::on_free_ports(), {}, {}, large_layout());
  const auto peer = ask_for_all(worker);
  peer->say(NixlFrameKind::kStop, 1, "");
  peer->say(NixlFrameKind::kStop, 77, "");
  auto ended = ends(*peer, 2);
  EXPECT_EQ(ended[1], NixlEnd::Status::kStopped);
  EXPECT_EQ(ended[2], NixlEnd::Status::kRead);
}

// The piece on its way is sent to its end, and then the offer is over.
TEST_F(NixlSlowDecoderTest, WhoIsDoneInTheMiddleOfAReadIsHeard) {
  NixlTestWorker worker(loop, NixlTestWorker::on_free_ports(), {}, {}, large_layout());
  const auto peer = ask_for_all(worker);
  peer->say(NixlFrameKind::kDone, 3, write_nixl_done({offer, 0}));
  auto ended = ends(*peer, 1);
  EXPECT_EQ(ended[1], NixlEnd::Status::kStopped);
  loop.run_until([&] { return worker.released.count(1) > 0; });
  EXPECT_EQ(worker.connector().stats().expired_requests, 0u);
  std::vector<NixlFrameKind> kinds;
  for (int i = 0; i < 2; ++i) kinds.push_back(peer->hear().value().first.kind);
  EXPECT_THAT(kinds, testing::UnorderedElementsAre(NixlFrameKind::kNoted, NixlFrameKind::kEnd));
  peer->say(NixlFrameKind::kDone, 4, write_nixl_done({offer, 0}));
  EXPECT_EQ(peer->hear().value().first.kind, NixlFrameKind::kNoted);
  EXPECT_EQ(worker.connector().stats().late_notifications, 1u);
}

TEST_F(NixlSlowDecoderTest, WhoTakesNothingIsCutOff) {
  NixlLimits impatient;
  impatient.stall_timeout = std::chrono::milliseconds(100);
  NixlTestWorker worker(loop, NixlTestWorker::on_free_ports(), impatient, {}, large_layout());
  const auto peer = ask_for_all(worker);
  peer->wait_until_reset();
  EXPECT_LT(ends(*peer, 2).size(), 2u);
}

TEST_F(NixlSlowDecoderTest, WhoAsksForTooMuchIsCutOff) {
  NixlLimits few;
  few.reads_max = 4;
  NixlTestWorker worker(loop, NixlTestWorker::on_free_ports(), few, {}, large_layout());
  const auto peer = ask_for_all(worker);
  const NixlLegParams leg = read_nixl_leg_params(worker.offered[1]);
  const NixlRead read{offer, NixlTestPrompt(80, 1).blocks.back(), NixlEncoding::kHalf, false,
                      leg.block_ids};
  for (uint64_t id = 3; id < 8; ++id) peer->say(NixlFrameKind::kRead, id, write_nixl_read(read));
  peer->wait_until_reset();
  EXPECT_EQ(worker.connector().stats().refused_peers, 1u);
}

// --- A prefiller that is none ---

// Answers each question over the side channel with the same, and passes each data connection that
// it takes to `serve`.
class FakePrefiller {
 public:
  FakePrefiller(std::function<std::string(uint16_t data_port)> answer,
                std::function<void(int socket, int connection)> serve)
      : listener_(listen_tcp("127.0.0.1", 0, false).value()), context_(zmq_ctx_new()) {
    side_ = zmq_socket(context_, ZMQ_REP);
    zmq_bind(side_, "tcp://127.0.0.1:*");
    char bound[256] = {};
    size_t size = sizeof bound;
    zmq_getsockopt(side_, ZMQ_LAST_ENDPOINT, bound, &size);
    port_ = static_cast<uint16_t>(std::atoi(std::strrchr(bound, ':') + 1));
    const std::string said = answer(local_port(listener_));
    thread_ = std::thread([this, said, serve] { run(said, serve); });
  }
  ~FakePrefiller() {
    stop_ = true;
    thread_.join();
    const int none = 0;
    zmq_setsockopt(side_, ZMQ_LINGER, &none, sizeof none);
    zmq_close(side_);
    zmq_ctx_term(context_);
  }
  std::string params(const std::string& blocks) const {
    return R"({"do_remote_prefill":true,"remote_block_ids":[)" + blocks +
           R"(],"remote_engine_id":"e","remote_request_id":"r","remote_host":"127.0.0.1","remote_port":)" +
           std::to_string(port_) + "}";
  }
  // Of a worker with the fixture's layout and model.
  static std::string good_answer(uint16_t data_port, uint64_t lease_ms) {
    const KvLayout layout = NixlTestWorker::small_layout();
    NixlAgent agent;
    agent.engine_id = "e";
    agent.model = "m";
    agent.version = "1";
    agent.data_port = data_port;
    agent.blocks = NixlTestWorker::kBlocks;
    agent.block_bytes = layout.block_bytes();
    agent.block_size = layout.block_size;
    agent.layers = layout.layers;
    agent.lease_ms = lease_ms;
    return write_nixl_handshake({nixl_compatibility_hash("m", layout), agent});
  }

 private:
  void run(const std::string& answer, const std::function<void(int, int)>& serve) {
    int connections = 0;
    while (!stop_) {
      zmq_pollitem_t items[2] = {{side_, 0, ZMQ_POLLIN, 0},
                                 {nullptr, listener_.get(), ZMQ_POLLIN, 0}};
      zmq_poll(items, 2, 5);
      if ((items[0].revents & ZMQ_POLLIN) != 0) {
        char question[256];
        zmq_recv(side_, question, sizeof question, 0);
        zmq_send(side_, answer.data(), answer.size(), 0);
      }
      if ((items[1].revents & ZMQ_POLLIN) != 0) {
        const Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        const timeval patience{0, 50'000};
        setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        serve(socket.get(), connections++);
      }
    }
  }

  const Descriptor listener_;
  void* const context_;
  void* side_ = nullptr;
  uint16_t port_ = 0;
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

class NixlFakePrefillerTest : public testing::Test {
 protected:
  static std::string good_answer(uint16_t data_port) {
    return FakePrefiller::good_answer(data_port, 30'000);
  }
  static NixlLimits impatient() {
    NixlLimits limits;
    limits.handshake_timeout = std::chrono::milliseconds(300);
    limits.stall_timeout = std::chrono::milliseconds(200);
    limits.retry_after = std::chrono::milliseconds(1);
    return limits;
  }
  // What becomes of a fetch of 5 blocks.
  KvFetched fetch(const FakePrefiller& prefiller) {
    NixlTestWorker decoder(loop, NixlTestWorker::on_free_ports(), impatient());
    const NixlTestPrompt prompt(5, 1);
    decoder.plan(1, prompt, prefiller.params("1,2,3,4,5"));
    const KvFetched fetched = decoder.fetch(1, 0, 5);
    right = decoder.holds(prompt, 0, fetched.blocks);
    refused = decoder.connector().stats().refused_peers;
    return fetched;
  }
  static std::string frame(NixlFrameKind kind, uint64_t id, std::string_view body) {
    std::string frame;
    append_nixl_frame(frame, kind, id, body);
    return frame;
  }
  static void say(int socket, const std::string& bytes) {
    (void)::send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
  }
  // nullopt: the connection ended, or nothing came for a moment.
  static std::optional<std::pair<NixlFrameHead, std::string>> hear(int socket) {
    char head[NixlFrameHead::kBytes];
    if (recv(socket, head, sizeof head, MSG_WAITALL) != sizeof head) return std::nullopt;
    const NixlFrameHead read = read_nixl_frame_head(head).value();
    std::string body(read.body_bytes, '\0');
    if (!body.empty()) (void)recv(socket, body.data(), body.size(), MSG_WAITALL);
    return std::pair(read, body);
  }
  // The id of the first read; 0: there came none.
  static uint64_t hear_read(int socket) {
    while (const auto frame = hear(socket)) {
      if (frame->first.kind == NixlFrameKind::kRead) return frame->first.id;
    }
    return 0;
  }
  // A frame with blocks of the prompt, from `first` on.
  static std::string data_of(uint64_t id, uint32_t first, uint32_t count, bool right = true) {
    const size_t bytes = NixlTestWorker::small_layout().block_bytes();
    std::vector<std::byte> blocks(count * bytes);
    const NixlTestPrompt prompt(5, 1);
    for (uint32_t i = 0; i < count; ++i) {
      fill_kv_block(prompt.blocks[first + i], std::span(blocks).subspan(i * bytes, bytes));
    }
    NixlChunk chunk;
    chunk.add(blocks);
    const uint64_t checksum = chunk.checksum(0);
    if (!right) blocks[bytes / 2] ^= std::byte{1};
    std::string body(reinterpret_cast<const char*>(&checksum), sizeof checksum);
    body.append(reinterpret_cast<const char*>(blocks.data()), blocks.size());
    return frame(NixlFrameKind::kData, id, body);
  }
  static std::string end_of(uint64_t id) {
    return frame(NixlFrameKind::kEnd, id, write_nixl_end({NixlEnd::Status::kRead, {}}));
  }

  PatientLoop loop;
  bool right = false;
  uint64_t refused = 0;
};

TEST_F(NixlFakePrefillerTest, ARealEngineIsRefusedByName) {
  const FakePrefiller vllm(
      [](uint16_t) {
        std::string agent;
        append_msgpack_map(agent, 2);
        append_msgpack_text(agent, "engine_id");
        append_msgpack_text(agent, "e");
        append_msgpack_text(agent, "agent_metadata");
        append_msgpack_bytes(agent, "nixlSerDes|");
        std::string answer;
        append_msgpack_map(answer, 2);
        append_msgpack_text(answer, "compatibility_hash");
        append_msgpack_text(answer, std::string(64, '7'));
        append_msgpack_text(answer, "agent_metadata_bytes");
        append_msgpack_bytes(answer, agent);
        return answer;
      },
      [](int, int) {});
  const KvFetched fetched = fetch(vllm);
  EXPECT_EQ(fetched.blocks, 0u);
  EXPECT_THAT(fetched.problem, HasSubstr("is no simulated worker but a real engine"));
  EXPECT_THAT(fetched.problem, HasSubstr(std::string(64, '7')));
  EXPECT_EQ(refused, 1u);
}

TEST_F(NixlFakePrefillerTest, WhatIsNoHandshakeIsSaid) {
  const FakePrefiller odd([](uint16_t) { return "\x81\xa1x\x01"s; }, [](int, int) {});
  EXPECT_THAT(fetch(odd).problem, HasSubstr("compatibility_hash is missing"));
}

TEST_F(NixlFakePrefillerTest, WhoServesAsAgreedIsBelieved) {
  const FakePrefiller good(good_answer, [](int socket, int) {
    const uint64_t id = hear_read(socket);
    say(socket, data_of(id, 0, 3) + data_of(id, 3, 2) + end_of(id));
    hear_read(socket);  // until it goes
  });
  const KvFetched fetched = fetch(good);
  EXPECT_EQ(fetched.problem, "");
  EXPECT_EQ(fetched.blocks, 5u);
  EXPECT_TRUE(right);
}

// What was whole before the connection broke is not asked for again.
TEST_F(NixlFakePrefillerTest, AReadGoesOnOnAnotherConnection) {
  const FakePrefiller breaks(good_answer, [](int socket, int connection) {
    const uint64_t id = hear_read(socket);
    const std::string data = data_of(id, 2, 3);
    if (connection == 0) return say(socket, data_of(id, 0, 2) + data.substr(0, data.size() / 2));
    say(socket, data + end_of(id));
    hear_read(socket);
  });
  const KvFetched fetched = fetch(breaks);
  EXPECT_EQ(fetched.problem, "");
  EXPECT_EQ(fetched.blocks, 5u);
  EXPECT_TRUE(right);
}

TEST_F(NixlFakePrefillerTest, WhenOnlyTheEndIsLostAllIsThere) {
  const FakePrefiller breaks(good_answer, [](int socket, int) {
    const uint64_t id = hear_read(socket);
    if (id != 0) say(socket, data_of(id, 0, 5));
  });
  const KvFetched fetched = fetch(breaks);
  EXPECT_EQ(fetched.problem, "");
  EXPECT_EQ(fetched.blocks, 5u);
  EXPECT_TRUE(right);
}

// Who is planned waits for room, and its prefiller hears of it until then.
TEST_F(NixlFakePrefillerTest, WhatIsPlannedHasHeartbeats) {
  std::atomic<int> beats{0};
  const FakePrefiller hears(
      [](uint16_t data_port) { return FakePrefiller::good_answer(data_port, 60); },
      [&beats](int socket, int) {
        while (beats < 3) {
          const auto frame = hear(socket);
          if (!frame) return;
          if (frame->first.kind != NixlFrameKind::kBeat) continue;
          const auto ids = read_nixl_beat(frame->second);
          if (ids.ok() && *ids == std::vector<std::string_view>{"r"}) ++beats;
        }
      });
  NixlTestWorker decoder(loop);
  decoder.plan(1, NixlTestPrompt(5, 1), hears.params("1,2,3,4,5"));
  loop.run_until([&] { return beats == 3; });
}

// The note that all was read is said again on the next connection, until it was heard.
TEST_F(NixlFakePrefillerTest, ANoteThatIsLostIsSaidAgain) {
  std::atomic<int> notes{0};
  const FakePrefiller forgets(good_answer, [&notes](int socket, int) {
    while (const auto frame = hear(socket)) {
      const uint64_t id = frame->first.id;
      if (frame->first.kind == NixlFrameKind::kRead) say(socket, data_of(id, 0, 5) + end_of(id));
      if (frame->first.kind != NixlFrameKind::kDone) continue;
      const auto done = read_nixl_done(frame->second);
      if (!done.ok() || done->request_id != "r" || done->blocks != 5) continue;
      if (++notes == 1) return;
      say(socket, NixlFakePrefillerTest::frame(NixlFrameKind::kNoted, id, ""));
    }
  });
  NixlTestWorker decoder(loop, NixlTestWorker::on_free_ports(), impatient());
  const NixlTestPrompt prompt(5, 1);
  decoder.plan(1, prompt, forgets.params("1,2,3,4,5"));
  EXPECT_EQ(decoder.fetch(1, 0, 5).blocks, 5u);
  loop.run_until([&] { return notes == 2; });
  EXPECT_EQ(decoder.connector().stats().failed_notifications, 0u);
}

TEST_F(NixlFakePrefillerTest, ANoteThatNobodyHearsIsCounted) {
  auto dies = std::make_unique<FakePrefiller>(good_answer, [](int socket, int) {
    const uint64_t id = hear_read(socket);
    if (id != 0) say(socket, data_of(id, 0, 5) + end_of(id));
  });
  NixlTestWorker decoder(loop, NixlTestWorker::on_free_ports(), impatient());
  const NixlTestPrompt prompt(5, 1);
  decoder.plan(1, prompt, dies->params("1,2,3,4,5"));
  EXPECT_EQ(decoder.fetch(1, 0, 5).blocks, 5u);
  dies = nullptr;
  loop.run_until([&] { return decoder.connector().stats().failed_notifications == 1; });
}

TEST_F(NixlFakePrefillerTest, WhatIsWholeCountsWhenTheRestNeverComes) {
  const FakePrefiller breaks(good_answer, [](int socket, int connection) {
    const uint64_t id = hear_read(socket);
    if (connection == 0) say(socket, data_of(id, 0, 2));
  });
  const KvFetched fetched = fetch(breaks);
  EXPECT_NE(fetched.problem, "");
  EXPECT_EQ(fetched.blocks, 2u);
  EXPECT_TRUE(right);
}

TEST_F(NixlFakePrefillerTest, AFlippedBitIsNoticed) {
  const FakePrefiller flips(good_answer, [](int socket, int) {
    const uint64_t id = hear_read(socket);
    say(socket, data_of(id, 0, 5, false) + end_of(id));
  });
  const KvFetched fetched = fetch(flips);
  EXPECT_EQ(fetched.blocks, 0u);
  EXPECT_THAT(fetched.problem, HasSubstr("their checksum is another one"));
}

TEST_F(NixlFakePrefillerTest, WhoStallsIsGivenUp) {
  const FakePrefiller stalls(good_answer, [](int socket, int connection) {
    const uint64_t id = hear_read(socket);
    if (connection == 0) say(socket, data_of(id, 0, 1));
    pollfd until_it_goes{socket, POLLRDHUP, 0};
    poll(&until_it_goes, 1, 10'000);
  });
  const KvFetched fetched = fetch(stalls);
  EXPECT_THAT(fetched.problem, HasSubstr("it has sent nothing for too long"));
  EXPECT_EQ(fetched.blocks, 1u);
  EXPECT_TRUE(right);
}

TEST_F(NixlFakePrefillerTest, WhatNobodyAskedForEndsTheConnection) {
  using Make = std::function<std::string(uint64_t id)>;
  const Make odd[] = {
      [](uint64_t id) { return data_of(id + 1, 0, 1); },
      [](uint64_t id) { return data_of(id, 0, 4) + data_of(id, 0, 2); },
      [](uint64_t id) { return frame(NixlFrameKind::kData, id, std::string(100, 'x')); },
      [](uint64_t id) { return frame(NixlFrameKind::kData, id, ""); },
      [](uint64_t id) { return data_of(id, 0, 4) + end_of(id); },
      [](uint64_t id) { return end_of(id + 1); },
      [](uint64_t id) { return frame(NixlFrameKind::kEnd, id, "\xc1"); },
      [](uint64_t id) { return frame(NixlFrameKind::kHello, id, ""); },
      [](uint64_t) { return "HTTP/1.1 400 Bad Request\r\n\r\n"s; },
      [](uint64_t) { return "K\x07\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0"s; },
  };
  for (const Make& make : odd) {
    const FakePrefiller prefiller(good_answer, [&make](int socket, int) {
      const uint64_t id = hear_read(socket);
      if (id != 0) say(socket, make(id));
      hear_read(socket);
    });
    const KvFetched fetched = fetch(prefiller);
    EXPECT_NE(fetched.problem, "");
    EXPECT_LT(fetched.blocks, 6u);
    EXPECT_TRUE(right);
  }
}

}  // namespace
}  // namespace kvasir
