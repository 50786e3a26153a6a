#!/usr/bin/env python3
"""Pictures of all kinds.

usage: test_pictures.py
"""
import os
import signal
import subprocess
import time
import unittest

from upscale_file import TIMEOUT, Case, pixel, streams

SIZE = (30, 20)
COLOUR = (200, 100, 50)
KINDS = {  # what ImageMagick makes of the colour, and how far off it may be
    "rgb.png": ([], 1),
    "16.png": (["-depth", "16"], 1),
    "palette.png": (["-type", "Palette"], 1),
    "rgb.jpg": (["-quality", "100"], 4),
    "cmyk.jpg": (["-colorspace", "CMYK", "-quality", "100"], 6),
    "rgb.webp": (["-define", "webp:lossless=true"], 1),
    "rgb.bmp": ([], 1),
    "rgb.tif": ([], 1),
    "rgb.gif": ([], 2),
}


class Pictures(Case):
    def picture(self, name, *arguments, colour=COLOUR, size=SIZE):
        subprocess.run(["/usr/bin/convert", "-size", "{}x{}".format(*size), "xc:rgb({},{},{})".format(*colour), *arguments,
                        self.path(name)], check=True, timeout=TIMEOUT)
        return self.path(name)

    def check(self, name, wanted, off):
        got = pixel(self.path(name), 60, 40, (120, 80))
        for one, two in zip(got, wanted):
            self.assertLessEqual(abs(one - two), off, got)

    def test_kinds(self):
        for name, (how, off) in KINDS.items():
            with self.subTest(name):
                self.picture(name, *how)
                self.upscale("--overwrite", name, "out.png")
                self.check("out.png", COLOUR, off)

    def test_grey(self):
        for depth in ("8", "16"):
            self.picture("grey.png", "-colorspace", "Gray", "-depth", depth, colour=(90, 90, 90))
            self.upscale("--overwrite", "grey.png", "out.png")
            self.check("out.png", (90, 90, 90), 1)

    def test_alpha_is_kept(self):
        for depth in ("8", "16"):
            self.picture("in.png", "-alpha", "set", "-channel", "A", "-evaluate", "set", "40%", "-depth", depth)
            self.upscale("--overwrite", "in.png", "out.png")
            self.assertIn(streams(self.path("out.png"))[0]["pix_fmt"], ("rgba", "rgba64be"))
            self.check("out.png", COLOUR, 1)

    def test_outputs(self):
        self.picture("in.png")
        for extension, codec in (("png", "png"), ("jpg", "mjpeg"), ("webp", "webp"), ("JPEG", "mjpeg")):
            with self.subTest(extension):
                self.upscale("in.png", "out." + extension)
                made = streams(self.path("out." + extension))[0]
                self.assertEqual((made["codec_name"], made["width"], made["height"]), (codec, 120, 80))
                self.check("out." + extension, COLOUR, 3)
        self.assertIn("is a picture", self.refuse("in.png", "out.mkv"))
        self.assertEqual(len(os.listdir(self.folder)), 5)

    def test_turned_by_exif(self):
        # Red above blue, as orientation 6 stores it: turned a quarter to the left.
        for orientation, stored in (("6", "270"), ("8", "90"), ("3", "180"), ("1", "0")):
            with self.subTest(orientation):
                self.picture("upright.png", colour=(255, 0, 0))
                subprocess.run(["/usr/bin/convert", self.path("upright.png"), "-fill", "blue", "-draw", "rectangle 0,10 30,20",
                                "-rotate", stored, "-quality", "100", self.path("plain.jpg")], check=True, timeout=TIMEOUT)
                with open(self.path("plain.jpg"), "rb") as file:
                    jpeg = file.read()
                exif = (b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([int(orientation), 0, 0, 0]) + bytes(4))
                with open(self.path("in.jpg"), "wb") as file:
                    file.write(jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:])
                self.upscale("--overwrite", "in.jpg", "out.png")
                above = pixel(self.path("out.png"), 60, 10, (120, 80))
                below = pixel(self.path("out.png"), 60, 70, (120, 80))
                self.assertGreater(above[0], 200)
                self.assertGreater(below[2], 200)

    def test_sizes(self):
        self.picture("in.png")
        for option, value, size in (("--scale", "2", (60, 40)), ("--scale", "1.5", (45, 30)), ("--size", "90x90", (90, 60)),
                                    ("--size", "5000x5000", (120, 80))):
            with self.subTest(value):
                self.upscale("--overwrite", option, value, "in.png", "out.png")
                made = streams(self.path("out.png"))[0]
                self.assertEqual((made["width"], made["height"]), size)

    def test_small_ones(self):
        for size in ((1, 1), (3, 5)):
            self.picture("in.png", size=size)
            for extension in ("png", "jpg", "webp"):
                self.upscale("--overwrite", "in.png", "out." + extension)
                made = streams(self.path("out." + extension))[0]
                least = 16 if extension == "webp" else 1
                self.assertEqual((made["width"], made["height"]), tuple(max(4 * side, least) for side in size))

    def test_existing_and_interrupted(self):
        self.picture("in.png")
        self.upscale("in.png")
        self.assertIn("--overwrite", self.refuse("in.png"))
        process = self.start("in.png", "slow.png", FAKE_STEP_MILLISECONDS="60000")
        self.addCleanup(process.kill)
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TIMEOUT)
        self.assertEqual(process.returncode, 130)
        self.assertEqual([name for name in os.listdir(self.folder) if "slow" in name], [])

    def test_what_lies_beside_the_output_is_kept(self):
        self.picture("in.png")
        os.symlink("in.png", self.path("out.png.part"))
        with open(self.path("in.png"), "rb") as file:
            before = file.read()
        self.upscale("in.png", "out.png")
        self.assertTrue(os.path.islink(self.path("out.png.part")))
        with open(self.path("in.png"), "rb") as file:
            self.assertEqual(file.read(), before)

    def test_damaged(self):
        self.picture("in.png", "+noise", "Random", size=(300, 200))
        os.truncate(self.path("in.png"), 2000)
        self.assertIn("cannot be decoded", self.refuse("in.png", "out.png"))
        self.assertFalse(os.path.exists(self.path("out.png")))
        self.picture("good.png")
        self.assertIn("cannot be written", self.refuse("good.png", "/proc/out.png"))
        self.assertIn("ran away", self.refuse("good.png", "out.png", FAKE_UPSCALE="failed"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
