// Two ends of a socket pair, plain and encrypted: what is above must not see a difference.
#include "net/io/transport.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include "net/io/tls_context.h"

namespace kvasir {
namespace {

using Status = Transport::Status;

struct Ends {
  explicit Ends(bool encrypted) {
    int sockets[2];
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sockets), 0);
    if (!encrypted) {
      client = Transport(Descriptor(sockets[0]));
      server = Transport(Descriptor(sockets[1]));
      return;
    }
    static const auto server_context = std::move(TlsContext::self_signed()).value();
    TlsClientOptions options;
    options.check_server = false;
    options.protocol = TlsProtocol::kHttp2;
    static const auto client_context = std::move(TlsClientContext::create(options)).value();
    client = Transport(Descriptor(sockets[0]), client_context->open_session("localhost"));
    server = Transport(Descriptor(sockets[1]), server_context->open_session());
    EXPECT_FALSE(client.ready());
    EXPECT_TRUE(client.begin());
    char bytes[10];
    while (!client.ready() || !server.ready()) {
      EXPECT_EQ(server.read(bytes, sizeof bytes).status, Status::kLater);
      EXPECT_EQ(client.read(bytes, sizeof bytes).status, Status::kLater);
    }
  }

  // What the server reads, `room` bytes at a time, while the client sends what is unsent.
  std::string all_read(size_t room) {
    std::string text, bytes(room, ' ');
    bool looked_again = false;
    for (;;) {
      const Transport::Reading reading = server.read(bytes.data(), room);
      text.append(bytes, 0, reading.size);
      if (reading.size > 0) {
        looked_again = false;
        continue;
      }
      EXPECT_FALSE(server.more());
      if (client.unsent() > 0) {
        EXPECT_TRUE(client.flush());
      } else if (server.drained() || std::exchange(looked_again, true)) {
        EXPECT_TRUE(server.drained());
        return text;
      }
    }
  }

  Transport client, server;
};

std::string numbered(size_t size) {
  std::string text;
  for (int i = 0; text.size() < size; ++i) text += std::to_string(i) + " ";
  text.resize(size);
  return text;
}

TEST(Transport, WhatIsSentArrivesWholeAndInOrder) {
  for (const bool encrypted : {false, true}) {
    for (const size_t size : {size_t{1}, size_t{20'000}, size_t{3'000'000}}) {
      const std::string text = numbered(size);
      for (const size_t room : {size_t{1000}, size_t{65'536}}) {
        Ends ends(encrypted);
        ends.client.append("head ");
        ASSERT_TRUE(ends.client.send(text, " tail"));
        EXPECT_TRUE(ends.all_read(room) == "head " + text + " tail") << encrypted << size;
        GatherBuffer pieces;
        pieces.append("head ");
        pieces.append_stable(text);
        pieces.append(" tail");
        ASSERT_TRUE(ends.client.send(pieces));
        EXPECT_TRUE(ends.all_read(room) == "head " + text + " tail") << encrypted << size;
      }
    }
  }
}

TEST(Transport, SomeOfMuchIsSentAndTheRestIsLeftToTheCaller) {
  for (const bool encrypted : {false, true}) {
    Ends ends(encrypted);
    const std::string text = numbered(3'000'000);
    std::string_view first = std::string_view(text).substr(0, 10), second(text);
    second.remove_prefix(10);
    std::string received;
    for (int rounds = 0; received.size() < text.size() && rounds < 1000; ++rounds) {
      const std::optional<size_t> sent = ends.client.send_some(first, second);
      ASSERT_TRUE(sent);
      EXPECT_LT(ends.client.unsent(), 2 * TlsSession::kWriteBytesMax);
      const size_t of_first = std::min(*sent, first.size());
      first.remove_prefix(of_first);
      second.remove_prefix(*sent - of_first);
      received += ends.all_read(65'536);
    }
    EXPECT_TRUE(received == text) << encrypted;
  }
}

TEST(Transport, BytesThatWereReadAheadAreAnnounced) {
  Ends ends(true);
  ASSERT_TRUE(ends.client.send("abc"));
  char bytes[10];
  for (const char expected : {'a', 'b'}) {
    ASSERT_EQ(ends.server.read(bytes, 1).size, 1u);
    EXPECT_EQ(bytes[0], expected);
    EXPECT_TRUE(ends.server.more());
    EXPECT_FALSE(ends.server.drained());
  }
  EXPECT_EQ(ends.server.read(bytes, sizeof bytes).size, 1u);
  EXPECT_FALSE(ends.server.more());
  EXPECT_TRUE(ends.server.drained());
}

TEST(Transport, EndIsReadBehindWhatWasSent) {
  for (const bool encrypted : {false, true}) {
    Ends ends(encrypted);
    ASSERT_TRUE(ends.client.send("last"));
    ends.client.end_sending();
    char bytes[10];
    EXPECT_EQ(ends.server.read(bytes, sizeof bytes).size, 4u);
    EXPECT_EQ(ends.server.more(), encrypted);  // the end was read ahead
    EXPECT_EQ(ends.server.read(bytes, sizeof bytes).status, Status::kEnd);
    ASSERT_TRUE(ends.server.send("answer"));
    EXPECT_EQ(ends.client.read(bytes, sizeof bytes).size, 6u);
  }
}

TEST(Transport, EncryptedEndWithoutAGoodbyeIsABrokenConnection) {
  for (const bool encrypted : {false, true}) {
    Ends ends(encrypted);
    ends.client = Transport();
    char bytes[10];
    EXPECT_EQ(ends.server.read(bytes, sizeof bytes).status,
              encrypted ? Status::kBroken : Status::kEnd);
    EXPECT_EQ(ends.server.failure().empty(), !encrypted);
  }
}

}  // namespace
}  // namespace kvasir
