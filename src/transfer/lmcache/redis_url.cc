#include "transfer/lmcache/redis_url.h"

#include <optional>

#include "base/integer_text.h"
#include "base/text.h"
#include "net/io/socket.h"

namespace kvasir {
namespace {

constexpr std::string_view kRedisScheme = "redis://";
constexpr size_t kRedisUrlBytesMost = 4096;

std::optional<std::string> percent_decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      decoded += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

bool read_user(std::string_view text, RedisUrl& url) {
  const size_t colon = text.find(':');
  const auto user = percent_decoded(text.substr(0, colon));
  const auto password =
      percent_decoded(colon == std::string_view::npos ? "" : text.substr(colon + 1));
  if (!user || !password || (password->empty() && !user->empty())) return false;
  url.user = *user;
  url.password = *password;
  return true;
}

bool read_address(std::string_view text, RedisUrl& url) {
  const bool bracketed = !text.empty() && text.front() == '[';
  const size_t end = bracketed ? text.find(']') : text.find(':');
  if (bracketed && end == std::string_view::npos) return false;
  url.host = bracketed ? text.substr(1, end - 1) : text.substr(0, end);
  std::string_view rest = end == std::string_view::npos ? "" : text.substr(end + bracketed);
  if (!rest.empty()) {
    const auto port = integer_of<uint16_t>(rest.substr(1));
    if (rest.front() != ':' || !port || *port == 0) return false;
    url.port = *port;
  }
  constexpr ByteSet kHostBytes = letters_digits_and("-._:%");
  return !url.host.empty() && consists_of(url.host, kHostBytes);
}

}  // namespace

std::string RedisUrl::public_text() const {
  return to_string(HostPort{host, port}) + "/" + std::to_string(db);
}

Result<RedisUrl> parse_redis_url(std::string_view text) {
  const Error form{"it must be redis://[USER:PASSWORD@]HOST[:PORT][/DB]"};
  if (text.substr(0, 9) == "rediss://") return Error{"TLS to a Redis is not spoken: use redis://"};
  if (text.substr(0, kRedisScheme.size()) != kRedisScheme || text.size() > kRedisUrlBytesMost) {
    return form;
  }
  text.remove_prefix(kRedisScheme.size());
  RedisUrl url;
  const size_t at = text.rfind('@');
  if (at != std::string_view::npos) {
    if (!read_user(text.substr(0, at), url)) return form;
    text.remove_prefix(at + 1);
  }
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos && slash + 1 < text.size()) {
    const auto db = integer_of<uint32_t>(text.substr(slash + 1));
    if (!db) return Error{"what follows its last slash is no number of a database"};
    url.db = *db;
  }
  if (!read_address(text.substr(0, slash), url)) return form;
  return url;
}

}  // namespace kvasir
