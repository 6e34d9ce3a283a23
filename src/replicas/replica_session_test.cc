// Every way to speak without the secret that we could think of.
#include "replicas/replica_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/io/authentication.h"
#include "wire/replica_handshake.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

constexpr const char* kSecret = "a secret of some length";

struct Pair {
  explicit Pair(std::string_view speakers = kSecret, std::string_view listeners = kSecret)
      : sealer(speakers, 7), checker(listeners) {}
  Result<void> greet() { return sealer.hear(checker.challenge(sealer.hello()).value()); }
  std::string say(std::string_view message) { return sealer.seal(message).append(message); }

  ReplicaSealer sealer;
  ReplicaChecker checker;
};

TEST(ReplicaSession, WhatIsSaidIsHeard) {
  Pair pair;
  ASSERT_TRUE(pair.greet());
  EXPECT_EQ(pair.checker.origin(), 7u);
  EXPECT_FALSE(pair.checker.proven());
  for (const char* message : {"first", "", "third"}) {
    const std::string sealed = pair.say(message);
    const Result<std::string_view> opened = pair.checker.open(sealed);
    ASSERT_TRUE(opened);
    EXPECT_EQ(*opened, message);
    EXPECT_TRUE(pair.checker.proven());
  }
}

TEST(ReplicaSession, AListenerWithAnotherSecretIsNotTold) {
  Pair pair(kSecret, "another secret");
  const Result<void> greeted = pair.greet();
  ASSERT_FALSE(greeted);
  EXPECT_THAT(greeted.error().message, HasSubstr("another secret"));
  EXPECT_FALSE(pair.sealer.ready());
}

TEST(ReplicaSession, ASpeakerWithAnotherSecretIsNotHeard) {
  Pair good;
  ASSERT_TRUE(good.greet());
  // It goes on although the challenge told it that its secret is wrong.
  Pair forger("guessed", "guessed");
  ASSERT_TRUE(forger.greet());
  const Result<std::string_view> opened = good.checker.open(forger.say("forged"));
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("another secret"));
  EXPECT_FALSE(good.checker.proven());
}

TEST(ReplicaSession, WhatWasOverheardCannotBeSaidAgain) {
  Pair overheard;
  const std::string hello = overheard.sealer.hello();
  ASSERT_TRUE(overheard.greet());
  const std::string sealed = overheard.say("load");
  ASSERT_TRUE(overheard.checker.open(sealed));
  EXPECT_FALSE(overheard.checker.open(sealed)) << "nor on the same stream";

  ReplicaChecker another(kSecret);
  ASSERT_TRUE(another.challenge(hello));
  EXPECT_FALSE(another.open(sealed));
}

TEST(ReplicaSession, MessagesCannotBeChangedLeftOutOrSwapped) {
  const auto opens = [](Pair& pair, const std::string& sealed) {
    return static_cast<bool>(pair.checker.open(sealed));
  };
  for (size_t at : {0, 10, 31, 32, 35}) {
    Pair pair;
    ASSERT_TRUE(pair.greet());
    std::string changed = pair.say("load");
    changed[at] = static_cast<char>(changed[at] ^ 1);
    EXPECT_FALSE(opens(pair, changed)) << at;
  }
  Pair pair;
  ASSERT_TRUE(pair.greet());
  const std::string first = pair.say("1"), second = pair.say("2");
  EXPECT_FALSE(opens(pair, second)) << "the first was left out";
  EXPECT_TRUE(opens(pair, first));
  EXPECT_TRUE(opens(pair, second));
  EXPECT_FALSE(opens(pair, pair.say("longer").substr(0, kSealBytes + 2)));
  EXPECT_FALSE(opens(pair, "short"));
}

// A proof of the listener is no seal of a speaker, and its own words do not convince a speaker.
TEST(ReplicaSession, WhatOneSideSaysProvesNothingForTheOther) {
  Pair pair;
  const std::string challenge = pair.checker.challenge(pair.sealer.hello()).value();
  const std::string proof = read_replica_challenge(challenge)->proof;
  EXPECT_FALSE(pair.checker.open(proof));
  EXPECT_FALSE(pair.checker.open(proof + "message"));

  ReplicaSealer sealer(kSecret, 7);
  EXPECT_FALSE(sealer.hear(challenge)) << "it answers another greeting";
  EXPECT_FALSE(sealer.hear(sealer.hello()));
  EXPECT_FALSE(sealer.hear(""));
  EXPECT_FALSE(sealer.hear(write_replica_challenge({std::string(32, 'n'), ""})));
}

TEST(ReplicaSession, TheOriginIsBoundToTheStream) {
  Pair pair;
  ASSERT_TRUE(pair.greet());
  // Somebody between the two names another origin in the greeting.
  ReplicaHello hello = read_replica_hello(pair.sealer.hello()).value();
  hello.origin = 8;
  ReplicaChecker checker(kSecret);
  ReplicaSealer sealer(kSecret, 7);
  hello.nonce = read_replica_hello(sealer.hello())->nonce;
  EXPECT_FALSE(sealer.hear(checker.challenge(write_replica_hello(hello)).value()));
}

TEST(ReplicaSession, GreetingsThatAreNoneAreRefused) {
  const std::string nonce(kReplicaNonceBytes, 'n');
  for (const std::string& bytes :
       {std::string(), std::string("\xff\xff"), std::string(5000, 'x'),
        write_replica_hello({0, nonce}), write_replica_hello({1, "short"}),
        write_replica_hello({1, nonce}).substr(5)}) {
    EXPECT_FALSE(ReplicaChecker(kSecret).challenge(bytes)) << bytes.size();
  }
  EXPECT_TRUE(ReplicaChecker(kSecret).challenge(write_replica_hello({1, nonce})));
}

TEST(ReplicaSession, TheSecretIsNeverSent) {
  Pair pair;
  const std::string hello = pair.sealer.hello();
  const std::string challenge = pair.checker.challenge(hello).value();
  ASSERT_TRUE(pair.sealer.hear(challenge));
  for (const std::string& said : {hello, challenge, pair.say("load")}) {
    EXPECT_EQ(said.find(kSecret), std::string::npos);
  }
}

}  // namespace
}  // namespace kvasir
