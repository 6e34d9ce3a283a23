#include "wire/request/prompt_text.h"

#include <algorithm>
#include <array>
#include <optional>

#include "wire/json/json_cursor.h"
#include "wire/request/prompt_pieces.h"

namespace kvasir {
namespace {

// Marks between what a template would put apart; no text begins with them.
constexpr char kMessage = '\x1e';   // and the role behind it
constexpr char kContent = '\x1f';   // the content behind the role
constexpr char kPart = '\x1c';      // a part that is no text
constexpr char kSection = '\x1d';   // a field before the messages, or a member beside the content
constexpr size_t kMembersMax = 64;  // of an object whose order does not matter; beyond, it does
// A list, its objects and one object within each: a tool and its function, an image and its URL.
// Deeper, engines print the members in the order of the request.
constexpr unsigned kOrderlessLevels = 3;
// Messages, parts, members and texts that are looked at; what is left then counts as it stands. A
// request of the longest contexts has some ten thousand.
constexpr size_t kStepsMax = 100'000;
// Engines leave it out: it differs from request to request.
constexpr std::string_view kAttribution = "x-anthropic-billing-header";

bool is_text(std::string_view value) {
  return !value.empty() && value.front() == '"';
}

bool is_list(std::string_view value) {
  return !value.empty() && value.front() == '[';
}

bool is_object(std::string_view value) {
  return !value.empty() && value.front() == '{';
}

std::string_view text_inside_quotes(std::string_view text) {
  return text.substr(1, text.size() - 2);
}

// Members that say nothing to the engine.
bool is_silent(std::string_view key, std::string_view value) {
  return key == "cache_control" || value == "null";
}

class PromptWriter {
 public:
  PromptWriter(const RequestPeek& peek, PromptSink& sink) : peek_(peek), out_(sink) {}

  void write() {
    for (size_t i = 0; i < kPromptFields; ++i) write_field(static_cast<PromptField>(i));
    switch (peek_.kind) {
      case PromptKind::kText:
        return write_text();
      case PromptKind::kTokenIds:
        return write_ids(peek_.prompt);
      case PromptKind::kMessages:
        return write_messages();
      case PromptKind::kOther:
        return write_prompts();
      case PromptKind::kRawText:
      case PromptKind::kRawIds:
        return out_.put(peek_.prompt);
    }
  }

 private:
  void write_field(PromptField name) {
    std::string_view value = peek_.field(name);
    if (value.empty()) return;
    if (name == PromptField::kSystem) return write_system(value);
    if (name == PromptField::kReasoningEffort) {
      if (is_object(value)) value = member(value, "effort");
      if (value.empty() || value == "null") return;
    }
    out_.put(kSection);
    out_.put(static_cast<char>('a' + static_cast<int>(name)));
    write_json(value, kOrderlessLevels);
  }

  std::string_view member(std::string_view object, std::string_view name) {
    std::string_view found;
    JsonMembers members(object);
    while (step() && members.next()) {
      if (members.key() == name) found = members.value();
    }
    return found;
  }

  void begin_message(std::string_view role) {
    out_.put(kMessage);
    out_.put_text(role);
    out_.put(kContent);
  }

  // Engines put the blocks of a system text together without a line break.
  void write_system(std::string_view system) {
    begin_message("system");
    if (!is_list(system)) return write_content(system, kOrderlessLevels);
    JsonElements blocks(system);
    while (blocks.next()) {
      if (!step()) return out_.put(blocks.rest());
      const Part part = read_part(blocks.value());
      if (!part.is_text) {
        write_other_part(blocks.value(), kOrderlessLevels);
      } else if (part.text.substr(0, kAttribution.size()) != kAttribution) {
        out_.put_text(part.text);
      }
    }
  }

  void write_text() {
    if (peek_.api == RequestApi::kResponses) begin_message("user");
    peek_.prompt_is_plain ? out_.put(peek_.prompt) : out_.put_text(peek_.prompt);
  }

  void write_messages() {
    JsonElements messages(peek_.prompt);
    while (messages.next()) {
      if (!step()) return out_.put(messages.rest());
      write_message(messages.value());
    }
  }

  struct Message {
    std::string_view role, content, name, calls, call_id, reasoning;
    bool has_role = false;
  };

  Message read_message(std::string_view object) {
    Message message;
    JsonMembers members(object);
    while (step() && members.next()) {
      const std::string_view key = members.key();
      const std::string_view value = members.value();
      if (key == "role") {
        message.has_role = is_text(value);
        message.role = is_text(value) ? text_inside_quotes(value) : std::string_view();
      } else if (key == "content") {
        message.content = value;
      } else if (value == "null") {
        continue;
      } else if (key == "name") {
        message.name = value;
      } else if (key == "tool_calls") {
        message.calls = value;
      } else if (key == "tool_call_id") {
        message.call_id = value;
      } else if (key == "reasoning" || key == "reasoning_content") {
        message.reasoning = value;
      }
    }
    return message;
  }

  void write_message(std::string_view value) {
    const Message message = is_object(value) ? read_message(value) : Message();
    if (!message.has_role) return write_item(value);
    begin_message(message.role);
    write_beside('n', message.name);
    write_beside('r', message.reasoning);
    write_content(message.content, kOrderlessLevels);
    if (message.calls != "[]") write_beside('c', message.calls);
    write_beside('i', message.call_id);
  }

  void write_beside(char mark, std::string_view value) {
    if (value.empty()) return;
    out_.put(kSection);
    out_.put(mark);
    write_json(value, kOrderlessLevels);
  }

  // A call of a function, or what came of it, among the items of a response.
  void write_item(std::string_view value) {
    out_.put(kMessage);
    if (!is_object(value)) return write_json(value, kOrderlessLevels);
    write_object(value, kOrderlessLevels, true);
  }

  void write_content(std::string_view content, unsigned levels) {
    if (is_text(content)) return out_.put_text(text_inside_quotes(content));
    if (!is_list(content)) {
      if (!content.empty() && content != "null") write_json(content, levels);
      return;
    }
    bool after_text = false;
    JsonElements parts(content);
    while (parts.next()) {
      if (!step()) return out_.put(parts.rest());
      const Part part = read_part(parts.value());
      if (part.is_text && part.text.empty()) continue;
      if (part.is_text) {
        if (after_text) out_.put("\\n");
        out_.put_text(part.text);
      } else {
        write_other_part(parts.value(), levels);
      }
      after_text = part.is_text;
    }
  }

  struct Part {
    bool is_text = false;
    std::string_view text;  // between the quotes
  };

  Part read_part(std::string_view value) {
    if (is_text(value)) return {true, text_inside_quotes(value)};
    Part part;
    if (!is_object(value)) return part;
    bool other_type = false;
    JsonMembers members(value);
    while (step() && members.next()) {
      if (members.key() == "text" && is_text(members.value())) {
        part = {true, text_inside_quotes(members.value())};
      } else if (members.key() == "type") {
        const std::string_view type = members.value();
        other_type = type != "\"text\"" && type != "\"input_text\"" && type != "\"output_text\"";
      }
    }
    part.is_text &= !other_type;
    return part;
  }

  void write_other_part(std::string_view value, unsigned levels) {
    out_.put(kPart);
    write_json(value, levels == 0 ? 0 : levels - 1);
  }

  // A list of prompts: the engine runs each on its own.
  void write_prompts() {
    if (!is_list(peek_.prompt)) return;
    bool first = true;
    JsonElements prompts(peek_.prompt);
    while (prompts.next()) {
      if (!step()) return out_.put(prompts.rest());
      if (!first) out_.put(kMessage);
      first = false;
      const std::string_view prompt = prompts.value();
      is_text(prompt) ? out_.put_text(text_inside_quotes(prompt))
                      : write_json(prompt, kOrderlessLevels);
    }
  }

  // The numbers with commas between them; a list of one list is that list.
  void write_ids(std::string_view array) {
    out_.put(kContent);  // no text
    const bool nested = array.find('[', 1) != std::string_view::npos;
    if (!nested) return out_.put_spaceless(array.substr(1, array.size() - 2));
    bool first = true;
    JsonElements lists(array);
    while (lists.next()) {
      if (!step()) return out_.put(lists.rest());
      if (!first) out_.put(kMessage);
      first = false;
      const std::string_view list = lists.value();
      is_list(list) ? out_.put_spaceless(list.substr(1, list.size() - 2)) : write_compact(list);
    }
  }

  // --- JSON without what does not matter ---------------------------------------------------------

  void write_json(std::string_view value, unsigned levels) {
    if (levels > 0 && is_object(value)) return write_object(value, levels, false);
    if (levels == 0 || !is_list(value)) return write_compact(value);
    out_.put('[');
    JsonElements elements(value);
    while (elements.next()) {
      if (!step()) return out_.put(elements.rest());
      write_json(elements.value(), levels - 1);
      out_.put(',');
    }
    out_.put(']');
  }

  struct Member {
    std::string_view key, value;
  };

  // `item`: of a response; its id and state are the server's.
  void write_object(std::string_view object, unsigned levels, bool item) {
    std::array<Member, kMembersMax> members;
    size_t count = 0;
    JsonMembers walk(object);
    while (step() && walk.next()) {
      if (is_silent(walk.raw_key(), walk.value())) continue;
      if (item && (walk.raw_key() == "id" || walk.raw_key() == "status")) continue;
      if (count == kMembersMax) return write_compact(object);
      members[count++] = {walk.raw_key(), walk.value()};
    }
    std::stable_sort(members.begin(), members.begin() + static_cast<ptrdiff_t>(count),
                     [](const Member& a, const Member& b) { return a.key < b.key; });
    out_.put('{');
    for (size_t i = 0; i < count; ++i) {
      if (i + 1 < count && members[i].key == members[i + 1].key) continue;  // the last one counts
      out_.put_text(members[i].key);
      out_.put(':');
      write_member(members[i], levels - 1);
      out_.put(',');
    }
    out_.put('}');
  }

  // What a tool answered is a text or a list of parts, as a message is.
  void write_member(const Member& member, unsigned levels) {
    const bool is_content = member.key == "content" || member.key == "output";
    is_content ? write_content(member.value, levels) : write_json(member.value, levels);
  }

  // As it stands, without white space, its strings unescaped.
  void write_compact(std::string_view value) {
    while (step()) {
      const size_t quote = std::min(value.find('"'), value.size());
      out_.put_spaceless(value.substr(0, quote));
      value.remove_prefix(quote);
      JsonCursor cursor(value);
      const std::optional<std::string_view> text = cursor.string();
      if (!text) return;  // the end: what was read as a whole does not end within a string
      out_.put('"');
      out_.put_text(*text);
      out_.put('"');
      value.remove_prefix(cursor.at());
    }
    out_.put(value);
  }

  // False: there were enough of them.
  bool step() { return steps_left_ > 0 && --steps_left_ > 0; }

  const RequestPeek& peek_;
  PieceWriter out_;
  size_t steps_left_ = kStepsMax;
};

}  // namespace

void write_prompt(const RequestPeek& peek, PromptSink& sink) {
  PromptWriter(peek, sink).write();
}

}  // namespace kvasir
