#include "wire/kube/kube_reader.h"

#include <simdjson.h>

#include "wire/json/json_cursor.h"
#include "wire/kube/kube_object_reader.h"

namespace kvasir {
namespace {

// Of one object, for the next; an object of the API server has 1.5 MiB at most.
constexpr size_t kParserBytesKept = 256 * 1024;
constexpr int64_t kCodeMost = 999;
constexpr int64_t kRetryAfterMost = 86'400;

std::string text_of(const KubeField& field) {
  return std::string(field.text().value_or(""));
}

// Leaves what is wrong with it aside: a Status is how trouble is told.
KubeStatus status_of(const KubeField& field) {
  KubeStatus status;
  status.code = static_cast<int>(field["code"].whole_number(0, kCodeMost).value_or(0));
  status.reason = text_of(field["reason"]);
  status.message = text_of(field["message"]);
  const KubeField details = field["details"];
  status.retry_after_seconds =
      static_cast<int>(details["retryAfterSeconds"].whole_number(0, kRetryAfterMost).value_or(0));
  const KubeField meta = field["metadata"];
  status.continue_token = text_of(meta["continue"]);
  details["causes"].for_each([&](const KubeField& cause) {
    if (status.cause.empty()) status.cause = text_of(cause["reason"]);
  });
  return status;
}

std::optional<KubeWatchEvent::Kind> event_kind(std::string_view name) {
  using Kind = KubeWatchEvent::Kind;
  if (name == "ADDED") return Kind::kAdded;
  if (name == "MODIFIED") return Kind::kModified;
  if (name == "DELETED") return Kind::kDeleted;
  if (name == "BOOKMARK") return Kind::kBookmark;
  if (name == "ERROR") return Kind::kError;
  return std::nullopt;
}

}  // namespace

struct KubeReader::Parser {
  // Valid until the next call.
  Result<simdjson::dom::element> parse(std::string_view json) {
    if (buffer.capacity() > kParserBytesKept && json.size() <= kParserBytesKept) {
      buffer = std::string();
      parser = simdjson::dom::parser();
    }
    buffer.assign(json);
    buffer.append(simdjson::SIMDJSON_PADDING, '\0');
    simdjson::dom::element element;
    const auto error = parser.parse(buffer.data(), json.size(), false).get(element);
    if (error == simdjson::SUCCESS) return element;
    return Error{std::string("not JSON: ") + simdjson::error_message(error)};
  }

  // The members of an answer that is a list, each as it comes.
  struct List {
    KubeListPage page;
    std::string kind;
    bool has_items = false;
  };
  Result<void> read_members(JsonCursor& cursor, const KubeType& type, List& list);
  Result<void> read_member(std::string_view key, JsonCursor& cursor, const KubeType& type,
                           List& list);
  Result<void> read_items(JsonCursor& cursor, const KubeType& type, List& list);
  Result<void> read_item(std::string_view json, const KubeType& type, KubeListPage& page);

  simdjson::dom::parser parser;
  std::string buffer;
};

KubeReader::KubeReader() : parser_(std::make_unique<Parser>()) {}
KubeReader::~KubeReader() = default;

// The list is walked over, and its objects are read one after another: memory is that of one.
Result<KubeListPage> KubeReader::read_list(std::string_view json, const KubeType& type) {
  JsonCursor cursor(json);
  Parser::List list;
  cursor.skip_space();
  if (!cursor.take('{')) return Error{"not JSON: no map begins it"};
  const Result<void> read = parser_->read_members(cursor, type, list);
  if (!read) return read.error();
  const std::string wanted = std::string(type.kind) + "List";
  if (!list.kind.empty() && list.kind != wanted) {
    return Error{"a " + list.kind.substr(0, 64) + " instead of a " + wanted};
  }
  if (!list.has_items) return Error{"no " + wanted + ": it has no items"};
  return std::move(list.page);
}

Result<void> KubeReader::Parser::read_members(JsonCursor& cursor, const KubeType& type,
                                              List& list) {
  cursor.skip_space();
  if (!cursor.take('}')) {
    do {
      cursor.skip_space();
      const auto key = cursor.string();
      cursor.skip_space();
      if (!key || !cursor.take(':')) return Error{"not JSON: a list that breaks off"};
      cursor.skip_space();
      if (const Result<void> read = read_member(*key, cursor, type, list); !read) return read;
      cursor.skip_space();
    } while (cursor.take(','));
    if (!cursor.take('}')) return Error{"not JSON: a list that breaks off"};
  }
  cursor.skip_space();
  if (!cursor.at_end()) return Error{"not JSON: more behind the list"};
  return {};
}

Result<void> KubeReader::Parser::read_member(std::string_view key, JsonCursor& cursor,
                                             const KubeType& type, List& list) {
  if (key == "items" && cursor.next() == '[') return read_items(cursor, type, list);
  const auto value = cursor.value();
  if (!value) return Error{"not JSON: a list that breaks off"};
  if (key == "items") {
    if (*value != "null") return Error{"items: must be a list"};
    list.has_items = true;
    return {};
  }
  if (key != "metadata" && key != "kind") return {};
  const auto element = parse(*value);
  if (!element) return element.error();
  std::vector<KubeProblem> problems;
  const KubeField field(*element, problems);
  if (key == "kind") {
    list.kind = text_of(field);
  } else {
    list.page.resource_version = text_of(field["resourceVersion"]);
    list.page.continue_token = text_of(field["continue"]);
  }
  if (!problems.empty()) return Error{std::string(key) + ": " + to_string(problems)};
  return {};
}

Result<void> KubeReader::Parser::read_items(JsonCursor& cursor, const KubeType& type, List& list) {
  list.has_items = true;
  cursor.take('[');
  cursor.skip_space();
  if (cursor.take(']')) return {};
  do {
    const auto json = cursor.value();
    if (!json) return Error{"not JSON: a list that breaks off"};
    if (const Result<void> read = read_item(*json, type, list.page); !read) return read;
    cursor.skip_space();
  } while (cursor.take(','));
  if (!cursor.take(']')) return Error{"not JSON: a list that breaks off"};
  return {};
}

Result<void> KubeReader::Parser::read_item(std::string_view json, const KubeType& type,
                                           KubeListPage& page) {
  const auto element = parse(json);
  if (!element) return element.error();
  std::vector<KubeProblem> problems;
  const KubeField object(*element, problems);
  KubeObjectPtr read = read_kube_object(object, type);
  if (read != nullptr) {
    page.objects.push_back(std::move(read));
  } else {
    page.refused.emplace_back(object_key(object, type), std::move(problems));
  }
  return {};
}

Result<KubeWatchEvent> KubeReader::read_event(std::string_view json, const KubeType& type) {
  const auto element = parser_->parse(json);
  if (!element) return element.error();
  std::vector<KubeProblem> problems;
  const KubeField root(*element, problems);
  const KubeField type_field = root["type"];
  const KubeField object = root["object"];
  const std::string_view name = type_field.required_text();
  const auto kind = event_kind(name);
  if (!object.present()) object.missing();
  if (!kind && type_field.is_text()) type_field.problem("is no event of a watch");
  if (!problems.empty()) return Error{to_string(problems)};
  KubeWatchEvent event;
  event.kind = *kind;
  // Paths begin at the object.
  const KubeField whole = object.as_root(event.problems);
  if (event.kind == KubeWatchEvent::Kind::kError) {
    event.status = status_of(whole);
    event.problems.clear();
    return event;
  }
  const KubeField meta = whole["metadata"];
  event.resource_version = text_of(meta["resourceVersion"]);
  if (event.kind == KubeWatchEvent::Kind::kBookmark) {
    const KubeField annotations = meta["annotations"];
    event.initial_events_end = annotations["k8s.io/initial-events-end"].text() == "true";
    if (!event.problems.empty()) return Error{to_string(event.problems)};
    return event;
  }
  event.object = read_kube_object(whole, type);
  event.key = object_key(whole, type);
  return event;
}

Result<KubeObjectPtr> KubeReader::read_object(std::string_view json) {
  const auto element = parser_->parse(json);
  if (!element) return element.error();
  std::vector<KubeProblem> problems;
  const KubeField object(*element, problems);
  const std::string_view version = object["apiVersion"].required_text();
  const std::string_view kind = object["kind"].required_text();
  if (!problems.empty()) return Error{to_string(problems)};
  const KubeType* type = find_kube_type(version, kind);
  if (type == nullptr) {
    return Error{"a " + std::string(kind.substr(0, 64)) + " of " +
                 std::string(version.substr(0, 64)) + " is not read"};
  }
  KubeObjectPtr read = read_kube_object(object, *type);
  if (read == nullptr) return Error{to_string(problems)};
  return read;
}

Result<KubeStatus> KubeReader::read_status(std::string_view json) {
  const auto element = parser_->parse(json);
  if (!element) return element.error();
  std::vector<KubeProblem> problems;
  const KubeField object(*element, problems);
  if (object["kind"].text() != "Status") return Error{"no Status"};
  return status_of(object);
}

}  // namespace kvasir
