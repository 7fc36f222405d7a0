// Every bound of the image module. An image is a stranger's input: nothing about it is unbounded.
// One that goes beyond a bound is `unsupported`: it is not tried again.
#pragma once

#include <cstddef>
#include <cstdint>

namespace perigee::image {

inline constexpr std::uint64_t kKiB = 1024;
inline constexpr std::uint64_t kMiB = 1024 * kKiB;
inline constexpr std::uint64_t kGiB = 1024 * kMiB;

// Documents.
inline constexpr std::size_t kMaxManifestBytes = 4 * kMiB;
inline constexpr std::size_t kMaxConfigBytes = 8 * kMiB;
inline constexpr std::size_t kMaxReferenceBytes = 1024;
inline constexpr std::size_t kMaxLayers = 256;
inline constexpr int kMaxIndexDepth = 3;
inline constexpr std::size_t kMaxIndexEntries = 1024;
inline constexpr std::size_t kMaxArchiveEntries = 10'000;

// Names and metadata of one disk's tree; what the writer keeps in memory.
inline constexpr std::size_t kMaxNameBytes = 255;
inline constexpr std::size_t kMaxPathBytes = 4096;
inline constexpr std::size_t kMaxLinkBytes = 4095;  // a symbolic link's target, as the kernel's
inline constexpr unsigned kMaxDepth = 2048;
inline constexpr int kMaxSymlinkHops = 40;  // as the kernel's
inline constexpr std::size_t kMaxWalkSteps = 4096;
inline constexpr std::size_t kMaxXattrBytes = 64 * kKiB;  // of one file, names and values
inline constexpr std::size_t kMaxFiles = 1'000'000;
inline constexpr std::uint64_t kMaxMetadataBytes = 256 * kMiB;  // names, links, xattrs
inline constexpr std::size_t kMaxPaxBytes = kMiB;
inline constexpr std::size_t kMaxGlobalPaxBytes = 64 * kKiB;  // they are applied to every entry
inline constexpr std::size_t kMaxSparseExtents = 262'144;

// File data.
inline constexpr std::uint64_t kMaxLayerBytes = 64 * kGiB;   // of one layer's tar, uncompressed
inline constexpr std::uint64_t kMaxImageBytes = 256 * kGiB;  // of a disk, holes included
// A layer may hold this much however small its blob is, and beyond that this many times the blob
// (gzip reaches 1032).
inline constexpr std::uint64_t kFreeLayerBytes = kGiB;
inline constexpr std::uint64_t kMaxExpansion = 1100;

// Registry.
inline constexpr long kConnectTimeoutSeconds = 10;
inline constexpr long kDocumentTimeoutSeconds = 30;
inline constexpr long kBlobTimeoutSeconds = 3600;
inline constexpr long kStallSeconds = 30;  // with less than kStallBytesPerSecond
inline constexpr long kStallBytesPerSecond = 1024;
inline constexpr long kMaxRedirects = 5;
inline constexpr int kMaxAttempts = 4;
inline constexpr std::size_t kParallelLayers = 4;
inline constexpr std::size_t kMaxTokenBytes = 64 * kKiB;
inline constexpr std::size_t kMaxErrorBytes = 16 * kKiB;

// Work that runs at once.
inline constexpr std::size_t kParallelConversions = 4;
inline constexpr std::size_t kChunkBytes = 256 * kKiB;

// Dockerfile builds.
inline constexpr std::size_t kMaxBuildLineBytes = 16 * kKiB;
inline constexpr std::size_t kBuildTailLines = 20;  // kept for the error

}  // namespace perigee::image
