// For tests: batches of KV events as an engine writes them (time 1.0, rank 0, one block of four
// tokens), in hexadecimal.
#pragma once

#include <array>

namespace kvasir {

inline constexpr const char* kStoredArrayVector =
    "93cb3ff00000000000009198ab426c6f636b53746f72656491cff5b600d19aef97acc0940102030404c0a3475055c0"
    "00";
// The hash is a digest of 32 bytes.
inline constexpr const char* kStoredDigestVector =
    "93cb3ff00000000000009198ab426c6f636b53746f72656491c420000102030405060708090a0b0c0d0e0f10111213"
    "14151617f5b600d19aef97acc0940102030404c0a3475055c000";
inline constexpr const char* kRemovedArrayVector =
    "93cb3ff00000000000009293ac426c6f636b52656d6f76656491cff5b600d19aef97aca347505591b0416c6c426c6f"
    "636b73436c656172656400";
inline constexpr const char* kStoredMapVector =
    "93cb3ff0000000000000918ba474797065ab426c6f636b53746f726564ac626c6f636b5f68617368657391cff5b600"
    "d19aef97acb1706172656e745f626c6f636b5f68617368c0a9746f6b656e5f6964739401020304aa626c6f636b5f73"
    "697a6504a76c6f72615f6964c0a66d656469756da3475055a96c6f72615f6e616d65c0aa65787472615f6b65797391"
    "c0a967726f75705f69647800b26b765f63616368655f737065635f6b696e64ae66756c6c5f617474656e74696f6e"
    "00";
inline constexpr const char* kRemovedMapVector =
    "93cb3ff00000000000009284a474797065ac426c6f636b52656d6f766564ac626c6f636b5f68617368657391cff5b6"
    "00d19aef97aca66d656469756da3475055a967726f75705f6964780081a474797065b0416c6c426c6f636b73436c65"
    "6172656400";

inline constexpr std::array kKvEventVectors = {kStoredArrayVector, kStoredDigestVector,
                                               kRemovedArrayVector, kStoredMapVector,
                                               kRemovedMapVector};

}  // namespace kvasir
