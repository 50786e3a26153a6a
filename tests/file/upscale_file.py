"""Runs livepeer-upscale as a user does, on inputs that ffmpeg and ImageMagick make.

The element is the real one, on an engine that repeats pixels, plus the seed: with seed 0 colours stay.
"""
import json
import os
import shutil
import struct
import subprocess
import tempfile
import unittest

PROGRAM = os.environ["LIVEPEER_UPSCALE"]
TIMEOUT = 120


def ffmpeg(*arguments, cwd):
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments], cwd=cwd, check=True, timeout=TIMEOUT)


def probe(path, *entries):
    """What ffprobe says, as JSON."""
    text = subprocess.run(["ffprobe", "-v", "error", "-of", "json", *entries, path], check=True, timeout=TIMEOUT,
                          capture_output=True, text=True).stdout
    return json.loads(text)


def streams(path, kind=None):
    found = probe(path, "-show_streams", "-count_packets")["streams"]
    return [one for one in found if kind in (None, one["codec_type"])]


def times(path, stream="v:0"):
    """Seconds of each packet of a stream, in their order of showing."""
    packets = probe(path, "-show_packets", "-select_streams", stream)["packets"]
    return sorted(float(packet["pts_time"]) for packet in packets)


def frames_sum(path):
    """A line for each decoded frame: its time and a sum over its pixels."""
    text = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-map", "0:v:0", "-f", "framemd5", "-"], check=True,
                          timeout=TIMEOUT, capture_output=True, text=True).stdout
    return [line for line in text.splitlines() if not line.startswith("#")]


def pixel(path, x, y, size):
    """Red, green and blue of a pixel of the first frame of a picture or clip of that size."""
    width, height = size
    frame = subprocess.run(["ffmpeg", "-v", "error", "-i", path, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
                           check=True, timeout=TIMEOUT, capture_output=True).stdout
    assert len(frame) == width * height * 3, len(frame)
    at = (y * width + x) * 3
    return tuple(frame[at:at + 3])


def turned_mp4(source, target, degrees):
    """The file with another matrix in its track: shown turned clockwise."""
    cosine, sine = {90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = [cosine << 16, sine << 16, 0, -sine << 16, cosine << 16, 0, 0, 0, 1 << 30]
    with open(source, "rb") as file:
        data = file.read()
    at = data.index(b"tkhd") + 44
    with open(target, "wb") as file:
        file.write(data[:at] + struct.pack(">9i", *matrix) + data[at + 36:])


class Case(unittest.TestCase):
    """With a folder of its own."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="upscale-file-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    def clip(self, name, *arguments, size="64x48", rate=25, seconds=1, sound=True):
        """A test picture that moves, and a tone."""
        given = ["-f", "lavfi", "-i", f"testsrc=s={size}:r={rate}"]
        if sound:
            given += ["-f", "lavfi", "-i", "sine=440"]
        ffmpeg(*given, *arguments, "-t", str(seconds), self.path(name), cwd=self.folder)
        return self.path(name)

    def start(self, *arguments, **variables):
        return subprocess.Popen([PROGRAM, *arguments], cwd=self.folder, env={**os.environ, **variables},
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="surrogateescape")

    def run_program(self, *arguments, **variables):
        """Exit status, standard output, standard error."""
        process = self.start(*arguments, **variables)
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        finally:
            process.kill()
        return process.returncode, out, err

    def upscale(self, *arguments, **variables):
        """What it says, where it must succeed."""
        status, out, err = self.run_program("--seed", "0", *arguments, **variables)
        self.assertEqual(status, 0, err)
        return out + err

    def refuse(self, *arguments, status=1, **variables):
        """What it says, where it must fail with that status."""
        was, _, err = self.run_program(*arguments, **variables)
        self.assertEqual(was, status, err)
        self.assertTrue(err.startswith("livepeer-upscale: ") or "\nlivepeer-upscale: " in err, err)
        return err
