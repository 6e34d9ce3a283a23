#include "tenants/keys_file.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <utility>

#include "base/parameters.h"
#include "base/text.h"
#include "wire/kube/kube_names.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

constexpr size_t kNameBytesMost = 128;
// Of the limits of one tenant; more is no limit.
constexpr int64_t kPerMinuteMost = 1'000'000'000'000;
constexpr int64_t kCountMost = 1'000'000'000;
constexpr size_t kYamlValuesOfKeys = 1'000'000;

constexpr std::string_view kHashWanted =
    "must be sha256: and 64 hexadecimal digits, as `printf %s KEY | sha256sum` prints them; the "
    "key "
    "itself has no place in this file";

constexpr std::string_view kExpiryWanted =
    "must be a day as 2027-01-31 or a time as 2027-01-31T12:00:00Z";

class KeysFileReader {
 public:
  explicit KeysFileReader(const Value& root) {
    if (root.list() == nullptr) {
      add(root.line(), "a list of tenants is expected, each beginning with \"- name:\"");
      return;
    }
    if (root.list()->size() > kTenantsMost) {
      add(root.line(), "more than " + std::to_string(kTenantsMost) + " tenants");
      return;
    }
    for (const Value& value : *root.list()) read_tenant(value);
    if (tenants_.empty() && problems_.empty()) add(root.line(), "there is no tenant");
    if (known_keys_.size() > kKeysMost) {
      add(root.line(), "more than " + std::to_string(kKeysMost) + " keys");
    }
  }

  std::vector<Remark>& problems() { return problems_; }
  std::vector<TenantEntry>& tenants() { return tenants_; }

 private:
  void add(int line, std::string text) { problems_.push_back({line, std::move(text)}); }

  static std::string owner_of(const Value& value) {
    const Value* name = value.find("name");
    const bool named = name != nullptr && name->text() != nullptr && is_tenant_name(*name->text());
    return named ? "tenant " + *name->text() : "tenant";
  }

  void read_tenant(const Value& value) {
    if (value.map() == nullptr) {
      return add(value.line(), "a tenant must be a map, not " + std::string(value.kind()));
    }
    Parameters fields(value, owner_of(value), "key");
    TenantEntry entry;
    entry.line = value.line();
    entry.tenant.name = read_name(fields, "name", "");
    if (!fields.has("name")) fields.fail("name", "is missing");
    check_name_is_new(fields, entry);
    entry.tenant.limits = read_limits(fields);
    if (is_given(fields, "priority")) {
      entry.tenant.priority = static_cast<int32_t>(fields.integer(
          "priority", 0, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()));
    }
    entry.tenant.fairness_id = read_name(fields, "fairness-id", entry.tenant.name);
    entry.tenant.models = fields.texts("models");
    check_models(fields, entry.tenant.models);
    read_keys(fields, read_expiry(fields), entry);
    append(problems_, fields.problems());
    tenants_.push_back(std::move(entry));
  }

  static bool is_given(Parameters& fields, std::string_view key) {
    return fields.any(key) != nullptr;
  }

  static std::string read_name(Parameters& fields, std::string_view key,
                               const std::string& fallback) {
    const std::string name = fields.text(key, fallback);
    if (fields.has(key) && !is_tenant_name(name)) {
      fields.fail(key, "must be 1 to " + std::to_string(kNameBytesMost) +
                           " letters, digits or any of ._-/@:+");
    }
    return name;
  }

  void check_name_is_new(Parameters& fields, const TenantEntry& entry) {
    const auto [known, is_new] = known_names_.emplace(entry.tenant.name, entry.line);
    if (!is_new && !entry.tenant.name.empty()) {
      fields.fail("name", "is that of line " + std::to_string(known->second) +
                              ", too: one tenant can have several keys");
    }
  }

  static TenantLimits read_limits(Parameters& fields) {
    TenantLimits limits;
    if (is_given(fields, "requests-per-minute")) {
      limits.requests_per_minute =
          static_cast<uint32_t>(fields.integer("requests-per-minute", 1, 1, kCountMost));
    }
    if (is_given(fields, "tokens-per-minute")) {
      limits.tokens_per_minute =
          static_cast<uint64_t>(fields.integer("tokens-per-minute", 1, 1, kPerMinuteMost));
    }
    if (is_given(fields, "concurrency")) {
      limits.concurrency = static_cast<uint32_t>(fields.integer("concurrency", 1, 1, kCountMost));
    }
    return limits;
  }

  static void check_models(Parameters& fields, const std::vector<std::string>& models) {
    if (fields.has("models") && models.empty()) {
      fields.fail("models", "is empty: leave it out to allow every model");
    }
    if (std::find(models.begin(), models.end(), "") != models.end()) {
      fields.fail("models", "has an empty name");
    }
  }

  static std::optional<WallSeconds> read_expiry(Parameters& fields) {
    const std::string text = fields.text("expires", "");
    const std::optional<WallSeconds> expires = parse_expiry(text);
    if (!text.empty() && !expires) {
      fields.fail("expires", kExpiryWanted);
    }
    return expires;
  }

  void read_keys(Parameters& fields, std::optional<WallSeconds> expires, TenantEntry& entry) {
    const Value* keys = fields.any("keys");
    if (keys == nullptr || keys->list() == nullptr || keys->list()->empty()) {
      return fields.fail("keys",
                         "must be a list of hashes: kvasir keys new makes a key and its hash");
    }
    for (const Value& key : *keys->list()) read_key(key, expires, entry);
  }

  // A text, or {hash, expires}. No problem quotes what is there.
  void read_key(const Value& value, std::optional<WallSeconds> expires, TenantEntry& entry) {
    const std::string owner = "tenant " + entry.tenant.name + ": key";
    const Value* hash = value.map() == nullptr ? &value : value.find("hash");
    const Value* own_expiry = value.find("expires");
    if (own_expiry != nullptr) {
      const auto own =
          own_expiry->text() == nullptr ? std::nullopt : parse_expiry(*own_expiry->text());
      if (!own) return add(own_expiry->line(), owner + ": expires " + std::string(kExpiryWanted));
      expires = expires ? std::min(*own, *expires) : *own;
    }
    const size_t known_fields = (hash != nullptr) + (own_expiry != nullptr);
    if (value.map() != nullptr && value.map()->size() > known_fields) {
      return add(value.line(), owner + " has nothing but hash and expires");
    }
    const std::string* text = hash == nullptr ? nullptr : hash->text();
    const auto digest = text == nullptr ? std::nullopt : parse_key_digest(*text);
    if (!digest) return add(value.line(), owner + " " + std::string(kHashWanted));
    const auto [known, is_new] = known_keys_.emplace(*digest, value.line());
    if (!is_new) {
      return add(value.line(),
                 owner + " is that of line " + std::to_string(known->second) + ", too");
    }
    entry.keys.push_back({*digest, expires, value.line()});
  }

  std::vector<Remark> problems_;
  std::vector<TenantEntry> tenants_;
  std::map<std::string, int> known_names_;  // and their lines
  std::map<KeyDigest, int> known_keys_;
};

}  // namespace

std::variant<std::vector<TenantEntry>, std::vector<Remark>> read_keys_file(std::string_view text) {
  YamlLimits limits;
  limits.bytes = kKeysFileBytesMost;
  limits.values = kYamlValuesOfKeys;
  const std::variant<Value, Remark> root = parse_yaml(text, 0, limits);
  if (const auto* problem = std::get_if<Remark>(&root)) return std::vector<Remark>{*problem};
  KeysFileReader reader(std::get<Value>(root));
  if (!reader.problems().empty()) return std::move(reader.problems());
  return std::move(reader.tenants());
}

std::optional<WallSeconds> parse_expiry(std::string_view text) {
  constexpr size_t kDayBytes = 10;  // 2027-01-31
  std::string whole(text);
  if (text.size() == kDayBytes) whole += "T00:00:00Z";
  const std::optional<int64_t> seconds = rfc3339_seconds(whole);
  if (!seconds) return std::nullopt;
  return WallSeconds(std::chrono::seconds(*seconds));
}

bool is_tenant_name(std::string_view name) {
  static constexpr ByteSet kNameBytes = letters_digits_and("._-/@:+");
  return !name.empty() && name.size() <= kNameBytesMost && consists_of(name, kNameBytes);
}

std::string to_string(std::string_view file, const std::vector<Remark>& problems) {
  std::string text;
  for (const Remark& problem : problems) {
    text.append(text.empty() ? "" : "\n").append(file);
    if (problem.line > 0) text.append(":").append(std::to_string(problem.line));
    text.append(": ").append(problem.text);
  }
  return text;
}

}  // namespace kvasir
