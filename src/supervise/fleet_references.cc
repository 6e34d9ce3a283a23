#include "supervise/fleet_references.h"

#include <algorithm>
#include <optional>
#include <set>

#include "base/nearest_name.h"
#include "net/io/socket.h"

namespace kvasir {
namespace {

struct Reference {
  size_t begin = 0;                     // of its brace
  size_t end = 0;                       // behind the other one
  std::vector<std::string_view> words;  // between the dots

  std::string text() const {
    std::string joined;
    for (const std::string_view word : words) joined.append(joined.empty() ? "" : ".").append(word);
    return "{" + joined + "}";
  }
};

bool belongs_to_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

// What stands between a '{' and the next '}' when all of it is words and dots.
std::optional<Reference> reference_at(std::string_view text, size_t begin) {
  const size_t close = text.find('}', begin);
  if (close == std::string_view::npos) return std::nullopt;
  Reference found{begin, close + 1, {}};
  std::string_view rest = text.substr(begin + 1, close - begin - 1);
  while (true) {
    const size_t dot = std::min(rest.find('.'), rest.size());
    const std::string_view word = rest.substr(0, dot);
    if (word.empty() || !std::all_of(word.begin(), word.end(), belongs_to_word))
      return std::nullopt;
    found.words.push_back(word);
    if (dot == rest.size()) return found;
    rest.remove_prefix(dot + 1);
  }
}

std::optional<Reference> next_reference(std::string_view text, size_t from) {
  for (size_t at = text.find('{', from); at != std::string_view::npos;
       at = text.find('{', at + 1)) {
    const bool of_a_template = at > 0 && text[at - 1] == '{';
    if (of_a_template) continue;
    if (std::optional<Reference> found = reference_at(text, at)) return found;
  }
  return std::nullopt;
}

bool is_further_port(const std::vector<std::string_view>& words) {
  return words.size() == 2 && words[0] == "port";
}

Error unknown(const Reference& reference, const std::string& why) {
  return Error{reference.text() + ": " + why};
}

// `words`: what is asked of the process.
Result<std::string> told_by(const FleetPlace& place, const std::string& host,
                            const std::vector<std::string_view>& words,
                            const Reference& reference) {
  const bool further = is_further_port(words);
  const auto port = place.ports.find(further ? std::string(words[1]) : std::string());
  if (further && port == place.ports.end()) {
    return unknown(reference,
                   place.name +
                       " has no such port: none of its own flags or variables says {port." +
                       std::string(words[1]) + "}");
  }
  const HostPort address{host, port->second};
  if (further || (words.size() == 1 && words[0] == "port")) return std::to_string(address.port);
  if (words.size() == 1 && words[0] == "address") return to_string(address);
  if (words.size() == 1 && words[0] == "url") return "http://" + to_string(address);
  return unknown(reference, "of a process there are .port, .address, .url and .port.WORD");
}

std::optional<std::string> told_of_self(std::string_view word, const FleetPlaces& places,
                                        const FleetPlace& self) {
  if (word == "name") return self.name;
  if (word == "number") return std::to_string(self.number);
  if (word == "host") return places.host;
  if (word == "log-dir") return places.log_directory;
  if (word == "folder") return places.folder;
  return std::nullopt;
}

Error nobody(const Reference& reference, const FleetPlaces& places) {
  std::vector<std::string_view> known = {"name",    "number", "host",    "port",
                                         "address", "url",    "log-dir", "folder"};
  for (const FleetPlace& place : places.processes) {
    known.push_back(place.name);
    known.push_back(place.group);
  }
  const std::string name(reference.words[0]);
  return unknown(reference, "there is no '" + name + "' in this fleet" + did_you_mean(name, known));
}

Result<std::vector<std::string>> look_up(const Reference& reference, const FleetPlaces& places,
                                         const FleetPlace& self) {
  const std::vector<std::string_view>& words = reference.words;
  if (words.size() == 1) {
    if (const auto told = told_of_self(words[0], places, self)) return std::vector{*told};
  }
  const bool own =
      is_further_port(words) ||
      (words.size() == 1 && (words[0] == "port" || words[0] == "address" || words[0] == "url"));
  const std::vector<std::string_view> asked(words.begin() + (own ? 0 : 1), words.end());
  std::vector<std::string> all;
  for (const FleetPlace& place : places.processes) {
    if (own ? place.name != self.name : place.name != words[0] && place.group != words[0]) continue;
    Result<std::string> told = told_by(place, places.host, asked, reference);
    if (!told) return told.error();
    all.push_back(std::move(*told));
  }
  if (all.empty()) return nobody(reference, places);
  return all;
}

}  // namespace

std::vector<std::string> further_ports(const FleetGroup& group) {
  std::set<std::string> words;
  const auto search = [&words](std::string_view text) {
    for (auto found = next_reference(text, 0); found; found = next_reference(text, found->end)) {
      if (is_further_port(found->words)) words.emplace(found->words[1]);
    }
  };
  for (const std::string& argument : group.arguments) search(argument);
  for (const auto& [name, value] : group.variables) search(value);
  return {words.begin(), words.end()};
}

Result<std::vector<std::string>> expand_references(std::string_view text, const FleetPlaces& places,
                                                   const FleetPlace& self) {
  std::vector<std::string> texts(1);
  size_t done = 0;
  for (auto found = next_reference(text, 0); found; found = next_reference(text, found->end)) {
    const Result<std::vector<std::string>> values = look_up(*found, places, self);
    if (!values) return values.error();
    if (values->size() > 1) {
      if (texts.size() > 1) return unknown(*found, "only one group of several can stand in a text");
      texts.resize(values->size(), texts[0]);
    }
    for (size_t i = 0; i < texts.size(); ++i) {
      texts[i].append(text.substr(done, found->begin - done));
      texts[i].append((*values)[values->size() > 1 ? i : 0]);
    }
    done = found->end;
  }
  for (std::string& expanded : texts) expanded.append(text.substr(done));
  return texts;
}

}  // namespace kvasir
