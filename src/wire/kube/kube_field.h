// One field of an object's JSON and the path to it. What is wrong with a field is noted, once, in a
// list that all fields of an object share; whoever reads goes on with a default. Private to wire/.
//
// Null counts as absent, as the API server has it. Texts are valid as long as the parser's
// document.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wire/kube/kube_problem.h"

namespace kvasir {

inline constexpr size_t kKubeProblemsMost = 32;  // of one object; more are not noted

class KubeField {
 public:
  using Element = simdjson::dom::element;

  // The object as a whole.
  KubeField(Element object, std::vector<KubeProblem>& problems)
      : value_(object), problems_(&problems) {}

  // A field of this one; absent when this one is, or is no map (which is noted).
  KubeField operator[](std::string_view key) const&;
  KubeField operator[](std::string_view key) && = delete;  // the path goes through this one

  bool present() const { return value_.has_value(); }
  bool is_text() const { return present() && value_->is_string(); }

  // Each notes a value of another type, or outside of the limits.
  std::optional<std::string_view> text() const;
  std::string_view required_text() const;  // notes an absent or empty one, too
  bool boolean(bool otherwise) const;
  std::optional<int64_t> whole_number(int64_t least, int64_t most) const;
  std::optional<int64_t> required_whole_number(int64_t least, int64_t most) const;
  std::map<std::string, std::string> texts() const;  // a map of texts

  // Calls f(std::string_view key, const KubeField&) for each entry of a map, those that are null
  // among them.
  template <class F>
  void for_each_entry(F&& f) const;
  // Calls f(const KubeField&) for each element of a list.
  template <class F>
  void for_each(F&& f) const;
  // Of a list; 0 when it is none.
  size_t size() const;
  bool is_empty_list() const;

  // Notes one.
  void problem(std::string text) const;
  // Notes that it must be there. Of a field that is absent itself, nothing is missed.
  void missing() const;
  // This field as an object of its own, where paths begin.
  KubeField as_root(std::vector<KubeProblem>& problems) const { return {value_, problems}; }

  // Of the object as a whole.
  bool has_problems() const { return !problems_->empty(); }
  std::string path() const;

 private:
  KubeField(std::optional<Element> value, std::vector<KubeProblem>& problems)
      : value_(value), problems_(&problems) {}
  KubeField(std::optional<Element> value, const KubeField& parent, std::string_view key);
  KubeField(std::optional<Element> value, const KubeField& parent, size_t index);

  std::optional<simdjson::dom::object> object() const;
  std::optional<simdjson::dom::array> array() const;
  void wrong_type(std::string_view wanted) const;

  std::optional<Element> value_;
  const KubeField* parent_ = nullptr;
  std::string_view key_;
  size_t index_ = 0;
  bool is_element_ = false;
  bool is_missed_ = true;  // when it is absent: its parent is a map
  std::vector<KubeProblem>* problems_;
};

template <class F>
void KubeField::for_each_entry(F&& f) const {
  const std::optional<simdjson::dom::object> entries = object();
  if (!entries) return;
  for (const simdjson::dom::key_value_pair entry : *entries) {
    f(entry.key, KubeField(entry.value, *this, entry.key));
  }
}

template <class F>
void KubeField::for_each(F&& f) const {
  const std::optional<simdjson::dom::array> elements = array();
  if (!elements) return;
  size_t index = 0;
  for (const Element element : *elements) f(KubeField(element, *this, index++));
}

}  // namespace kvasir
