#!/usr/bin/env python3
"""What the embedded model makes of signals that 8 bits of RGB do not hold.

usage: test_signals.py
"""
import array
import math
import os
import statistics
import subprocess
import tempfile
import unittest

BLACK, WHITE = 64, 940  # of 10 bits
TIMEOUT = 600


def upscaled(video, width, height, luma, numbers="H"):
    """The luma of a grey 4:2:0 frame with these codes after upscaling, row by row; "B" for 8 bits."""
    grey = 512 if numbers == "H" else 128
    frame = array.array(numbers, luma + [grey] * (width * height // 2)).tobytes()
    with tempfile.TemporaryDirectory() as folder:
        given, made = os.path.join(folder, "in"), os.path.join(folder, "out")
        with open(given, "wb") as file:
            file.write(frame)
        line = (f"filesrc location={given} blocksize={len(frame)} ! video/x-raw,{video},width={width},"
                f"height={height},framerate=25/1 ! livepeerupscale safety-check=false seed=1 "
                f"! filesink location={made}")
        subprocess.run(["gst-launch-1.0", "-q", *line.split()], check=True, timeout=TIMEOUT)
        result = array.array(numbers)
        with open(made, "rb") as file:
            result.frombytes(file.read())
    across = 4 * width
    return [result[y * across:(y + 1) * across] for y in range(4 * height)]


def nits(code):
    """What PQ makes of a code."""
    value = max(0, (code - BLACK) / (WHITE - BLACK)) ** (1 / 78.84375)
    return 10000 * (max(value - 0.8359375, 0) / (18.8515625 - 18.6875 * value)) ** (1 / 0.1593017578125)


class Signals(unittest.TestCase):
    def test_a_ramp_of_ten_bits_has_no_bands(self):
        width, height = 320, 16
        ramp = [BLACK + (WHITE - BLACK) * x // (width - 1) for x in range(width)]
        deep = upscaled("format=I420_10LE", width, height, ramp * height)
        flat = upscaled("format=I420", width, height, [code >> 2 for code in ramp] * height, "B")
        values = [len(set(rows[2 * height])) for rows in (deep, flat)]
        print(f"{values[0]} values of 10 bits, {values[1]} of 8")
        self.assertGreaterEqual(values[0], 3 * values[1])
        slope = (WHITE - BLACK) / (width - 1)
        middle = list(enumerate(deep[2 * height]))[64:-64]
        noise = statistics.pstdev(code - slope * x / 4 for x, code in middle)
        print(f"off the line by {noise:.2f} codes of 10 bits")
        self.assertLess(noise, 1)

    def test_a_bright_disc_keeps_its_light(self):
        size, radius, near = 64, 20, 16
        for wanted in (1000, 4000):
            bright = min(range(BLACK, WHITE), key=lambda code, wanted=wanted: abs(nits(code) - wanted))
            wanted = nits(bright)

            def from_edge(x, y, scale):
                return math.hypot(x + 0.5 - size * scale / 2, y + 0.5 - size * scale / 2) - radius * scale

            rows = upscaled("format=I420_10LE,colorimetry=bt2100-pq", size, size,
                            [bright if from_edge(x, y, 1) < 0 else BLACK for y in range(size) for x in range(size)])
            inside, beside = [], []
            for y, row in enumerate(rows):
                for x, code in enumerate(row):
                    edge = from_edge(x, y, 4)
                    self.assertGreaterEqual(code, BLACK)
                    if edge < -near:
                        inside.append(nits(code) / wanted)
                    elif edge < near:
                        beside.append(nits(code) / wanted)
            print(f"disc of {wanted:.0f} cd/m2: {min(inside):.3f} to {max(inside):.3f} of that on it, "
                  f"up to {max(beside):.3f} at its edge")
            edge = 2 * size + 4 * radius
            print("across the edge:", *(round(nits(code)) for code in rows[2 * size][edge - 12:edge + 8]))
            self.assertGreater(min(inside), 0.98)
            self.assertLess(max(inside), 1.02)
            self.assertLess(max(beside), 1.1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
