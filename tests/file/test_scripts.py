#!/usr/bin/env python3
"""The launch lines of examples/launch on everyday files.

usage: test_scripts.py FOLDER
"""
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

from upscale_file import TIMEOUT, Case, ffmpeg, pixel, probe, streams, times, turned_mp4

FOLDER = sys.argv.pop(1)


def unread_bytes(port):
    """What the socket that is bound to this UDP port still holds."""
    with open("/proc/net/udp", encoding="ascii") as table:
        for line in table.readlines()[1:]:
            _, address, _, _, queues, *_ = line.split()
            if int(address.split(":")[1], 16) == port:
                return int(queues.split(":")[1], 16)
    raise AssertionError(f"nobody listens on port {port}")


class Scripts(Case):
    def script(self, name, *arguments, **variables):
        return subprocess.Popen([os.path.join(FOLDER, name), *arguments], cwd=self.folder, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT, text=True,
                                env={**os.environ, "UPSCALE": "livepeerupscale seed=0 safety-check=false", **variables})

    def run_script(self, name, *arguments):
        process = self.script(name, *arguments)
        self.addCleanup(process.kill)
        log = process.communicate(timeout=TIMEOUT)[0]
        self.assertEqual(process.returncode, 0, log)

    def test_a_clip_without_sound(self):
        self.clip("in.mp4", "-c:v", "libx264", sound=False)
        self.run_script("video-with-sound.sh", "in.mp4", "out.webm")
        self.assertEqual([one["codec_type"] for one in streams(self.path("out.webm"))], ["video"])
        self.clip("in.mp4", "-c:v", "libx264", "-c:a", "aac")
        self.run_script("video-with-sound.sh", "in.mp4", "out.webm")
        self.assertEqual([one["codec_type"] for one in streams(self.path("out.webm"))], ["video", "audio"])

    def test_a_clip_that_was_turned(self):
        self.clip("plain.mp4", "-c:v", "libx264", sound=False)
        turned_mp4(self.path("plain.mp4"), self.path("in.mp4"), 90)
        for name in ("video.sh", "video-with-sound.sh"):
            self.run_script(name, "in.mp4", "out.webm")
            made = streams(self.path("out.webm"))[0]
            self.assertEqual((made["width"], made["height"]), (192, 256))

    def test_ctrl_c_ends_the_file(self):
        self.clip("in.mp4", "-c:v", "libx264", sound=False, seconds=60)
        process = self.script("video.sh", "in.mp4", "out.webm", FAKE_STEP_MILLISECONDS="20")
        self.addCleanup(process.kill)
        until = time.monotonic() + TIMEOUT
        while not os.path.exists(self.path("out.webm")) or os.path.getsize(self.path("out.webm")) < 20000:
            self.assertLess(time.monotonic(), until)
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
        # The length stands in the head, which is written when the file is closed.
        shown = times(self.path("out.webm"))
        self.assertGreater(len(shown), 1)
        self.assertAlmostEqual(float(probe(self.path("out.webm"), "-show_format")["format"]["duration"]), shown[-1] + 0.04, delta=0.05)

    def test_black_and_white_over_rtp(self):
        ffmpeg("-f", "lavfi", "-i", "color=white:s=64x48:r=10:d=1,drawbox=w=32:h=48:color=black:t=fill", "-c:v", "libvpx",
               self.path("in.webm"), cwd=self.folder)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("", 0))
            port = str(free.getsockname()[1])
        receiver = self.script("rtp-receive.sh", port, "out.webm")
        self.addCleanup(receiver.kill)
        for line in receiver.stdout:
            if "New clock" in line or "PREROLL" in line:
                break
        self.run_script("rtp-send.sh", port, "in.webm")
        while unread_bytes(int(port)) > 0:
            time.sleep(0.1)
        receiver.send_signal(signal.SIGINT)
        receiver.communicate(timeout=TIMEOUT)
        self.assertLess(max(pixel(self.path("out.webm"), 40, 96, (256, 192))), 4)
        self.assertGreater(min(pixel(self.path("out.webm"), 216, 96, (256, 192))), 251)


if __name__ == "__main__":
    unittest.main(verbosity=2)
