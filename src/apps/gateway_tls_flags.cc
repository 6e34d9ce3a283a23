#include "apps/gateway_tls_flags.h"

#include <CLI/CLI.hpp>
#include <utility>

namespace kvasir {
namespace {

// A flag that is given although nothing is encrypted would be believed to hold.
Result<void> check_alone(const GatewayTlsFlags& flags) {
  const std::pair<const char*, bool> given[] = {
      {"--tls-min-version", !flags.min_version.empty()},
      {"--tls-cipher-suites", !flags.cipher_suites.empty()},
      {"--tls-client-ca", !flags.client_ca.empty()},
      {"--tls-client-auth", !flags.client_auth.empty()}};
  for (const auto& flag : given) {
    if (flag.second) {
      return Error{
          std::string(flag.first) +
          ": clients speak plain HTTP without --tls-cert-path DIR, a folder of tls.crt and "
          "tls.key"};
    }
  }
  return {};
}

}  // namespace

void add_gateway_tls_flags(CLI::App& command, GatewayTlsFlags& flags) {
  constexpr const char* kGroup = "TLS and HTTP/2";
  command
      .add_option(
          "--tls-cert-path", flags.cert_paths,
          "Clients speak TLS: a folder of tls.crt and tls.key (PEM, as a Kubernetes secret\n"
          "has them), read again when they change; may stand several times. A client is\n"
          "shown the certificate of the host that it asks for, else the first")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->group(kGroup);
  command.add_option("--tls-min-version", flags.min_version, "1.2 (default) or 1.3")->group(kGroup);
  command
      .add_option("--tls-cipher-suites", flags.cipher_suites,
                  "By IANA names, comma-separated (default: those with forward secrecy and AEAD)")
      ->delimiter(',')
      ->group(kGroup);
  command
      .add_option("--tls-client-ca", flags.client_ca,
                  "Clients show a certificate that one of these vouches for (PEM; read again when\n"
                  "it changes), or are refused")
      ->group(kGroup);
  command
      .add_option("--tls-client-auth", flags.client_auth,
                  "Of clients that show no certificate: required refuses them (default with\n"
                  "--tls-client-ca), optional takes them")
      ->check(CLI::IsMember({"optional", "required"}))
      ->group(kGroup);
  command
      .add_flag("--http2,!--no-http2", flags.http2,
                "HTTP/2 for clients that ask for it: with TLS by ALPN, else by prior knowledge\n"
                "(default: on)")
      ->group(kGroup);
}

Result<void> read_gateway_tls_flags(const GatewayTlsFlags& flags, GatewayOptions& options) {
  options.server.http2 = flags.http2;
  if (flags.cert_paths.empty()) return check_alone(flags);
  options.certificate_folders = flags.cert_paths;
  TlsOptions& tls = options.tls;
  tls.protocol = flags.http2 ? TlsProtocol::kBoth : TlsProtocol::kHttp1;
  tls.resumption = true;
  tls.cipher_suites = flags.cipher_suites;
  if (!flags.min_version.empty()) {
    Result<TlsVersion> version = parse_tls_version(flags.min_version);
    if (!version) return Error{"--tls-min-version: " + version.error().message};
    tls.version_min = *version;
  }
  if (flags.client_ca.empty()) {
    if (flags.client_auth.empty()) return {};
    return Error{"--tls-client-auth: whom to believe is not known: --tls-client-ca FILE"};
  }
  tls.client_ca_file = flags.client_ca;
  tls.client_auth =
      flags.client_auth == "optional" ? TlsClientAuth::kOptional : TlsClientAuth::kRequired;
  return {};
}

}  // namespace kvasir
