#include "envoy_config/envoy_json.h"

#include <chrono>
#include <utility>

namespace kvasir {
namespace {

constexpr size_t kNanosecondDigits = 9;

}  // namespace

EnvoyJson typed(std::string_view name) {
  return {{"@type", "type.googleapis.com/" + std::string(name)}};
}

EnvoyJson socket_address(const std::string& host, uint16_t port) {
  return {{"socket_address", {{"address", host}, {"port_value", port}}}};
}

std::string duration_text(Duration duration) {
  const auto whole = std::chrono::duration_cast<std::chrono::seconds>(duration);
  const auto rest = std::chrono::duration_cast<std::chrono::nanoseconds>(duration - whole).count();
  std::string text = std::to_string(whole.count());
  if (rest != 0) {
    std::string digits = std::to_string(rest);
    digits.insert(0, kNanosecondDigits - digits.size(), '0');
    digits.erase(digits.find_last_not_of('0') + 1);
    text.append(".").append(digits);
  }
  return text.append("s");
}

std::string plain_format(std::string_view text) {
  std::string plain;
  for (const char c : text) plain.append(c == '%' ? 2 : 1, c);
  return plain;
}

std::string resources_text(EnvoyJson resources) {
  const EnvoyJson file = {{"resources", std::move(resources)}};
  return file.dump(1, ' ', false, EnvoyJson::error_handler_t::replace).append("\n");
}

EnvoyJson file_source(const std::string& path) {
  return {{"path_config_source", {{"path", path}}}, {"resource_api_version", "V3"}};
}

}  // namespace kvasir
