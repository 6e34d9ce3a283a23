#include "wire/kv_events/kv_event.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace kvasir {
namespace {

bool begins_with(std::string_view name, std::string_view upper_case_prefix) {
  return name.size() >= upper_case_prefix.size() &&
         equal_ignoring_case(name.substr(0, upper_case_prefix.size()), upper_case_prefix);
}

}  // namespace

KvMedium kv_medium(std::string_view name) {
  constexpr std::array<std::string_view, 5> kStorages = {"SHARED_STORAGE", "STORAGE", "DISK",
                                                         "NVME", "EXTERNAL"};
  if (name.empty() || begins_with(name, "GPU") || begins_with(name, "DEVICE")) {
    return KvMedium::kGpu;
  }
  if (begins_with(name, "CPU") || begins_with(name, "HOST")) return KvMedium::kCpu;
  const bool storage = std::any_of(kStorages.begin(), kStorages.end(),
                                   [&](std::string_view each) { return begins_with(name, each); });
  return storage ? KvMedium::kStorage : KvMedium::kOther;
}

std::string_view kv_medium_name(KvMedium medium) {
  constexpr std::array<std::string_view, 4> kNames = {"GPU", "CPU", "SHARED_STORAGE", "OTHER"};
  return kNames[static_cast<size_t>(medium)];
}

KvSpecKind kv_spec_kind(std::string_view name) {
  constexpr std::array<std::string_view, 5> kWhole = {"", "full_attention", "mla_attention",
                                                      "sink_full_attention", "sink_full"};
  return std::find(kWhole.begin(), kWhole.end(), name) != kWhole.end() ? KvSpecKind::kFull
                                                                       : KvSpecKind::kPartial;
}

}  // namespace kvasir
