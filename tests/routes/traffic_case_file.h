// A file of cases: requests that a gateway really carries by a set of Gateway API objects, what
// backends got of them, and what the clients did. README.md beside this file has the keys.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {

using FieldTexts = std::vector<std::pair<std::string, std::string>>;

// What must hold for a head.
struct HeadCase {
  std::string target, host;          // of a request; empty: not looked at
  FieldTexts headers;                // values of one name are joined with ","
  std::vector<std::string> without;  // names
};

struct TrafficCase {
  int line = 0;
  std::string method = "GET";
  std::string url;  // http://HOST/PATH?QUERY
  FieldTexts headers;
  std::string body;
  struct Says {
    int status = 200;
    FieldTexts headers;
    bool closes = false;  // the connection, instead of an answer
    bool hangs = false;   // no answer
  };
  std::vector<Says> backend_says;  // one after another; then 200
  std::string backend;             // "NAMESPACE/SERVICE", "pool" or "none"; empty: not looked at
  int64_t asked = -1;              // how many requests backends got, but for mirrored ones
  HeadCase got;                    // the first of them
  int status = 200;                // of the client's answer
  HeadCase answer;
  std::vector<std::string> mirrored;  // who got a copy, in any order
};

struct TrafficCaseFile {
  std::string about;
  std::vector<TrafficCase> requests;
  std::vector<ManifestObject> objects;
};

// An error has every problem with its line.
Result<TrafficCaseFile> read_traffic_cases(const std::string& path);

}  // namespace kvasir
