#!/usr/bin/env python3
"""Everyday files, and what becomes of them.

usage: test_inputs.py
"""
import os
import unittest

from upscale_file import Case, ffmpeg, pixel, probe, streams, times, turned_mp4

CLIPS = {  # how ffmpeg makes a file of that kind
    "ts": ["-c:v", "libx264", "-c:a", "aac"],
    "m2ts": ["-c:v", "libx264", "-c:a", "ac3"],
    "mpg": ["-c:v", "mpeg2video", "-c:a", "mp2"],
    "vob": ["-c:v", "mpeg2video", "-c:a", "ac3"],
    "wmv": ["-c:v", "wmv2", "-c:a", "wmav2"],
    "flv": ["-c:v", "flv", "-c:a", "libmp3lame", "-ar", "44100"],
    "3gp": ["-c:v", "h263", "-s", "176x144", "-c:a", "aac"],
    "avi": ["-c:v", "mjpeg", "-c:a", "pcm_s16le"],
    "mov": ["-c:v", "prores", "-c:a", "pcm_s16le"],
    "mp4": ["-c:v", "mpeg4", "-c:a", "aac"],
    "webm": ["-c:v", "libvpx", "-c:a", "libvorbis"],
    "ogv": ["-c:v", "libtheora", "-c:a", "libvorbis"],
}
NAMES = ["it's", 'say "yes"', "100%20#1?", "two words", "-dash", "new\nline", "$(touch hit)", "größe", b"latin-\xe9", "a.b"]


class Inputs(Case):
    def test_containers(self):
        for extension, how in CLIPS.items():
            with self.subTest(extension):
                self.clip("in." + extension, *how)
                self.upscale("in." + extension, extension + ".mkv")
                made = streams(self.path(extension + ".mkv"))
                self.assertEqual([one["codec_type"] for one in made], ["video", "audio"])
                given = streams(self.path("in." + extension), "video")[0]
                self.assertEqual(made[0]["width"], 4 * given["width"])
                self.assertEqual(made[0]["nb_read_packets"], "25")

    def test_raw_streams(self):
        for extension, codec in (("h264", "libx264"), ("h265", "libx265")):
            with self.subTest(extension):
                quiet = ["-x265-params", "log-level=none"] if codec == "libx265" else []
                self.clip("in." + extension, "-c:v", codec, *quiet, sound=False)
                self.upscale("in." + extension)
                made = times(self.path("in-x4.mkv"))
                self.assertEqual(len(made), 25)
                self.assertAlmostEqual(made[-1] - made[0], 0.96, delta=0.0002)
                os.remove(self.path("in-x4.mkv"))

    def test_names(self):
        picture = self.clip("plain.png", "-frames:v", "1", sound=False)
        clip = self.clip("plain.mkv", seconds=0.2)
        for name in NAMES:
            raw = name if isinstance(name, bytes) else name.encode()
            for source, extension, made in ((picture, b".png", b"-x4.png"), (clip, b".mkv", b"-x4.mkv")):
                with self.subTest(raw + extension):
                    os.link(source, os.path.join(self.folder.encode(), raw + extension))
                    self.upscale("--", raw + extension)
                    self.assertTrue(os.path.exists(os.path.join(self.folder.encode(), raw + made)))
        self.assertFalse(os.path.exists(self.path("hit")))

    def test_missing_plugin_is_named_with_its_package(self):
        for extension, ranks, package in (("ts", "tsdemux:NONE", "gstreamer1.0-plugins-bad"),
                                          ("wmv", "asfdemux:NONE", "gstreamer1.0-plugins-ugly"),
                                          ("mp4", "avdec_mpeg4:NONE", "gstreamer1.0-libav")):
            with self.subTest(extension):
                self.clip("in." + extension, *CLIPS[extension])
                said = self.refuse("in." + extension, GST_PLUGIN_FEATURE_RANK=ranks)
                self.assertIn("apt-get install " + package, said)

    def test_silent_clip(self):
        self.clip("in.mp4", "-c:v", "libx264", sound=False)
        self.upscale("in.mp4")
        self.assertEqual([one["codec_type"] for one in streams(self.path("in-x4.mkv"))], ["video"])

    def test_a_clip_that_begins_late(self):
        self.clip("plain.mp4", "-c:v", "libx264", "-c:a", "aac")
        ffmpeg("-itsoffset", "2", "-i", self.path("plain.mp4"), "-c", "copy", "-copyts", self.path("in.mkv"), cwd=self.folder)
        self.upscale("in.mkv")
        self.assertEqual(len(times(self.path("in-x4.mkv"))), 25)

    def test_interlaced(self):
        self.clip("in.mpg", "-vf", "tinterlace=4,fieldorder=tff", "-c:v", "mpeg2video", "-flags", "+ilme+ildct", "-r", "25", rate=50)
        said = self.upscale("in.mpg")
        self.assertIn("interlaced", said)
        made = streams(self.path("in-x4.mkv"), "video")[0]
        self.assertEqual((made["width"], made["height"]), (256, 192))
        self.assertIn(made["nb_read_packets"], ("24", "25"))

    def test_rotation_tag(self):
        # The left half is red, and after a quarter turn clockwise the upper one.
        ffmpeg("-f", "lavfi", "-i", "color=blue:s=64x48:r=25:d=0.2", "-vf", "drawbox=w=32:h=48:color=red:t=fill",
               "-c:v", "libx264", "-pix_fmt", "yuv420p", self.path("plain.mp4"), cwd=self.folder)
        for degrees, red in ((90, (96, 32)), (270, (96, 224)), (180, (224, 96))):
            with self.subTest(degrees):
                turned_mp4(self.path("plain.mp4"), self.path("in.mp4"), degrees)
                self.upscale("--overwrite", "in.mp4")
                size = (256, 192) if degrees == 180 else (192, 256)
                made = streams(self.path("in-x4.mkv"), "video")[0]
                self.assertEqual((made["width"], made["height"]), size)
                self.assertFalse([one for one in made.get("side_data_list", []) if one.get("rotation")])
                r, _, b = pixel(self.path("in-x4.mkv"), *red, size)
                self.assertGreater(r, b + 100)

    def test_animations(self):
        for extension, codec in (("gif", "gif"), ("webp", "libwebp_anim")):
            with self.subTest(extension):
                self.clip("in." + extension, "-c:v", codec, rate=10, sound=False)
                self.upscale("in." + extension, extension + ".mkv")
                made = times(self.path(extension + ".mkv"))
                self.assertEqual(len(made), 10)
                for i, time in enumerate(made):
                    self.assertAlmostEqual(time, i * 0.1, delta=0.0001)
                self.assertAlmostEqual(float(streams_duration(self.path(extension + ".mkv"))), 1, delta=0.001)
                self.upscale("in." + extension, extension + ".png")
                self.assertEqual(streams(self.path(extension + ".png"))[0]["width"], 256)

    def test_what_is_no_clip(self):
        with open(self.path("empty.mp4"), "wb"):
            pass
        with open(self.path("noise.mp4"), "wb") as file:
            file.write(bytes(range(1, 256)) * 100)
        with open(self.path("text.txt"), "w", encoding="utf-8") as file:
            file.write("words\n" * 100)
        ffmpeg("-f", "lavfi", "-i", "sine=440", "-t", "1", self.path("sound.mp3"), cwd=self.folder)
        os.mkdir(self.path("folder"))
        os.mkfifo(self.path("pipe.mkv"))
        for name, words in (("empty.mp4", "is empty"), ("noise.mp4", "is not a picture or clip"),
                            ("text.txt", "is not a picture or clip"), ("sound.mp3", "no picture in it"), ("folder", "is a folder"), ("pipe.mkv", "a pipe"),
                            ("nothing.mp4", "No such file")):
            with self.subTest(name):
                self.assertIn(words, self.refuse(name, "out.mkv"))
                self.assertFalse(os.path.exists(self.path("out.mkv.part")))

    def test_more_than_one_size_in_a_clip(self):
        for size in ("64x48", "96x64"):
            self.clip(size + ".ts", "-c:v", "libx264", "-c:a", "aac", size=size)
        with open(self.path("in.ts"), "wb") as joined:
            for size in ("64x48", "96x64"):
                with open(self.path(size + ".ts"), "rb") as part:
                    joined.write(part.read())
        self.upscale("in.ts")
        made = streams(self.path("in-x4.mkv"), "video")[0]
        self.assertEqual((made["width"], made["height"]), (256, 192))
        self.assertGreaterEqual(int(made["nb_read_packets"]), 48)


def streams_duration(path):
    return probe(path, "-show_format")["format"]["duration"]


if __name__ == "__main__":
    unittest.main(verbosity=2)
