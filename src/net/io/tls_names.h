// Which of several certificates a client is shown, by the host that it asks for (SNI, RFC 6066, 3).
// Private to net/.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct ssl_ctx_st;
struct ssl_st;

namespace kvasir {

class TlsNames {
 public:
  using Handle = std::shared_ptr<ssl_ctx_st>;

  // `fallback` is for clients that ask for nobody, or for somebody unknown, and owns the names from
  // then on.
  static void attach(std::unique_ptr<TlsNames> names, ssl_ctx_st* fallback);

  // For the fallback itself `context` is null. "*.example.org" stands for all hosts below it; of
  // two with the same host the first counts.
  void add(std::string_view host, const Handle& context);
  // An exact name before wildcards, long ones before short ones. Null: the fallback.
  ssl_ctx_st* find(std::string_view host) const;

 private:
  std::map<std::string, Handle, std::less<>> contexts_;
};

}  // namespace kvasir
