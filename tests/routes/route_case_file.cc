#include "route_case_file.h"

#include <fstream>
#include <sstream>
#include <variant>

#include "base/parameters.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

constexpr std::string_view kDivider = "\n---\n";

class Reader {
 public:
  explicit Reader(std::string path) : path_(std::move(path)) {}

  RouteCaseFile read(const std::string& text) {
    RouteCaseFile file;
    const size_t divider = std::min(text.find(kDivider), text.size());
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
      if (!object.known) add(object.line, object.kind + ": nobody reads that kind");
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

  template <class F>
  void each(Parameters& fields, const char* key, F&& f) {
    const Value* list = fields.any(key);
    if (list == nullptr) return;
    if (list->list() == nullptr) return fields.fail(key, "must be a list");
    for (const Value& value : *list->list()) f(value);
  }

  void read_cases(const Value& document, RouteCaseFile& file) {
    Parameters fields(document, "cases", "key");
    file.about = fields.text("about", "");
    if (file.about.empty()) add(document.line(), "about must say what the cases show");
    each(fields, "requests", [&](const Value& value) { file.requests.push_back(request(value)); });
    each(fields, "conditions",
         [&](const Value& value) { file.conditions.push_back(condition(value)); });
    if (const Value* attached = fields.any("attached"); attached && attached->map()) {
      for (const auto& [listener, count] : *attached->map()) {
        file.attached.emplace_back(listener, count.integer() ? *count.integer() : -1);
      }
    }
    if (file.requests.empty() && file.conditions.empty()) {
      add(document.line(), "no requests and no conditions: nothing would be checked");
    }
    finish(fields);
  }

  RouteCase request(const Value& value) {
    Parameters fields(value, "request", "key");
    RouteCase one;
    one.line = value.line();
    one.method = fields.text("method", "GET");
    one.url = fields.text("url", "");
    if (one.url.empty()) add(value.line(), "request: url is missing");
    if (const Value* headers = fields.any("headers"); headers && headers->map()) {
      for (const auto& [name, field] : *headers->map()) {
        if (field.text() != nullptr) one.headers.emplace_back(name, *field.text());
        if (field.list() == nullptr) continue;
        for (const Value& each_of : *field.list()) {
          if (each_of.text() != nullptr) one.headers.emplace_back(name, *each_of.text());
        }
      }
    }
    one.status = static_cast<int>(fields.integer("status", 0, 100, 599));
    one.to = fields.texts("to");
    if ((one.status == 0) == one.to.empty()) {
      add(value.line(), "request: either status or to says what happens");
    }
    one.rule = fields.text("rule", "");
    one.location = fields.text("location", "");
    one.sent_path = fields.text("sent_path", "");
    one.sent_host = fields.text("sent_host", "");
    finish(fields);
    return one;
  }

  ConditionCase condition(const Value& value) {
    Parameters fields(value, "condition", "key");
    ConditionCase one;
    one.line = value.line();
    one.object = fields.text("of", "");
    one.type = fields.text("type", "Accepted");
    one.says = fields.text("says", "");
    one.message_has = fields.text("message_has", "");
    if (one.object.empty() || one.says.empty()) {
      add(value.line(), "condition: of and says are needed");
    }
    finish(fields);
    return one;
  }

  const std::string path_;
  std::string problems_;
};

}  // namespace

Result<RouteCaseFile> read_route_cases(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  Reader reader(path);
  RouteCaseFile cases = reader.read(text.str());
  if (!reader.problems().empty()) return Error{reader.problems()};
  return cases;
}

}  // namespace kvasir
