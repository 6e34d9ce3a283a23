#include "plugin_docs.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>

#include "config/plugin_type_facts.h"
#include "plugins/refused_plugins.h"
#include "scheduling/plugin_maker.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

struct Group {
  const char* title;
  uint32_t places;
};
constexpr Group kGroups[] = {
    {"Pickers", kPickerPlace},       {"Scorers", kScorerPlace},
    {"Filters", kFilterPlace},       {"Profile handlers", kProfileHandlerPlace},
    {"Producers", kProducerPlace},   {"Flow control", kFlowControlPlace},
    {"Data layer", kDataLayerPlace}, {"Others", kParserPlace | kOtherPlace}};

// The lines of the comment that the file begins with, without their slashes.
std::vector<std::string> head_comment(const fs::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  std::string line;
  while (std::getline(stream, line) && line.rfind("//", 0) == 0) {
    lines.push_back(line.size() > 3 ? line.substr(3) : "");
  }
  return lines;
}

bool is_example(const std::string& line) {
  return line.rfind("  - type:", 0) == 0;
}

std::string stripped(const std::string& line) {
  const size_t first = line.find_first_not_of(' ');
  return first == std::string::npos ? "" : line.substr(first);
}

void append_words(std::string& text, const std::string& line) {
  const std::string words = stripped(line);
  if (!text.empty() && !words.empty()) text += ' ';
  text += words;
}

// The first colon that stands outside of parentheses.
size_t title_end(const std::string& text) {
  int depth = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(') ++depth;
    if (text[i] == ')') --depth;
    if (text[i] == ':' && depth == 0) return i;
  }
  return std::string::npos;
}

std::vector<std::string> types_in(const std::string& title, const Registry& registry) {
  static const std::regex word("[a-z0-9-]+");
  std::vector<std::string> types;
  for (std::sregex_iterator it(title.begin(), title.end(), word), end; it != end; ++it) {
    if (registry.find(it->str()) != nullptr) types.push_back(it->str());
  }
  return types;
}

PluginComment read_comment(const std::vector<std::string>& lines, const Registry& registry) {
  static const std::regex field(R"(^((?:Formula|Intent|Inputs|Parameters)[^:]*): ?(.*)$)");
  PluginComment comment;
  std::string title;
  std::string* text = &title;
  size_t at = 0;
  for (; at < lines.size() && !is_example(lines[at]); ++at) {
    std::smatch match;
    if (!std::regex_match(lines[at], match, field)) {
      append_words(*text, lines[at]);
      continue;
    }
    comment.fields.emplace_back(match[1], match[2]);
    text = &comment.fields.back().second;
  }
  for (; at < lines.size(); ++at) {
    comment.example += (lines[at].size() > 2 ? lines[at].substr(2) : "") + "\n";
  }
  const size_t end = title_end(title);
  if (end == std::string::npos) return comment;
  comment.types = types_in(title.substr(0, end), registry);
  comment.intent = stripped(title.substr(end + 1));
  return comment;
}

const PluginTypeFacts& facts_of(const std::vector<PluginTypeFacts>& facts,
                                const std::string& type) {
  return *find_plugin_type(facts, type);
}

std::string status_of(const Registry& registry, const std::string& type) {
  const PluginType& known = *registry.find(type);
  if (known.stability == Stability::kAlpha) return "alpha";
  if (known.stability != Stability::kDeprecated) return "";
  return "deprecated" + (known.replaced_by.empty() ? "" : ": use " + known.replaced_by);
}

std::string capital(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

std::string section(const Registry& registry, const PluginComment& comment) {
  std::string text = "### ";
  for (const std::string& type : comment.types) {
    if (&type != &comment.types.front()) text += ", ";
    text += "`" + type + "`";
    const std::string status = status_of(registry, type);
    if (!status.empty()) text += " (" + status + ")";
  }
  text += "\n\n" + capital(comment.intent) + "\n\n";
  for (const auto& [name, value] : comment.fields) {
    text.append("- **").append(name).append("**: ").append(value).append("\n");
  }
  return text + "\n```yaml\n" + comment.example + "```\n\n";
}

}  // namespace

bool PluginComment::has(const std::string& field) const {
  return std::any_of(fields.begin(), fields.end(),
                     [&](const auto& one) { return one.first.rfind(field, 0) == 0; });
}

std::vector<PluginComment> read_plugin_comments(const std::string& source_tree,
                                                const Registry& registry) {
  std::vector<PluginComment> comments;
  for (const auto& entry : fs::recursive_directory_iterator(fs::path(source_tree) / "src")) {
    if (entry.path().extension() != ".h") continue;
    const std::vector<std::string> lines = head_comment(entry.path());
    PluginComment comment = read_comment(lines, registry);
    if (comment.types.empty() || lines[0].rfind(comment.types[0], 0) != 0) continue;
    comment.file = fs::relative(entry.path(), source_tree);
    comments.push_back(std::move(comment));
  }
  std::sort(comments.begin(), comments.end(),
            [](const PluginComment& a, const PluginComment& b) { return a.types[0] < b.types[0]; });
  return comments;
}

std::string refusal_of(const Registry& registry, const std::string& type) {
  Registry refused;
  register_refused_plugins(refused);
  if (refused.find(type) == nullptr) return "";
  SchedulingConfig config;
  config.plugins.push_back({type, type});
  const PluginOptions options;
  PluginMaker maker(registry, config, options);
  const std::string owner = type + ": " + type + " ";
  if (maker.find(type) != nullptr) return "";
  return to_string(maker.problems()).substr(owner.size());
}

std::string plugin_document(const Registry& registry, const std::vector<PluginComment>& comments) {
  const std::vector<PluginTypeFacts> facts = plugin_type_facts(registry);
  std::string text =
      "# Plugins\n\n"
      "Every type that an EndpointPickerConfig can name, as its own header says. Generated: `make "
      "docs` writes this file, a test keeps it true.\n\n"
      "A parameter's default stands behind it in parentheses. Alpha types need "
      "`--allow-experimental-plugins`.\n"
      "A type of one's own comes with `--plugin` "
      "([examples/plugin](../examples/plugin/README.md)). Where plugins stand in a file: "
      "[CONFIGURATION.md](CONFIGURATION.md).\n\n";
  uint32_t told = 0;
  for (const Group& group : kGroups) {
    std::string sections;
    for (const PluginComment& comment : comments) {
      const uint32_t places = facts_of(facts, comment.types[0]).places;
      if ((places & group.places) != 0 && (places & told) == 0)
        sections += section(registry, comment);
    }
    told |= group.places;
    if (!sections.empty()) text += std::string("## ") + group.title + "\n\n" + sections;
  }
  text +=
      "## Known and refused\n\nTypes of upstream's that a configuration may not use here, and "
      "why.\n\n";
  for (const std::string_view name : registry.names()) {
    const std::string reason = refusal_of(registry, std::string(name));
    if (!reason.empty()) text += "- `" + std::string(name) + "`: " + reason + "\n";
  }
  return text;
}

}  // namespace kvasir
