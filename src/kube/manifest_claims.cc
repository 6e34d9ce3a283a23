#include "kube/manifest_claims.h"

#include <algorithm>

namespace kvasir {
namespace {

std::string place_of_claim(const std::string& path, int line) {
  return path + ":" + std::to_string(line);
}

std::string called(const KubeObject& object) {
  return std::string(object.type->kind) + " " + to_string(object.meta.key());
}

}  // namespace

std::vector<std::string> ManifestClaims::change(std::map<std::string, File> files) {
  for (const auto& [path, refusal] : refused_) files.try_emplace(path, refusal.first);
  Before before;
  for (const auto& [path, file] : files) release(path, before);
  std::vector<std::string> problems;
  for (auto& [path, file] : files) {
    std::string conflict = conflict_of(path, file);
    if (conflict.empty()) {
      refused_.erase(path);
      claim(path, std::move(file), before);
      continue;
    }
    keep(path, before);
    auto& [wanted, problem] = refused_[path];
    if (problem != conflict) problems.push_back(conflict);
    wanted = std::move(file);
    problem = std::move(conflict);
  }
  publish(before, problems);
  return problems;
}

std::string ManifestClaims::conflict_of(const std::string& path, const File& file) const {
  std::map<Name, int> own;
  for (const Claim& claim : file) {
    const Name name = name_of(claim);
    const auto other = owners_.find(name);
    const auto [first, is_first] = own.try_emplace(name, claim.line);
    if (other == owners_.end() && is_first) continue;
    return place_of_claim(path, claim.line) + ": " + called(*claim.object) + " is in " +
           (is_first ? place_of_claim(other->second.file, other->second.claim.line)
                     : place_of_claim(path, first->second)) +
           " too; each object may be in one file, once";
  }
  return {};
}

void ManifestClaims::release(const std::string& path, Before& before) {
  const auto file = files_.find(path);
  if (file == files_.end()) return;
  for (const Claim& claim : file->second) {
    before[name_of(claim)] = claim.object;
    owners_.erase(name_of(claim));
  }
}

void ManifestClaims::claim(const std::string& path, File file, Before& before) {
  for (const Claim& claim : file) {
    before.try_emplace(name_of(claim));
    owners_[name_of(claim)] = {path, claim};
  }
  if (file.empty()) {
    files_.erase(path);
  } else {
    files_[path] = std::move(file);
  }
}

// Unless another file has claimed it meanwhile.
void ManifestClaims::keep(const std::string& path, Before& before) {
  const auto known = files_.find(path);
  if (known == files_.end()) return;
  File file = known->second;
  std::erase_if(file, [this](const Claim& claim) { return owners_.count(name_of(claim)) > 0; });
  claim(path, std::move(file), before);
}

void ManifestClaims::publish(const Before& before, std::vector<std::string>& problems) {
  bool full = false;
  for (const auto& [name, object] : before) {
    const auto& [type, key] = name;
    const auto owner = owners_.find(name);
    if (owner == owners_.end()) {
      store_.remove(type->as, key, source_of(type));
    } else if (owner->second.claim.object != object &&
               !store_.put(type->as, owner->second.claim.object, source_of(type)) && !full) {
      full = true;
      problems.push_back(place_of_claim(owner->second.file, owner->second.claim.line) + ": " +
                         called(*owner->second.claim.object) + " finds no room: " +
                         std::to_string(store_.limits().objects) + " objects are the most");
    }
  }
  store_.end_batch();
}

// The store shows one object of a name and kind; it knows which group goes before.
ObjectSource ManifestClaims::source_of(const KubeType* type) {
  const auto found = sources_.find(type);
  return found != sources_.end() ? found->second : sources_[type] = store_.add_source();
}

}  // namespace kvasir
