#include "apps/gateway_tls_flags.h"

#include <gmock/gmock.h>

#include <CLI/CLI.hpp>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

Result<GatewayOptions> read(std::vector<std::string> arguments) {
  CLI::App command;
  GatewayTlsFlags flags;
  add_gateway_tls_flags(command, flags);
  std::reverse(arguments.begin(), arguments.end());
  command.parse(arguments);
  GatewayOptions options;
  if (Result<void> taken = read_gateway_tls_flags(flags, options); !taken) return taken.error();
  return options;
}

TEST(GatewayTlsFlags, ClientsSpeakPlainHttpByDefault) {
  const GatewayOptions options = read({}).value();
  EXPECT_TRUE(options.certificate_folders.empty());
  EXPECT_TRUE(options.server.http2);
  EXPECT_FALSE(read({"--no-http2"}).value().server.http2);
}

TEST(GatewayTlsFlags, EachFolderIsOneCertificate) {
  const GatewayOptions options =
      read({"--tls-cert-path", "/a", "--tls-cert-path", "/b", "--tls-min-version", "1.3"}).value();
  EXPECT_EQ(options.certificate_folders, (std::vector<std::string>{"/a", "/b"}));
  EXPECT_EQ(options.tls.version_min, TlsVersion::k13);
  EXPECT_EQ(options.tls.protocol, TlsProtocol::kBoth);
  EXPECT_EQ(options.tls.client_auth, TlsClientAuth::kNone);
  EXPECT_TRUE(options.tls.resumption);
  EXPECT_EQ(read({"--tls-cert-path", "/a", "--no-http2"}).value().tls.protocol,
            TlsProtocol::kHttp1);
}

TEST(GatewayTlsFlags, ClientsMustShowWhatTheyAreAskedFor) {
  EXPECT_EQ(read({"--tls-cert-path", "/a", "--tls-client-ca", "/ca"}).value().tls.client_auth,
            TlsClientAuth::kRequired);
  EXPECT_EQ(
      read({"--tls-cert-path", "/a", "--tls-client-ca", "/ca", "--tls-client-auth", "optional"})
          .value()
          .tls.client_auth,
      TlsClientAuth::kOptional);
}

TEST(GatewayTlsFlags, WhatWouldNotHoldIsRefused) {
  for (const std::vector<std::string>& lonely :
       {std::vector<std::string>{"--tls-min-version", "1.3"},
        {"--tls-client-ca", "/ca"},
        {"--tls-client-auth", "optional"},
        {"--tls-cipher-suites", "TLS_AES_128_GCM_SHA256"}}) {
    const auto refused = read(lonely);
    ASSERT_FALSE(refused);
    EXPECT_THAT(refused.error().message, HasSubstr(lonely.front() + ": "));
    EXPECT_THAT(refused.error().message, HasSubstr("--tls-cert-path"));
  }
  EXPECT_THAT(read({"--tls-cert-path", "/a", "--tls-client-auth", "required"}).error().message,
              HasSubstr("--tls-client-ca"));
  EXPECT_THAT(read({"--tls-cert-path", "/a", "--tls-min-version", "1.1"}).error().message,
              HasSubstr("--tls-min-version: \"1.1\""));
}

}  // namespace
}  // namespace kvasir
