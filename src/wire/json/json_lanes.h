// Sixteen bytes of JSON at a time, for the few loops that go over whole prompts. Private to wire/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace kvasir {

inline constexpr size_t kJsonLane = 16;

// What a letter behind a backslash stands for; 0: it is another kind of escape, or none.
inline char simple_json_escape(char letter) {
  switch (letter) {
    case '"':
      return '"';
    case '\\':
      return '\\';
    case '/':
      return '/';
    case 'b':
      return '\b';
    case 'f':
      return '\f';
    case 'n':
      return '\n';
    case 'r':
      return '\r';
    case 't':
      return '\t';
    default:
      return '\0';
  }
}

#ifdef __SSE2__

inline __m128i json_lane(const char* bytes) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
}

// All ones where a byte is `largest` or less.
inline __m128i json_lane_up_to(__m128i lane, char largest) {
  return _mm_cmpeq_epi8(_mm_min_epu8(lane, _mm_set1_epi8(largest)), lane);
}

inline uint32_t json_lane_bits(__m128i found) {
  return static_cast<uint32_t>(_mm_movemask_epi8(found));
}

#endif

// Copies from the begin of `text` to `out` up to the first white space (and below), at most a lane;
// returns how many bytes. May write a whole lane to `out`.
inline size_t copy_json_lane(std::string_view text, char* out) {
#ifdef __SSE2__
  if (text.size() >= kJsonLane) {
    const __m128i lane = json_lane(text.data());
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), lane);
    const uint32_t bits = json_lane_bits(json_lane_up_to(lane, ' '));
    return bits == 0 ? kJsonLane : static_cast<size_t>(__builtin_ctz(bits));
  }
#endif
  size_t copied = 0;
  while (copied < text.size() && copied<kJsonLane&& static_cast<unsigned char>(text[copied])> ' ') {
    out[copied] = text[copied];
    ++copied;
  }
  return copied;
}

// The first backslash that begins an escape for which there is a shorter spelling; the size when
// there is none. It may err towards a backslash that is itself escaped.
inline size_t long_json_escape(std::string_view text) {
  size_t at = 0;
#ifdef __SSE2__
  for (; at + kJsonLane < text.size(); at += kJsonLane) {
    const __m128i next = json_lane(text.data() + at + 1);
    const __m128i letter = _mm_or_si128(_mm_cmpeq_epi8(next, _mm_set1_epi8('u')),
                                        _mm_cmpeq_epi8(next, _mm_set1_epi8('/')));
    const __m128i escape = _mm_cmpeq_epi8(json_lane(text.data() + at), _mm_set1_epi8('\\'));
    const uint32_t bits = json_lane_bits(_mm_and_si128(escape, letter));
    if (bits != 0) return at + static_cast<size_t>(__builtin_ctz(bits));
  }
#endif
  for (; at + 1 < text.size(); ++at) {
    if (text[at] == '\\' && (text[at + 1] == 'u' || text[at + 1] == '/')) return at;
  }
  return text.size();
}

}  // namespace kvasir
