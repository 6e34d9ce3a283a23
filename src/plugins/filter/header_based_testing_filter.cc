#include "plugins/filter/header_based_testing_filter.h"

#include <algorithm>
#include <charconv>

#include "base/parameters.h"
#include "base/text.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

constexpr std::string_view kHeader = "test-epp-endpoint-selection";

// "IP", "IP:PORT", "[IPv6]" or "[IPv6]:PORT".
struct Wanted {
  std::string_view host;
  std::optional<uint16_t> port;
};

std::string_view bare(std::string_view host) {
  if (host.size() >= 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  return host;
}

Wanted read_wanted(std::string_view text) {
  const size_t colon = text.rfind(':');
  const bool is_ipv6 = std::count(text.begin(), text.end(), ':') > 1;
  const bool has_port =
      colon != std::string_view::npos && (!is_ipv6 || (colon > 0 && text[colon - 1] == ']'));
  if (!has_port) return {bare(text), std::nullopt};
  uint16_t port = 0;  // no endpoint's
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  return {bare(text.substr(0, colon)), port};
}

class HeaderBasedTestingFilter final : public Filter {
 public:
  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    const std::string_view* value = cycle.request.header(kHeader);
    std::string_view rest = value != nullptr ? *value : std::string_view();
    size_t kept = 0;
    while (!rest.empty()) {
      const size_t comma = std::min(rest.find(','), rest.size());
      const std::string_view item = trimmed(rest.substr(0, comma));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
      if (!item.empty()) keep(read_wanted(item), cycle, candidates, kept);
    }
    candidates.resize(kept);
  }

 private:
  // The first `kept` candidates are those that were named.
  static void keep(const Wanted& wanted, const Cycle& cycle, std::vector<EndpointId>& candidates,
                   size_t& kept) {
    const auto endpoint = [&](EndpointId id) -> const Endpoint& {
      return *cycle.fleet.endpoints[index_of(id)].endpoint;
    };
    const auto begin = candidates.begin() + static_cast<ptrdiff_t>(kept);
    const auto found = std::find_if(begin, candidates.end(), [&](EndpointId id) {
      return bare(endpoint(id).host) == wanted.host &&
             (!wanted.port || endpoint(id).port == *wanted.port);
    });
    if (found == candidates.end()) return;
    const auto same_host = [&](EndpointId id) { return endpoint(id).host == endpoint(*found).host; };
    if (std::any_of(candidates.begin(), begin, same_host)) return;
    std::rotate(begin, found, found + 1);
    ++kept;
  }
};

MadePlugin make_header_based_testing_filter(std::string_view name, const Value& value, PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<HeaderBasedTestingFilter>();
}

}  // namespace

PluginType header_based_testing_filter_plugin() {
  return {"header-based-testing-filter", make_header_based_testing_filter};
}

}  // namespace kvasir
