#include "apps/tenant_session.h"

#include <CLI/CLI.hpp>
#include <chrono>
#include <utility>

#include "base/text.h"
#include "base/whole_file.h"
#include "gateway/gateway.h"
#include "net/io/socket.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

constexpr Duration kWatchInterval = std::chrono::seconds(1);
constexpr size_t kAuthorizationBytesMost = 16 * 1024;

WallSeconds wall_now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

void warn_of_expired(const std::string& file, const TenantTable& tenants) {
  const size_t expired = tenants.expired_keys(wall_now());
  if (expired == 0) return;
  log_warning("keys: " + std::to_string(expired) + " of " + std::to_string(tenants.keys()) +
              " keys in " + file + " have expired");
}

// A token, or the whole field's value ("Bearer TOKEN"). No problem quotes it.
Result<std::string> authorization_of(const std::string& file, std::string_view text) {
  const std::string_view value = trimmed(text, " \t\r\n");
  for (const char c : value) {
    if (c >= ' ' && c <= '~') continue;
    return Error{file + ": one line of printable ASCII is expected"};
  }
  if (value.empty()) return Error{file + ": it is empty"};
  if (value.find(' ') != std::string_view::npos) return std::string(value);
  return "Bearer " + std::string(value);
}

}  // namespace

void add_tenant_flags(CLI::App& command, TenantFlags& flags) {
  CLI::Option* keys = command.add_option(
      "--keys", flags.keys,
      "A file of tenants and the hashes of their API keys, which is watched: whoever has none\n"
      "of them gets 401 (kvasir keys new makes one; docs/TENANTS.md)");
  command
      .add_flag("--anonymous", flags.anonymous,
                "Serve whoever comes, without a key. Without it and without --keys the gateway\n"
                "listens on this machine's own addresses (127.0.0.1) only")
      ->excludes(keys);
  command.add_option("--upstream-authorization-file", flags.upstream_authorization_file,
                     "A file with the token that workers want (vllm serve --api-key): they get it\n"
                     "in the field Authorization, and never what clients send there");
  command.add_option(
      "--access-log", flags.access_log,
      "A line of JSON for each request that is over: tenant, status, times, tokens.\n"
      "A file, which may be renamed (or SIGUSR1), or - for standard output");
}

Result<void> check_anonymous(const TenantFlags& flags, const GatewayOptions& options) {
  const bool shows_certificates = options.tls.client_auth == TlsClientAuth::kRequired;
  if (!flags.keys.empty() || flags.anonymous || shows_certificates || is_loopback(options.host)) {
    return {};
  }
  return Error{"--host " + options.host +
               ": others can reach that address, and nobody is asked for a key. Give --keys FILE "
               "(kvasir keys new makes one), or --anonymous if whoever comes shall be served"};
}

Result<std::unique_ptr<TenantSession>> TenantSession::open(EventLoop& loop,
                                                           const TenantFlags& flags,
                                                           GatewayOptions& options) {
  if (Result<void> asked = check_anonymous(flags, options); !asked) return asked.error();
  std::unique_ptr<TenantSession> session(
      new TenantSession(flags.keys, flags.upstream_authorization_file));
  options.tells_visits = !flags.access_log.empty();
  TenantSession& opened = *session;
  if (!flags.keys.empty()) {
    const Result<std::string> text = read_whole_file(flags.keys, kKeysFileBytesMost);
    if (!text) return Error{"--keys: " + text.error().message};
    auto tenants = load_tenants(flags.keys, *text);
    if (!tenants) return Error{"--keys:\n" + tenants.error().message};
    options.tenants = *tenants;
    opened.use(std::move(*tenants));
    opened.keys_watch_ = std::make_unique<FileWatch>(
        loop, flags.keys, *text, kKeysFileBytesMost, kWatchInterval,
        [&opened](const Result<std::string>& news) { opened.on_keys(news); });
  }
  if (const std::string& file = flags.upstream_authorization_file; !file.empty()) {
    const Result<std::string> text = read_whole_file(file, kAuthorizationBytesMost);
    if (!text) return Error{"--upstream-authorization-file: " + text.error().message};
    Result<std::string> value = authorization_of(file, *text);
    if (!value) return Error{"--upstream-authorization-file: " + value.error().message};
    options.upstream_authorization = std::make_shared<const std::string>(std::move(*value));
    opened.authorization_watch_ = std::make_unique<FileWatch>(
        loop, file, *text, kAuthorizationBytesMost, kWatchInterval,
        [&opened](const Result<std::string>& news) { opened.on_authorization(news); });
  }
  return session;
}

void TenantSession::serve(Gateway& gateway, std::function<void(bool used)> read) {
  gateway_ = &gateway;
  read_ = std::move(read);
}

void TenantSession::use(std::shared_ptr<const TenantTable> tenants) {
  warn_of_expired(keys_file_, *tenants);
  tenants_.with([&tenants](auto& now) { now = std::move(tenants); });
}

std::string TenantSession::text() const {
  const std::shared_ptr<const TenantTable> now = tenants();
  const size_t count = now == nullptr ? 0 : now->tenants().size();
  return std::to_string(count) + (count == 1 ? " tenant" : " tenants");
}

void TenantSession::on_keys(const Result<std::string>& text) {
  auto read = text ? load_tenants(keys_file_, *text, tenants().get()) : text.error();
  if (read_) read_(read.ok());
  if (!read) {
    log_warning("keys: the tenants stay as they are: " + read.error().message);
    return;
  }
  use(std::move(*read));
  log_info("keys: " + this->text() + " of " + keys_file_ + " from now on");
  if (gateway_ != nullptr) gateway_->set_tenants(tenants());
}

void TenantSession::on_authorization(const Result<std::string>& text) {
  Result<std::string> value = text ? authorization_of(authorization_file_, *text) : text.error();
  if (!value) {
    log_warning("--upstream-authorization-file: the token stays as it is: " +
                value.error().message);
    return;
  }
  log_info("workers get the new token of " + authorization_file_ + " from now on");
  if (gateway_ == nullptr) return;
  gateway_->set_upstream_authorization(std::make_shared<const std::string>(std::move(*value)));
}

}  // namespace kvasir
