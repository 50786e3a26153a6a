#include "nn/winograd_float_rows.h"

#include "nn/cpu_clones.h"

namespace livepeer::kernels::rows {
namespace {

struct Four {
  float a, b, c, d;
};
struct Two {
  float a, b;
};

// The three maps along one axis.
INTO_CLONES Four of_input(Four x) { return {x.a - x.c, x.b + x.c, x.c - x.b, x.b - x.d}; }
INTO_CLONES Four of_filter(float a, float b, float c) {
  return {a, 0.5f * (a + b + c), 0.5f * (a - b + c), c};
}
INTO_CLONES Two to_output(Four x) { return {x.a + x.b + x.c, x.b - x.c - x.d}; }

INTO_CLONES void store_four(float *planes, int64_t stride, Four x) {
  store(planes, x.a);
  store(planes + stride, x.b);
  store(planes + 2 * stride, x.c);
  store(planes + 3 * stride, x.d);
}

INTO_CLONES void winograd_input_of(const float *const p[16], int64_t channels, float *planes,
                                   int64_t stride) {
  const float *const p0 = p[0], *const p1 = p[1], *const p2 = p[2], *const p3 = p[3],
                     *const p4 = p[4], *const p5 = p[5], *const p6 = p[6], *const p7 = p[7],
                     *const p8 = p[8], *const p9 = p[9], *const p10 = p[10], *const p11 = p[11],
                     *const p12 = p[12], *const p13 = p[13], *const p14 = p[14], *const p15 = p[15];
  ELEMENTWISE
  for (int64_t c = 0; c < channels; ++c) {
    const Four x = of_input({load(p0 + c), load(p4 + c), load(p8 + c), load(p12 + c)});
    const Four y = of_input({load(p1 + c), load(p5 + c), load(p9 + c), load(p13 + c)});
    const Four z = of_input({load(p2 + c), load(p6 + c), load(p10 + c), load(p14 + c)});
    const Four w = of_input({load(p3 + c), load(p7 + c), load(p11 + c), load(p15 + c)});
    store_four(planes + c, stride, of_input({x.a, y.a, z.a, w.a}));
    store_four(planes + c + 4 * stride, stride, of_input({x.b, y.b, z.b, w.b}));
    store_four(planes + c + 8 * stride, stride, of_input({x.c, y.c, z.c, w.c}));
    store_four(planes + c + 12 * stride, stride, of_input({x.d, y.d, z.d, w.d}));
  }
}

INTO_CLONES void winograd_filter_of(const float *g, int64_t n, float *planes, int64_t stride) {
  ELEMENTWISE
  for (int64_t c = 0; c < n; ++c) {
    const Four x = of_filter(load(g + c), load(g + 3 * n + c), load(g + 6 * n + c));
    const Four y = of_filter(load(g + n + c), load(g + 4 * n + c), load(g + 7 * n + c));
    const Four z = of_filter(load(g + 2 * n + c), load(g + 5 * n + c), load(g + 8 * n + c));
    store_four(planes + c, stride, of_filter(x.a, y.a, z.a));
    store_four(planes + c + 4 * stride, stride, of_filter(x.b, y.b, z.b));
    store_four(planes + c + 8 * stride, stride, of_filter(x.c, y.c, z.c));
    store_four(planes + c + 12 * stride, stride, of_filter(x.d, y.d, z.d));
  }
}

INTO_CLONES void winograd_output_of(const float *const p[16], const float *bias, int64_t channels,
                                    float *const pixels[4]) {
  const float *const p0 = p[0], *const p1 = p[1], *const p2 = p[2], *const p3 = p[3],
                     *const p4 = p[4], *const p5 = p[5], *const p6 = p[6], *const p7 = p[7],
                     *const p8 = p[8], *const p9 = p[9], *const p10 = p[10], *const p11 = p[11],
                     *const p12 = p[12], *const p13 = p[13], *const p14 = p[14], *const p15 = p[15];
  float *const q0 = pixels[0], *const q1 = pixels[1], *const q2 = pixels[2], *const q3 = pixels[3];
  ELEMENTWISE
  for (int64_t c = 0; c < channels; ++c) {
    const Two x = to_output({load(p0 + c), load(p4 + c), load(p8 + c), load(p12 + c)});
    const Two y = to_output({load(p1 + c), load(p5 + c), load(p9 + c), load(p13 + c)});
    const Two z = to_output({load(p2 + c), load(p6 + c), load(p10 + c), load(p14 + c)});
    const Two w = to_output({load(p3 + c), load(p7 + c), load(p11 + c), load(p15 + c)});
    const Two upper = to_output({x.a, y.a, z.a, w.a}), lower = to_output({x.b, y.b, z.b, w.b});
    store(q0 + c, upper.a + bias[c]);
    store(q1 + c, upper.b + bias[c]);
    store(q2 + c, lower.a + bias[c]);
    store(q3 + c, lower.b + bias[c]);
  }
}

}  // namespace

FOR_EACH_ISA void winograd_input(const float *const pixels[16], int64_t channels, float *planes,
                                 int64_t stride) {
  winograd_input_of(pixels, channels, planes, stride);
}

FOR_EACH_ISA void winograd_filter(const float *weights, int64_t channels, float *planes,
                                  int64_t stride) {
  winograd_filter_of(weights, channels, planes, stride);
}

FOR_EACH_ISA void winograd_output(const float *const planes[16], const float *bias,
                                  int64_t channels, float *const pixels[4]) {
  winograd_output_of(planes, bias, channels, pixels);
}

}  // namespace livepeer::kernels::rows
