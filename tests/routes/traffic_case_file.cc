#include "traffic_case_file.h"

#include <fstream>
#include <sstream>
#include <variant>

#include "base/parameters.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

class TrafficReader {
 public:
  explicit TrafficReader(std::string path) : path_(std::move(path)) {}

  TrafficCaseFile read(const std::string& text) {
    TrafficCaseFile file;
    const size_t divider = std::min(text.find("\n---\n"), text.size());
    const auto parsed = parse_yaml(std::string_view(text).substr(0, divider));
    if (const auto* remark = std::get_if<Remark>(&parsed)) {
      add(remark->line, remark->text);
    } else {
      read_cases(std::get<Value>(parsed), file);
    }
    // The objects keep the lines that they have in the file.
    std::string objects(text);
    for (size_t i = 0; i < divider; ++i) {
      if (objects[i] != '\n') objects[i] = ' ';
    }
    auto read = read_manifest(objects);
    if (!read.ok()) {
      add(0, read.error().message);
    } else {
      file.objects = std::move(*read);
    }
    for (const ManifestObject& object : file.objects) {
      for (const Remark& problem : object.problems) add(problem.line, problem.text);
    }
    return file;
  }

  const std::string& problems() const { return problems_; }

 private:
  void add(int line, const std::string& text) {
    problems_ += path_ + ":" + std::to_string(line) + ": " + text + "\n";
  }
  void finish(const Parameters& fields) {
    for (const Remark& problem : fields.problems()) add(problem.line, problem.text);
  }

  void read_cases(const Value& document, TrafficCaseFile& file) {
    Parameters fields(document, "cases", "key");
    file.about = fields.text("about", "");
    const Value* list = fields.any("requests");
    if (list == nullptr || list->list() == nullptr) {
      add(document.line(), "requests must be a list");
    } else {
      for (const Value& value : *list->list()) file.requests.push_back(request(value));
    }
    finish(fields);
  }

  static FieldTexts headers(const Value* map) {
    FieldTexts texts;
    if (map == nullptr || map->map() == nullptr) return texts;
    for (const auto& [name, value] : *map->map()) {
      if (value.text() != nullptr) texts.emplace_back(name, *value.text());
      if (value.list() == nullptr) continue;
      for (const Value& one : *value.list()) {
        if (one.text() != nullptr) texts.emplace_back(name, *one.text());
      }
    }
    return texts;
  }

  HeadCase head(const Value* value) {
    HeadCase head;
    if (value == nullptr) return head;
    Parameters fields(*value, "head", "key");
    head.target = fields.text("target", "");
    head.host = fields.text("host", "");
    head.headers = headers(fields.any("headers"));
    head.without = fields.texts("without");
    finish(fields);
    return head;
  }

  TrafficCase::Says says(const Value& value) {
    Parameters fields(value, "backend_says", "key");
    TrafficCase::Says says;
    says.status = static_cast<int>(fields.integer("status", 200, 200, 599));
    says.headers = headers(fields.any("headers"));
    says.closes = fields.boolean("closes", false);
    says.hangs = fields.boolean("hangs", false);
    finish(fields);
    return says;
  }

  TrafficCase request(const Value& value) {
    Parameters fields(value, "request", "key");
    TrafficCase one;
    one.line = value.line();
    one.method = fields.text("method", "GET");
    one.url = fields.text("url", "");
    if (one.url.rfind("http://", 0) != 0) add(value.line(), "request: url must begin with http://");
    one.headers = headers(fields.any("headers"));
    one.body = fields.text("body", "");
    const Value* list = fields.any("backend_says");
    if (list != nullptr && list->list() != nullptr) {
      for (const Value& each : *list->list()) one.backend_says.push_back(says(each));
    }
    one.backend = fields.text("backend", "");
    one.asked = fields.integer("asked", -1, 0, 100);
    one.got = head(fields.any("got"));
    one.status = static_cast<int>(fields.integer("status", 200, 200, 599));
    one.answer = head(fields.any("answer"));
    one.mirrored = fields.texts("mirrored");
    finish(fields);
    return one;
  }

  const std::string path_;
  std::string problems_;
};

}  // namespace

Result<TrafficCaseFile> read_traffic_cases(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  TrafficReader reader(path);
  TrafficCaseFile cases = reader.read(text.str());
  if (!reader.problems().empty()) return Error{reader.problems()};
  return cases;
}

}  // namespace kvasir
