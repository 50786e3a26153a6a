#pragma once

/// Before loops of constant length, so that arrays of sums become registers.
#define UNROLL _Pragma("GCC unroll 16")
