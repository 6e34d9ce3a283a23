// Which file each object comes from: every object belongs to one file.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "kube/object_store.h"

namespace kvasir {

class ManifestClaims {
 public:
  // What one file has.
  struct Claim {
    int line = 0;
    KubeObjectPtr object;
  };
  using File = std::vector<Claim>;

  // Puts to `store`, which must outlive it, and removes from it.
  explicit ManifestClaims(ObjectStore& store) : store_(store) {}
  ManifestClaims(const ManifestClaims&) = delete;
  ManifestClaims& operator=(const ManifestClaims&) = delete;

  // What these files have from now on; a File without claims: it is gone. A file that claims an
  // object of another, or one of its own twice, keeps what it had, and is tried again whenever
  // others change. Returns the problems, each once: "FILE:LINE: TEXT".
  std::vector<std::string> change(std::map<std::string, File> files);
  bool has_any(const std::string& path) const { return files_.count(path) > 0; }

 private:
  // The same name in two API groups is two objects.
  using Name = std::pair<const KubeType*, ObjectKey>;
  struct Owner {
    std::string file;
    Claim claim;
  };

  using Before = std::map<Name, KubeObjectPtr>;  // of the names that a change touches; null: none

  static Name name_of(const Claim& claim) { return {claim.object->type, claim.object->meta.key()}; }
  std::string conflict_of(const std::string& path, const File& file) const;
  void release(const std::string& path, Before& before);
  void claim(const std::string& path, File file, Before& before);
  void keep(const std::string& path, Before& before);
  void publish(const Before& before, std::vector<std::string>& problems);
  ObjectSource source_of(const KubeType* type);

  ObjectStore& store_;
  std::map<const KubeType*, ObjectSource> sources_;
  std::map<Name, Owner> owners_;
  std::map<std::string, File> files_;                            // what each was last good for
  std::map<std::string, std::pair<File, std::string>> refused_;  // what it wants; the problem
};

}  // namespace kvasir
