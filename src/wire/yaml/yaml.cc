#include "wire/yaml/yaml.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <exception>
#include <optional>
#include <sstream>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/base64.h"
#include "base/text.h"
#include "wire/json/text_encoding.h"
#include "wire/yaml/yaml_scalar.h"

namespace kvasir {
namespace {

constexpr std::string_view kCore = "tag:yaml.org,2002:";

// Leaves the parser; never leaves this file.
struct Stop {
  Remark problem;
};

bool is_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t length = utf8_sequence_length(bytes);
    if (length == 0) return false;
    bytes.remove_prefix(length);
  }
  return true;
}

// A boolean by the rules of YAML 1.1, by which kubectl still reads manifests.
std::optional<bool> old_boolean(std::string_view text) {
  for (const char* word : {"y", "Y", "yes", "Yes", "YES", "on", "On", "ON"}) {
    if (text == word) return true;
  }
  for (const char* word : {"n", "N", "no", "No", "NO", "off", "Off", "OFF"}) {
    if (text == word) return false;
  }
  return std::nullopt;
}

// A list or map whose end has not come yet.
struct Open {
  bool is_map = false;
  int line = 0;
  YAML::anchor_t anchor = 0;
  size_t values_before = 0;
  Value::List list{};
  Value::Map map{};
  std::optional<std::string> key{};
  std::unordered_set<std::string> keys{};
  bool merges = false;  // the key is "<<"
  std::vector<Value> merged{};
};

struct Anchored {
  Value value;
  size_t values = 0;
};

class TreeBuilder final : public YAML::EventHandler {
 public:
  // `one_document`: false for parse_yaml_documents(), whose rules apply.
  TreeBuilder(int lines_before, size_t values_most, bool one_document)
      : lines_before_(lines_before), values_most_(values_most), one_document_(one_document) {}

  std::vector<Value> take() { return std::move(documents_); }

  void OnDocumentStart(const YAML::Mark& mark) override {
    document_line_ = line_of(mark);
    anchors_.clear();  // those of another document have the same numbers
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const size_t before = values_;
    const int line = line_of(mark);
    count(1, line);
    add(Value(), line, anchor, before);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    const auto found = anchors_.find(anchor);
    const int line = line_of(mark);
    if (found == anchors_.end()) throw Stop{{line, "an alias inside the value that it stands for"}};
    count(found->second.values, line);
    add(found->second.value, line, 0, 0);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    const size_t before = values_;
    const int line = line_of(mark);
    count(1, line);
    if (awaits_key()) return set_key(tag, text, line);
    add(scalar(tag, text, line), line, anchor, before);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(false, line_of(mark), tag, anchor);
  }
  void OnSequenceEnd() override { close(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(true, line_of(mark), tag, anchor);
  }
  void OnMapEnd() override { close(); }

 private:
  int line_of(const YAML::Mark& mark) {
    if (mark.line >= 0) last_line_ = mark.line + 1 + lines_before_;
    return last_line_;
  }

  void count(size_t values, int line) {
    values_ += values;
    if (values_ > values_most_) {
      throw Stop{
          {line, "more than " + std::to_string(values_most_) + " values, aliases included"}};
    }
  }

  Value scalar(const std::string& tag, const std::string& text, int line) const {
    if (tag == "!" || tag == std::string(kCore) + "str") return Value(text, line);
    if (tag == std::string(kCore) + "binary") return binary(text, line);
    const bool is_core = tag.compare(0, kCore.size(), kCore) == 0;
    if (tag != "?" && !is_core) throw Stop{{line, "the tag " + tag + " is not known here"}};
    if (!one_document_ && tag == "?") {
      if (const auto flag = old_boolean(text)) return Value(*flag, line);
    }
    auto parsed = plain_yaml_scalar(text, line);
    if (const Remark* problem = std::get_if<Remark>(&parsed)) throw Stop{*problem};
    return std::get<Value>(std::move(parsed));
  }

  static Value binary(std::string encoded, int line) {
    std::erase_if(encoded, [](char c) { return is_json_space(c); });
    std::optional<std::string> text = decode_base64(encoded);
    if (text && is_utf8(*text)) return Value(std::move(*text), line);
    throw Stop{{line, "!!binary must be base64 of a text"}};
  }

  bool awaits_key() const { return !open_.empty() && open_.back().is_map && !open_.back().key; }

  void set_key(const std::string& tag, const std::string& key, int line) {
    open_.back().merges = key == "<<" && (tag == "?" || tag == std::string(kCore) + "merge");
    if (!open_.back().merges && !open_.back().keys.insert(key).second) {
      throw Stop{{line, "the key '" + key + "' stands twice in one map"}};
    }
    open_.back().key = key;
  }

  void open(bool is_map, int line, const std::string& tag, YAML::anchor_t anchor) {
    if (awaits_key()) throw Stop{{line, "a key must be a text, not a list or a map"}};
    if (tag != "?" && tag != "!" && tag.compare(0, 18, "tag:yaml.org,2002:") != 0) {
      throw Stop{{line, "the tag " + tag + " is not known here"}};
    }
    if (open_.size() >= kYamlDepthMost) {
      throw Stop{{line, "lists and maps nest deeper than " + std::to_string(kYamlDepthMost)}};
    }
    open_.push_back(Open{is_map, line, anchor, values_});
    count(1, line);
  }

  // What the map says itself counts, then what was merged first.
  static void merge(Open& map) {
    for (Value& merged : map.merged) {
      for (const auto& [key, value] : *merged.map()) {
        if (map.keys.insert(key).second) map.map.emplace_back(key, value);
      }
    }
  }

  // The value of a "<<".
  static void note_merged(Open& map, Value value, int line) {
    if (value.map() != nullptr) return map.merged.push_back(std::move(value));
    const Value::List several = value.list() != nullptr ? *value.list() : Value::List{value};
    for (const Value& one : several) {
      if (one.map() == nullptr) {
        throw Stop{{line, "'<<' takes a map or a list of maps, not " + std::string(one.kind())}};
      }
      map.merged.push_back(one);
    }
  }

  void close() {
    Open done = std::move(open_.back());
    open_.pop_back();
    merge(done);
    Value value = done.is_map ? Value(std::move(done.map), done.line)
                              : Value(std::move(done.list), done.line);
    add(std::move(value), done.line, done.anchor, done.values_before);
  }

  void add(Value value, int line, YAML::anchor_t anchor, size_t values_before) {
    if (anchor != 0) remember(anchor, value, values_ - values_before, line);
    if (open_.empty()) return set_root(std::move(value));
    Open& parent = open_.back();
    if (!parent.is_map) {
      parent.list.push_back(std::move(value));
    } else if (parent.key) {
      if (parent.merges) {
        note_merged(parent, std::move(value), line);
      } else {
        parent.map.emplace_back(*parent.key, std::move(value));
      }
      parent.key.reset();
    } else {
      throw Stop{{line, "a key must be a text, not " + std::string(value.kind())}};
    }
  }

  void remember(YAML::anchor_t anchor, const Value& value, size_t values, int line) {
    count(values, line);  // the copy costs memory too
    anchors_[anchor] = Anchored{value, values};
  }

  // An empty document, such as a closing "---" leaves, is none.
  void set_root(Value value) {
    if (value.is_null()) return;
    if (one_document_ && !documents_.empty()) {
      throw Stop{{document_line_, "a second document begins; a file holds one configuration"}};
    }
    documents_.push_back(std::move(value));
  }

  const int lines_before_;
  const size_t values_most_;
  const bool one_document_;
  int last_line_ = 0;
  int document_line_ = 0;
  size_t values_ = 0;
  std::vector<Open> open_;
  std::unordered_map<YAML::anchor_t, Anchored> anchors_;
  std::vector<Value> documents_;
};

// "yaml-cpp: error at line 3, column 5: text" is told with a line of our own.
Remark problem_of(const YAML::ParserException& error, int lines_before) {
  const int line = error.mark.line >= 0 ? error.mark.line + 1 + lines_before : 0;
  return Remark{line, "not YAML: " + error.msg};
}

std::variant<std::vector<Value>, Remark> parse_documents(std::string_view text, int lines_before,
                                                         const YamlLimits& limits,
                                                         bool one_document) {
  if (text.size() > limits.bytes) {
    return Remark{0, "longer than " + std::to_string(limits.bytes / 1024) + " KiB"};
  }
  const size_t zero = text.find('\0');
  if (zero != std::string_view::npos) {
    const auto before = std::count(text.begin(), text.begin() + static_cast<long>(zero), '\n');
    return Remark{lines_before + static_cast<int>(before) + 1,
                  "a zero byte; this is no text in UTF-8"};
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    TreeBuilder builder(lines_before, limits.values, one_document);
    while (parser.HandleNextDocument(builder)) {
    }
    return builder.take();
  } catch (const Stop& stop) {
    return stop.problem;
  } catch (const YAML::ParserException& error) {
    return problem_of(error, lines_before);
  } catch (const std::exception& error) {
    return Remark{0, std::string("not YAML: ") + error.what()};
  }
}

}  // namespace

std::variant<Value, Remark> parse_yaml(std::string_view text, int lines_before,
                                       const YamlLimits& limits) {
  auto parsed = parse_documents(text, lines_before, limits, true);
  if (const Remark* problem = std::get_if<Remark>(&parsed)) return *problem;
  auto& documents = std::get<std::vector<Value>>(parsed);
  return documents.empty() ? Value() : std::move(documents.front());
}

std::variant<std::vector<Value>, Remark> parse_yaml_documents(std::string_view text,
                                                              const YamlLimits& limits) {
  return parse_documents(text, 0, limits, false);
}

}  // namespace kvasir
