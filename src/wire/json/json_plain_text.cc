#include "wire/json/json_plain_text.h"

#ifdef __SSE2__
#include <immintrin.h>
#endif

namespace kvasir {
namespace {

#ifdef __SSE2__

// 0x20 and 0x22 change places when bit 1 is turned over: then the controls and the quote are the
// bytes up to 0x20, which one comparison finds.
constexpr char kTurned = 0x02;
constexpr char kLargest = 0x20;

__m128i special_bytes(const char* lane) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lane));
  const __m128i turned = _mm_xor_si128(bytes, _mm_set1_epi8(kTurned));
  const __m128i small = _mm_cmpeq_epi8(_mm_min_epu8(turned, _mm_set1_epi8(kLargest)), turned);
  return _mm_or_si128(small, _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
}

size_t plain_by_16(std::string_view text) {
  size_t at = 0;
  for (; at + kJsonPlainBlock <= text.size(); at += kJsonPlainBlock) {
    const char* block = text.data() + at;
    const __m128i special =
        _mm_or_si128(_mm_or_si128(special_bytes(block), special_bytes(block + 16)),
                     _mm_or_si128(special_bytes(block + 32), special_bytes(block + 48)));
    if (_mm_movemask_epi8(special) != 0) break;
  }
  return at;
}

// Digits and what stands between numbers are not above it; brackets, letters and the backslash are.
constexpr char kLargestOfNumbers = ':';

// Not zero where a byte is above that, or a quote.
__m128i bytes_of_no_number(const char* lane) {
  const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(lane));
  return _mm_or_si128(_mm_subs_epu8(bytes, _mm_set1_epi8(kLargestOfNumbers)),
                      _mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')));
}

size_t numbers_by_16(std::string_view text) {
  size_t at = 0;
  for (; at + kJsonPlainBlock <= text.size(); at += kJsonPlainBlock) {
    const char* block = text.data() + at;
    const __m128i others =
        _mm_or_si128(_mm_or_si128(bytes_of_no_number(block), bytes_of_no_number(block + 16)),
                     _mm_or_si128(bytes_of_no_number(block + 32), bytes_of_no_number(block + 48)));
    if (_mm_movemask_epi8(_mm_cmpeq_epi8(others, _mm_setzero_si128())) != 0xffff) break;
  }
  return at;
}

__attribute__((target("avx2"))) inline __m256i special_bytes_32(const char* lane) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lane));
  const __m256i turned = _mm256_xor_si256(bytes, _mm256_set1_epi8(kTurned));
  const __m256i small =
      _mm256_cmpeq_epi8(_mm256_min_epu8(turned, _mm256_set1_epi8(kLargest)), turned);
  return _mm256_or_si256(small, _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\')));
}

__attribute__((target("avx2"))) size_t plain_by_32(std::string_view text) {
  size_t at = 0;
  for (; at + kJsonPlainBlock <= text.size(); at += kJsonPlainBlock) {
    const char* block = text.data() + at;
    const __m256i special = _mm256_or_si256(special_bytes_32(block), special_bytes_32(block + 32));
    if (!_mm256_testz_si256(special, special)) break;
  }
  return at;
}

__attribute__((target("avx2"))) inline __m256i bytes_of_no_number_32(const char* lane) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lane));
  return _mm256_or_si256(_mm256_subs_epu8(bytes, _mm256_set1_epi8(kLargestOfNumbers)),
                         _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"')));
}

__attribute__((target("avx2"))) size_t numbers_by_32(std::string_view text) {
  size_t at = 0;
  for (; at + kJsonPlainBlock <= text.size(); at += kJsonPlainBlock) {
    const char* block = text.data() + at;
    const __m256i others =
        _mm256_or_si256(bytes_of_no_number_32(block), bytes_of_no_number_32(block + 32));
    if (!_mm256_testz_si256(others, others)) break;
  }
  return at;
}

const bool kHasAvx2 = __builtin_cpu_supports("avx2") != 0;

#endif

}  // namespace

size_t plain_json_text([[maybe_unused]] std::string_view text) {
#ifdef __SSE2__
  return kHasAvx2 ? plain_by_32(text) : plain_by_16(text);
#else
  return 0;
#endif
}

size_t plain_json_numbers([[maybe_unused]] std::string_view text) {
#ifdef __SSE2__
  return kHasAvx2 ? numbers_by_32(text) : numbers_by_16(text);
#else
  return 0;
#endif
}

}  // namespace kvasir
