// What a client can write into x-prefiller-host-port to reach what it should not. Each attempt is
// refused and counted, and nothing is connected to.
#include <array>
#include <string>

#include "sidecar/sidecar_fixture.h"

namespace kvasir {
namespace {

class SidecarAllowlistTest : public SidecarTest {
 protected:
  SidecarAllowlistTest() { options_.allowlist = &allowlist_; }

  void allow(const std::string& host, uint16_t port) {
    allowlist_.replace_all({{"prefill-0", host, port}});
  }
  Recorder complete(const std::string& header_lines) {
    return ask("POST", "/v1/completions", header_lines, R"({"prompt":"x","max_tokens":3})");
  }
  static std::string named(const std::string& value) {
    return "x-prefiller-host-port: " + value + "\r\n";
  }

  PrefillerAllowlist allowlist_;
};

TEST_F(SidecarAllowlistTest, EveryAttemptIsRefusedAndCounted) {
  start();
  allow("127.0.0.1", prefiller_.port());
  const std::string port = std::to_string(prefiller_.port());
  const std::string other = std::to_string(decoder_.port());
  const std::string attempts[] = {
      // Other ports of an allowed host, and spellings of them.
      "127.0.0.1:" + other,
      "127.0.0.1:22",
      "127.0.0.1:0",
      "127.0.0.1:65536",
      "127.0.0.1:-1",
      "127.0.0.1:+" + port,
      "127.0.0.1:0x1f90",
      "127.0.0.1",
      "127.0.0.1:",
      "127.0.0.1:" + port + ":" + other,
      ":" + port,
      // Hosts that nobody allowed.
      "169.254.169.254:80",
      "10.96.0.1:443",
      "0.0.0.0:" + port,
      "127.0.0.2:" + port,
      "255.255.255.255:" + port,
      // Other ways to write an IPv4 address: names, to whoever looks them up.
      "2852039166:80",
      "0xa9fea9fe:80",
      "0251.0376.0251.0376:80",
      "127.2:" + port,
      "127.000.000.002:" + port,
      "2130706433:" + other,
      "0x7f000001:22",
      // IPv6.
      "[::1]:" + port,
      "[::]:" + port,
      "[::ffff:127.0.0.2]:" + port,
      "[::ffff:169.254.169.254]:80",
      "[fe80::1]:" + port,
      "[fe80::1%25eth0]:" + port,
      "[64:ff9b::7f00:1]:" + port,
      "::1:" + port,
      "[127.0.0.1]:" + other,
      // Userinfo, paths, schemes.
      "127.0.0.1:" + port + "@169.254.169.254:80",
      "user@127.0.0.1:" + port,
      "127.0.0.1:" + port + "/../x",
      "127.0.0.1:" + port + "#@evil:80",
      "127.0.0.1:" + port + "?x=1",
      "https://127.0.0.1:" + other,
      "http://127.0.0.1:" + other,
      "http://http://127.0.0.1:" + port,
      "file:///etc/passwd",
      "gopher://127.0.0.1:" + port,
      "//127.0.0.1:" + port,
      "127.0.0.1:" + port + "\\@evil:80",
      // Names without an address, and blanks inside.
      "no-such-host.invalid:" + port,
      "127.0.0.1 :" + port,
      "127.0.0.1:" + port + " evil:80",
  };
  int refused = 0;
  for (const std::string& attempt : attempts) {
    const Recorder answer = complete(named(attempt));
    EXPECT_EQ(answer.status, 403) << attempt << ": " << answer.body;
    EXPECT_THAT(answer.body, ::testing::HasSubstr("not allowed by SSRF protection")) << attempt;
    EXPECT_GE(told_.blocked, ++refused) << attempt;
  }
  EXPECT_GE(refused, 30);
  EXPECT_EQ(prefiller_.requests, 0);
  EXPECT_EQ(decoder_.requests, 0);
}

TEST_F(SidecarAllowlistTest, WhoIsAllowedIsAskedInEverySpelling) {
  start();
  allow("127.0.0.1", prefiller_.port());
  prefiller_.answer = kAnswer;
  const std::string port = std::to_string(prefiller_.port());
  int asked = 0;
  for (const std::string& worker :
       {"127.0.0.1:" + port, "http://127.0.0.1:" + port, "[::ffff:127.0.0.1]:" + port}) {
    EXPECT_EQ(complete(named(worker)).status, 200) << worker;
    EXPECT_EQ(prefiller_.requests, ++asked) << worker;
  }
  EXPECT_EQ(told_.blocked, 0);
}

TEST_F(SidecarAllowlistTest, OfSeveralTheAllowedOnesAreAskedAndTheOthersAreCounted) {
  start();
  allow("127.0.0.1", prefiller_.port());
  prefiller_.answer = kAnswer;
  EXPECT_EQ(complete(named("169.254.169.254:80, " + prefiller_.address())).status, 200);
  EXPECT_EQ(prefiller_.requests, 1);
  EXPECT_EQ(told_.blocked, 1);
}

TEST_F(SidecarAllowlistTest, ARedirectIsNotFollowed) {
  start();
  allow("127.0.0.1", prefiller_.port());
  prefiller_.status = 307;
  prefiller_.more_fields = "Location: http://" + decoder_.address() + "/secret\r\n";
  EXPECT_GE(complete(named(prefiller_.address())).status, 500);
  EXPECT_EQ(prefiller_.requests, 1);
  EXPECT_EQ(decoder_.requests, 0);
}

TEST_F(SidecarAllowlistTest, BeforeTheListIsKnownNobodyIsAndNobodyIsReady) {
  start();
  EXPECT_EQ(complete(named(prefiller_.address())).status, 403);
  EXPECT_EQ(ask("GET", "/ready", "").status, 503);
  allow("127.0.0.1", prefiller_.port());
  prefiller_.answer = kAnswer;
  EXPECT_EQ(complete(named(prefiller_.address())).status, 200);
  EXPECT_EQ(ask("GET", "/ready", "").status, 200);
  allowlist_.apply({}, {"prefill-0"});  // it terminates
  EXPECT_EQ(complete(named(prefiller_.address())).status, 403);
  EXPECT_EQ(ask("GET", "/health", "").status, 200);
}

// What names no worker needs no list.
TEST_F(SidecarAllowlistTest, RequestsForTheDecoderAloneGoOn) {
  start();
  EXPECT_EQ(complete("").status, 200);
  EXPECT_EQ(complete(named(" ")).status, 200);
  EXPECT_EQ(decoder_.requests, 2);
}

TEST_F(SidecarAllowlistTest, ASourceOfBlocksIsHeldAgainstTheListToo) {
  options_.handoff.dialect = KvDialect::kOffloading;
  start();
  allow("127.0.0.1", prefiller_.port());
  const std::string source = "x-kv-cache-source-host-port: 10.0.0.9:8000\r\n";
  EXPECT_EQ(complete(named(prefiller_.address()) + source).status, 200);
  EXPECT_EQ(prefiller_.body.find("10.0.0.9"), std::string::npos) << prefiller_.body;
  EXPECT_EQ(decoder_.body.find("10.0.0.9"), std::string::npos) << decoder_.body;
  EXPECT_EQ(told_.blocked, 1);
}

}  // namespace
}  // namespace kvasir
