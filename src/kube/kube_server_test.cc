// Whom the client believes, and where it finds the server.
#include "kube/kube_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/whole_file.h"
#include "kube/kube_client_fixture.h"
#include "net/io/tls_fixture.h"

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// --- TLS and names ---

TEST_F(KubeClientTest, ServerIsBelievedByItsCa) {
  TlsFolder folder;
  folder.write_pair();
  serve(folder.path());
  connect();
  EXPECT_TRUE(get().ok());
  TlsFolder other;
  other.write_pair();
  config_.ca_file = other.path() + "/tls.crt";
  connect();
  EXPECT_THAT(get().status.message,
              AllOf(StartsWith("https://127.0.0.1:"), HasSubstr("certificate is not accepted")));
  config_.ca_file.clear();
  config_.check_server = false;
  connect();
  EXPECT_TRUE(get().ok());
}

TEST_F(KubeClientTest, ServersNameMayBeAnother) {
  TlsFolder folder;
  folder.write_pair();  // for localhost and 127.0.0.1
  serve(folder.path());
  resolver_.set("api.test", {"127.0.0.1"});
  config_.server.host = "api.test";
  connect();
  EXPECT_FALSE(get().ok());
  config_.tls_server_name = "localhost";
  connect();
  EXPECT_TRUE(get().ok());
}

TEST_F(KubeClientTest, NewCaIsReadWhenTheServersCertificateChanges) {
  TlsFolder folder;
  folder.write_pair();
  serve(folder.path());
  config_.ca_file = write("ca.crt", read_whole_file(folder.path() + "/tls.crt", 10'000).value());
  connect();
  EXPECT_TRUE(get().ok());
  http_->stop();
  folder.write_pair();
  http_->reload_certificate();
  http_->start();
  EXPECT_FALSE(get().ok());  // the file has the old one still
  write("ca.crt", "no PEM");
  EXPECT_THAT(get().status.message, AllOf(HasSubstr("certificate is not accepted"),
                                          HasSubstr("holds no certificate (PEM)")));
  write("ca.crt", read_whole_file(folder.path() + "/tls.crt", 10'000).value());
  EXPECT_TRUE(get().ok());
}

TEST_F(KubeClientTest, UnusableCertificatesAreRefusedAtTheStart) {
  config_.tls = true;
  config_.ca_file = folder_ + "/absent";
  EXPECT_THAT(refusal(), HasSubstr("/absent"));
  config_.ca_file.clear();
  config_.ca_data = "no PEM";
  EXPECT_THAT(refusal(), HasSubstr("the CA's certificate holds no certificate"));
  config_.ca_data.clear();
  config_.certificate_data = "no PEM";
  config_.key_data = "hush";
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("the client's certificate cannot be used"), Not(HasSubstr("hush"))));
}

TEST_F(KubeClientTest, NameIsLookedUpAgainWhenNobodyIsThere) {
  config_.server.host = "api.test";
  connect();
  EXPECT_THAT(get().status.message, HasSubstr("cannot look up api.test: the resolver is away"));
  resolver_.set("api.test", {"127.0.0.2"});
  EXPECT_THAT(get().status.message, HasSubstr("Connection refused"));
  resolver_.set("api.test", {"127.0.0.1"});
  EXPECT_TRUE(get().ok());
  const int before = resolver_.look_ups("api.test");
  EXPECT_TRUE(get().ok());
  EXPECT_EQ(resolver_.look_ups("api.test"), before);
}

TEST_F(KubeClientTest, NextAddressIsTriedWhenNobodyIsAtTheFirst) {
  config_.server.host = "api.test";
  resolver_.set("api.test", {"127.0.0.2", "127.0.0.1"});
  connect();
  EXPECT_FALSE(get().ok());
  EXPECT_TRUE(get().ok());
}

}  // namespace
}  // namespace kvasir
