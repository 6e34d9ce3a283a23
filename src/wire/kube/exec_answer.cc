#include "wire/kube/exec_answer.h"

#include <nlohmann/json.hpp>

#include "wire/kube/kube_names.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;

// Empty: absent, or null. nullopt: it is no text.
std::optional<std::string> text_of(const Json& map, const char* key) {
  const auto found = map.find(key);
  if (found == map.end() || found->is_null()) return std::string();
  if (!found->is_string()) return std::nullopt;
  return found->get<std::string>();
}

Error wrong(const std::string& what) {
  return Error{"what the program printed " + what};
}

}  // namespace

Result<ExecAnswer> read_exec_answer(std::string_view json, std::string_view api_version) {
  const Json document = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (!document.is_object()) return wrong("is not a JSON object");
  if (text_of(document, "kind") != "ExecCredential") {
    return wrong("is not of kind ExecCredential");
  }
  if (text_of(document, "apiVersion") != api_version) {
    return wrong("is not of the apiVersion that was asked for, " + std::string(api_version));
  }
  const auto status = document.find("status");
  if (status == document.end() || !status->is_object()) return wrong("has no status");
  ExecAnswer answer;
  std::string expires;
  const std::pair<const char*, std::string*> fields[] = {
      {"token", &answer.token},
      {"clientCertificateData", &answer.certificate_pem},
      {"clientKeyData", &answer.key_pem},
      {"expirationTimestamp", &expires}};
  for (const auto& [key, into] : fields) {
    std::optional<std::string> text = text_of(*status, key);
    if (!text) return wrong(std::string("has a status.") + key + " that is not a text");
    *into = std::move(*text);
  }
  if (answer.certificate_pem.empty() != answer.key_pem.empty()) {
    return wrong("has only one of status.clientCertificateData and status.clientKeyData");
  }
  if (answer.token.empty() && answer.certificate_pem.empty()) {
    return wrong("has neither status.token nor status.clientCertificateData");
  }
  if (expires.empty()) return answer;
  answer.expires_seconds = rfc3339_seconds(expires);
  if (!answer.expires_seconds) {
    return wrong("has a status.expirationTimestamp that is not a time (2026-01-31T08:00:00Z)");
  }
  return answer;
}

}  // namespace kvasir
