// JSON of the API server to the values of kube_objects.h. wire/kube/kube_manifest.h reads files
// with the same readers.
//
// Fields that are not used are skipped, whatever they hold. A field that is used and has the wrong
// type, or a value that the server could not have given, is a problem with the path of the field
// ("spec.targetPorts[0].number").
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/kube/kube_problem.h"
#include "wire/kube/kube_types.h"

namespace kvasir {

using KubeObjectPtr = std::shared_ptr<const KubeObject>;

// A Status object: how the API server says no.
struct KubeStatus {
  int code = 0;
  std::string reason;   // NotFound, Conflict, Expired, Forbidden, ...
  std::string message;  // for people
  int retry_after_seconds = 0;
  std::string continue_token;  // of 410 Expired on a later page of a list
  std::string cause;  // details.causes[0].reason: "ResourceVersionTooLarge", "FieldManagerConflict"
};

struct KubeListPage {
  std::string resource_version;
  std::string continue_token;  // empty: the last page
  std::vector<KubeObjectPtr> objects;
  // Objects that could not be read: the others count all the same.
  std::vector<std::pair<ObjectKey, std::vector<KubeProblem>>> refused;
};

struct KubeWatchEvent {
  enum class Kind : uint8_t { kAdded, kModified, kDeleted, kBookmark, kError };
  Kind kind = Kind::kError;
  KubeObjectPtr object;  // of kAdded, kModified and kDeleted, unless there are problems
  std::vector<KubeProblem> problems;  // of the object; `key` says whose
  ObjectKey key;
  std::string resource_version;     // of the object or the bookmark
  bool initial_events_end = false;  // of a bookmark: everything that was there has been told
  KubeStatus status;                // of kError
};

// Not thread-safe; keeps some memory between calls. Each `type` is one of kube_types().
class KubeReader {
 public:
  KubeReader();
  ~KubeReader();
  KubeReader(const KubeReader&) = delete;
  KubeReader& operator=(const KubeReader&) = delete;

  // `type`: what was asked for (items of a list name no type of their own). An Error: it is no
  // JSON, or no such thing.
  Result<KubeListPage> read_list(std::string_view json, const KubeType& type);
  Result<KubeWatchEvent> read_event(std::string_view json, const KubeType& type);
  // One object, whose apiVersion and kind say what it is; an Error says everything that is wrong.
  Result<KubeObjectPtr> read_object(std::string_view json);
  Result<KubeStatus> read_status(std::string_view json);

 private:
  struct Parser;
  const std::unique_ptr<Parser> parser_;
};

}  // namespace kvasir
