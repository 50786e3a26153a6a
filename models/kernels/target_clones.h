#pragma once

/// How the inner loops are compiled for several instruction sets.

#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12
// Whole levels: with some of the AVX-512 alone, gcc does without its registers for 16-bit numbers.
#define FOR_EACH_ISA __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#elif defined(__x86_64__)
#define FOR_EACH_ISA __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define FOR_EACH_ISA
#endif
/// Before loops in which input and output may be the same array.
#if defined(__clang__)
#define ELEMENTWISE _Pragma("clang loop vectorize(assume_safety)")
#else
#define ELEMENTWISE _Pragma("GCC ivdep")
#endif
/// Into the clones, so that it is compiled for their instruction set.
#define INTO_CLONES inline __attribute__((always_inline))
