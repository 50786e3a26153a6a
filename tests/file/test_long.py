#!/usr/bin/env python3
"""A film of 20,000 frames, and the memory that it takes.

usage: test_long.py
"""
import re
import unittest

from upscale_file import Case, times

FRAMES = 20000


class Long(Case):
    def test_memory_is_flat(self):
        self.clip("in.mp4", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", seconds=FRAMES / 25)
        process = self.start("--json", "--seed", "0", "in.mp4", "out.mkv")
        self.addCleanup(process.kill)
        memory = []
        for line in process.stdout:
            done = re.search(r'"frames":(\d+)', line)
            if not done or int(done.group(1)) < (len(memory) + 1) * FRAMES // 10:
                continue
            with open(f"/proc/{process.pid}/status", encoding="ascii") as status:
                memory.append(int(re.search(r"VmRSS:\s+(\d+)", status.read()).group(1)) >> 10)
            print(f"{done.group(1)} frames: {memory[-1]} MiB", flush=True)
        self.assertEqual(process.wait(), 0)
        self.assertEqual(len(times(self.path("out.mkv"))), FRAMES)
        # What grows is the index of the file that is written.
        self.assertLess(memory[-1] - memory[2], 24)


if __name__ == "__main__":
    unittest.main(verbosity=2)
