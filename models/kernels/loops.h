#pragma once

/// How inner loops are written. Those without intrinsics are compiled once for each CpuLevel with
/// its instructions (LEVEL names it), and must not use what a header defines and other files are
/// compiled with, too: the linker keeps one of the versions for all.

/// Before loops of constant length, so that arrays of sums become registers.
#define UNROLL _Pragma("GCC unroll 16")
/// Before loops in which input and output may be the same array.
#if defined(__clang__)
#define ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#else
#define ELEMENTWISE _Pragma("GCC ivdep")
#endif
#define ALWAYS_INLINE inline __attribute__((always_inline))
