#include "tokens/unicode_classes.h"

#include <utf8proc.h>

#include <algorithm>
#include <map>

namespace kvasir {
namespace {

struct Range {
  uint32_t first;
  uint32_t last;
};

// What Unicode 15.1 and 16.0 added, for the tables of a library that knows less.
constexpr Range kNewLetters[] = {
    {7305, 7306},     {42955, 42957},   {42970, 42972}, {67008, 67059},   {68938, 68965},
    {68975, 68997},   {69314, 69316},   {70528, 70537}, {70539, 70539},   {70542, 70542},
    {70544, 70581},   {70583, 70583},   {70609, 70609}, {70611, 70611},   {72640, 72672},
    {78944, 82938},   {90368, 90397},   {93504, 93548}, {101631, 101631}, {124368, 124397},
    {124400, 124400}, {191472, 192093},
};
constexpr Range kNewNumbers[] = {
    {68928, 68937}, {71376, 71395},   {72688, 72697},   {90416, 90425},
    {93552, 93561}, {118000, 118009}, {124401, 124410},
};
constexpr Range kNewMarks[] = {
    {2199, 2199},   {68969, 68973}, {69372, 69372},   {70584, 70592}, {70594, 70594},
    {70597, 70597}, {70599, 70602}, {70604, 70608},   {70610, 70610}, {70625, 70626},
    {73562, 73562}, {90398, 90415}, {124398, 124399},
};
constexpr Range kSpaces[] = {{0x09, 0x0d},     {0x20, 0x20},     {0x85, 0x85},     {0xa0, 0xa0},
                             {0x1680, 0x1680}, {0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f},
                             {0x205f, 0x205f}, {0x3000, 0x3000}};
// Alphabetic characters that are no letters, and joiners.
constexpr Range kOtherWord[] = {
    {0x200c, 0x200d}, {0x24b6, 0x24e9}, {0x1f130, 0x1f149}, {0x1f150, 0x1f169}, {0x1f170, 0x1f189}};

template <size_t kCount>
bool is_in(const Range (&ranges)[kCount], uint32_t code_point) {
  return std::any_of(std::begin(ranges), std::end(ranges), [code_point](const Range& range) {
    return code_point >= range.first && code_point <= range.last;
  });
}

uint8_t class_of_unassigned(uint32_t code_point) {
  if (is_in(kNewLetters, code_point)) return kLetterClass | kWordClass;
  if (is_in(kNewNumbers, code_point)) return kNumberClass | kWordClass;
  if (is_in(kNewMarks, code_point)) return kMarkClass | kWordClass;
  return 0;
}

uint8_t class_by_category(uint32_t code_point) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(code_point))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return kLetterClass | kWordClass;
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
      return kNumberClass | kWordClass;
    case UTF8PROC_CATEGORY_NO:
      return kNumberClass;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
      return kMarkClass | kWordClass;
    case UTF8PROC_CATEGORY_PC:
      return kWordClass;
    case UTF8PROC_CATEGORY_CN:
      return class_of_unassigned(code_point);
    default:
      return 0;
  }
}

uint8_t class_of(uint32_t code_point) {
  uint8_t result = class_by_category(code_point);
  if (is_in(kSpaces, code_point)) result |= kSpaceClass;
  if (code_point == '\r' || code_point == '\n') result |= kNewlineClass;
  if (is_in(kOtherWord, code_point)) result |= kWordClass;
  return result;
}

}  // namespace

const UnicodeClasses& UnicodeClasses::get() {
  static const UnicodeClasses classes;
  return classes;
}

UnicodeClasses::UnicodeClasses() {
  std::map<std::array<uint8_t, 256>, uint16_t> known;
  for (uint32_t block = 0; block < index_.size(); ++block) {
    std::array<uint8_t, 256> classes;
    for (uint32_t i = 0; i < classes.size(); ++i) classes[i] = class_of(block << 8 | i);
    const auto [entry, added] = known.emplace(classes, static_cast<uint16_t>(known.size()));
    if (added) blocks_.insert(blocks_.end(), classes.begin(), classes.end());
    index_[block] = entry->second;
  }
}

}  // namespace kvasir
