#!/usr/bin/env python3
"""What a clip keeps, and what options make of it.

usage: test_clips.py
"""
import json
import os
import re
import unittest

from upscale_file import Case, ffmpeg, frames_sum, pixel, probe, streams, times

CHAPTERS = """;FFMETADATA1
title=A title
artist=Somebody
[CHAPTER]
TIMEBASE=1/1000
START=0
END=1000
title=One
[CHAPTER]
TIMEBASE=1/1000
START=1000
END=2000
title=Two
"""
SUBTITLES = """1
00:00:00,200 --> 00:00:00,900
First

2
00:00:01,200 --> 00:00:01,900
Second
"""


def has_encoder(name):
    return os.system(f"gst-inspect-1.0 --exists {name}") == 0


class Clips(Case):
    def full_clip(self, name):
        """Two sounds, subtitles, chapters, tags."""
        for file, text in (("meta", CHAPTERS), ("in.srt", SUBTITLES)):
            with open(self.path(file), "w", encoding="utf-8") as out:
                out.write(text)
        self.clip(name, "-f", "lavfi", "-i", "sine=880", "-i", self.path("in.srt"), "-i", self.path("meta"), "-map", "0", "-map", "1",
                  "-map", "2", "-map", "3", "-map_metadata", "4", "-map_chapters", "4", "-c:v", "libx264", "-c:a:0", "aac",
                  "-c:a:1", "flac", "-c:s", "srt", "-metadata:s:a:1", "language=ger", "-metadata:s:a:1", "title=Deutsch",
                  "-metadata:s:s:0", "language=fre", seconds=2)

    def test_everything_else_is_kept(self):
        self.full_clip("in.mkv")
        self.upscale("in.mkv")
        made = streams(self.path("in-x4.mkv"))
        self.assertEqual([one["codec_name"] for one in made], ["h264", "aac", "flac", "subrip"])
        self.assertEqual(made[2]["tags"]["language"], "ger")
        self.assertEqual(made[2]["tags"]["TITLE"], "Deutsch")
        self.assertEqual(made[3]["tags"]["language"], "fre")
        self.assertNotEqual(made[1]["tags"].get("language"), "eng")
        told = probe(self.path("in-x4.mkv"), "-show_format", "-show_chapters")
        self.assertEqual(told["format"]["tags"]["TITLE"], "A title")
        self.assertEqual(told["format"]["tags"]["ARTIST"], "Somebody")
        self.assertEqual([(one["start_time"], one["tags"]["title"]) for one in told["chapters"]],
                         [("0.000000", "One"), ("1.000000", "Two")])
        for stream in ("a:0", "a:1"):
            sums = [self.packet_sums(name, stream) for name in ("in.mkv", "in-x4.mkv")]
            self.assertEqual(*sums)
        text = [packet["pts_time"] for packet in probe(self.path("in-x4.mkv"), "-show_packets", "-select_streams", "s")["packets"]]
        wanted = [packet["pts_time"] for packet in probe(self.path("in.mkv"), "-show_packets", "-select_streams", "s")["packets"]]
        self.assertEqual([round(float(one) - float(two), 3) for one, two in zip(text, wanted)], [0, 0])

    def packet_sums(self, name, stream):
        packets = probe(self.path(name), "-show_packets", "-show_data_hash", "md5", "-select_streams", stream)["packets"]
        return [packet["data_hash"] for packet in packets]

    def test_containers(self):
        self.full_clip("in.mkv")
        expected = {"mp4": ("h264", ["aac", "aac", "mov_text"], ["chapters", "encoded anew"]),
                    "mov": ("h264", ["aac", "aac", "mov_text"], ["chapters", "encoded anew"]),
                    "ts": ("h264", ["aac", "aac"], ["left out", "encoded anew"]),
                    "webm": ("vp9", ["opus", "opus", "subrip"], ["encoded anew"])}
        for extension, (video, others, said) in expected.items():
            with self.subTest(extension):
                told = self.upscale("in.mkv", "out." + extension)
                made = streams(self.path("out." + extension))
                self.assertEqual([one["codec_name"] for one in made], [video, *others])
                self.assertEqual(made[0]["nb_read_packets"], "50")
                for words in said:
                    self.assertIn(words, told)
                spacing = [b - a for a, b in zip(times(self.path("out." + extension)), times(self.path("out." + extension))[1:])]
                self.assertAlmostEqual(min(spacing[1:]), 0.04, delta=0.0011)
                self.assertAlmostEqual(max(spacing[1:]), 0.04, delta=0.0011)
        self.assertIn("kind that is not written", self.refuse("in.mkv", "out.xyz"))

    def test_rates_are_kept(self):
        for rate in ("30000/1001", "24000/1001", "60", "15"):
            with self.subTest(rate):
                self.clip("in.mp4", "-c:v", "libx264", "-c:a", "aac", rate=rate)
                self.upscale("--overwrite", "in.mp4")
                given, made = times(self.path("in.mp4")), times(self.path("in-x4.mkv"))
                self.assertEqual(len(given), len(made))
                for one, two in zip(given, made):
                    self.assertAlmostEqual(one, two, delta=0.0001)

    def test_variable_rate(self):
        self.clip("in.mp4", "-vf", r"setpts='(N+0.4*mod(N\,3)+0.01*N*N)/25/TB'", "-fps_mode", "vfr", "-video_track_timescale", "90000",
                  "-c:v", "libx264", sound=False, seconds=2)
        for fragment in ("250", "7"):
            self.upscale("--overwrite", "--fragment", fragment, "in.mp4", "out.mkv")
            self.upscale("--overwrite", "--fragment", fragment, "in.mp4", "out.mp4")
            given = times(self.path("in.mp4"))
            for name, unit in (("out.mkv", 0.0001), ("out.mp4", 0.0002)):
                made = times(self.path(name))
                self.assertEqual(len(given), len(made))
                for one, two in zip(given, made):
                    self.assertAlmostEqual(one, two, delta=unit)

    def test_sound_stays_in_sync(self):
        # A white frame and a click together, each second, and at the end.
        ffmpeg("-f", "lavfi", "-i", "color=black:s=64x48:r=30000/1001:d=12,drawbox=c=white:t=fill:enable='lt(mod(n,30),1)'",
               "-f", "lavfi", "-i", "sine=440:d=12", "-c:v", "libx264", "-c:a", "aac", self.path("in.mp4"), cwd=self.folder)
        self.upscale("--fragment", "50", "in.mp4")
        for stream in ("v:0", "a:0"):
            given, made = times(self.path("in.mp4"), stream), times(self.path("in-x4.mkv"), stream)
            self.assertAlmostEqual(given[-1], made[-1], delta=0.001)

    def test_sound_that_ends_early_is_told(self):
        self.clip("four.mp4", "-c:v", "libx264", "-c:a", "aac", seconds=4)
        self.assertNotIn("before the pictures", self.upscale("four.mp4"))
        ffmpeg("-ss", "1.5", "-i", self.path("four.mp4"), "-c", "copy", self.path("cut.mp4"), cwd=self.folder)
        said = self.upscale("cut.mp4")
        gap = times(self.path("cut-x4.mkv"))[-1] - times(self.path("cut-x4.mkv"), "a:0")[-1]
        self.assertEqual("before the pictures" in said, gap >= 1, said)

    def test_depth_and_colours(self):
        light = ("hdr-opt=1:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:log-level=none:"
                 "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400")
        self.clip("in.mkv", "-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-x265-params", light, sound=False)
        self.upscale("in.mkv")
        made = streams(self.path("in-x4.mkv"))[0]
        self.assertEqual(made["pix_fmt"], "yuv420p10le")
        self.assertEqual((made["color_transfer"], made["color_primaries"], made["color_space"]), ("smpte2084", "bt2020", "bt2020nc"))
        frame = probe(self.path("in-x4.mkv"), "-show_frames", "-read_intervals", "%+#1")["frames"][0]
        told = {one["side_data_type"]: one for one in frame.get("side_data_list", []) + made.get("side_data_list", [])}
        self.assertIn("Mastering display metadata", told)
        self.assertEqual(told["Content light level metadata"]["max_content"], 1000)

    def test_full_range(self):
        ffmpeg("-f", "lavfi", "-i", "color=white:s=64x48:r=25:d=0.2", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", self.path("in.avi"), cwd=self.folder)
        self.upscale("in.avi")
        self.assertEqual(streams(self.path("in-x4.mkv"))[0]["color_range"], "pc")
        self.assertGreaterEqual(min(pixel(self.path("in-x4.mkv"), 100, 100, (256, 192))), 253)

    def test_aspect(self):
        self.clip("in.mkv", "-vf", "setsar=16/15", "-c:v", "libx264", sound=False, size="60x48")
        self.upscale("in.mkv")
        self.assertEqual(streams(self.path("in-x4.mkv"))[0]["sample_aspect_ratio"], "16:15")
        self.upscale("--size", "200x200", "in.mkv")
        made = streams(self.path("in-200x200.mkv"))[0]
        self.assertIn(made["sample_aspect_ratio"], ("1:1", None))
        self.assertEqual((made["width"], made["height"]), (200, 150))

    def test_sizes(self):
        self.clip("in.mkv", "-c:v", "libx264", sound=False)
        for option, value, size in (("--scale", "2", (128, 96)), ("--scale", "3", (192, 144)), ("--scale", "0.5", (32, 24)),
                                    ("--size", "1000x1000", (256, 192)), ("--size", "128x128", (128, 96))):
            with self.subTest(value):
                self.upscale("--overwrite", option, value, "in.mkv", "out.mkv")
                made = streams(self.path("out.mkv"))[0]
                self.assertEqual((made["width"], made["height"]), size)
        self.upscale("--scale", "2", "in.mkv")
        self.assertTrue(os.path.exists(self.path("in-x2.mkv")))
        for wrong in (("--scale", "5"), ("--scale", "0.1"), ("--scale", "nan"), ("--size", "12"), ("--size", "100x100", "--scale", "2")):
            self.refuse(*wrong, "in.mkv", status=2)

    def test_a_part(self):
        self.clip("in.mkv", "-c:v", "libx264", "-c:a", "pcm_s16le", seconds=3)
        self.upscale("in.mkv", "whole.mkv")
        self.upscale("--start", "1", "--duration", "0:01", "in.mkv", "part.mkv")
        part = times(self.path("part.mkv"))
        self.assertEqual(len(part), 25)
        self.assertAlmostEqual(part[0], 0, delta=0.0001)
        sound = times(self.path("part.mkv"), "a:0")
        self.assertLess(sound[0], 0.05)
        self.assertAlmostEqual(sound[-1], 1, delta=0.1)
        self.upscale("--frames", "7", "in.mkv", "seven.mkv")
        self.assertEqual(len(times(self.path("seven.mkv"))), 7)
        self.assertLess(times(self.path("seven.mkv"), "a:0")[-1], 0.35)
        self.assertIn("behind the end", self.refuse("--start", "1:00", "in.mkv", "no.mkv"))
        for wrong in (("--start", "x"), ("--duration", "0"), ("--frames", "0"), ("--start", "1:70"), ("--fragment", "-1")):
            self.refuse(*wrong, "in.mkv", "no.mkv", status=2)

    def test_encoders(self):
        self.clip("in.mkv", "-c:v", "libx264", sound=False, seconds=0.4)
        for encoder, codec in (("x264enc", "h264"), ("x265enc", "hevc"), ("vp9enc", "vp9"), ("vp8enc", "vp8"), ("openh264enc", "h264"),
                               ("avenc_mpeg4", "mpeg4"), ("av1enc", "av1")):
            with self.subTest(encoder):
                self.upscale("--overwrite", "--fragment", "4", "--encoder", encoder, "in.mkv", "out.mkv")
                made = streams(self.path("out.mkv"))[0]
                self.assertEqual(made["codec_name"], codec)
                self.assertEqual(len(frames_sum(self.path("out.mkv"))), 10)
        self.assertIn("none of", self.refuse("--encoder", "nope", "--overwrite", "in.mkv", "out.mkv"))
        self.assertIn("cannot hold", self.refuse("--encoder", "x264enc", "--overwrite", "in.mkv", "out.webm"))

    def test_settings(self):
        self.clip("in.mkv", "-c:v", "libx264", sound=False, seconds=0.2)
        for words, said in ((("--steps", "many"), "steps"), (("--set", "nope=1"), "'nope'"), (("--set", "stats=1"), "'stats'"),
                            (("--guidance-scale", "1000"), "guidance-scale"), (("--set", "temporal=sideways"), "temporal"),
                            (("--preset", "nope"), "preset 'nope'"), (("--set", "in-flight"), "PROPERTY=VALUE")):
            with self.subTest(words):
                self.assertIn(said, self.refuse(*words, "in.mkv", "out.mkv", status=2 if words[1] == "in-flight" else 1))
        self.assertFalse(os.path.exists(self.path("out.mkv")))
        presets = os.path.join(os.path.dirname(os.environ["OPTIONS_SOURCE"]), "../../plugin")
        self.assertIn("there are archive, balanced", self.refuse("--preset", "nope", "in.mkv", "out.mkv", GST_PRESET_PATH=presets))
        self.upscale("--preset", "balanced", "in.mkv", "preset.mkv", GST_PRESET_PATH=presets)
        self.upscale("--prompt", "größe, it's", "--set", "temporal=motion", "--no-safety-check", "in.mkv", "out.mkv")
        self.assertIn("option", self.refuse("--nope", "in.mkv", status=2))

    def test_an_engine_that_fails(self):
        self.clip("in.mkv", "-c:v", "libx264", sound=False, seconds=0.4)
        for what, words in (("failed", "ran away"), ("no-space", "no memory"), ("init", "has gone")):
            with self.subTest(what):
                self.assertIn(words, self.refuse("--overwrite", "in.mkv", "out.mkv", FAKE_UPSCALE=what))
                self.assertFalse(os.path.exists(self.path("out.mkv")))
        self.assertEqual(self.run_program("--resume", "in.mkv", "out.mkv")[0], 0)

    def test_several_inputs(self):
        self.clip("a.mkv", sound=False, seconds=0.2)
        self.clip("b.png", "-frames:v", "1", sound=False)
        os.mkdir(self.path("out"))
        self.upscale("a.mkv", "b.png", "out")
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["a-x4.mkv", "b-x4.png"])
        # What fails does not keep the others from being made.
        said = self.refuse("--seed", "0", "nothing.mkv", "a.mkv", "new/folder/")
        self.assertIn("'nothing.mkv'", said)
        self.assertEqual(os.listdir(self.path("new/folder")), ["a-x4.mkv"])
        self.refuse("a.mkv", "b.png", "c.mkv", status=2)
        self.assertIn("is an input, too", self.refuse("--overwrite", "b.png", "./b.png"))
        os.symlink("out", self.path("linked"))
        self.assertIn("is an input, too", self.refuse("--overwrite", "out/b-x4.png", "linked/b-x4.png"))
        for option in ((), ("--overwrite",)):
            self.assertIn("both become", self.refuse(*option, "b.png", "out/../b.png", "other/"))
            self.assertFalse(os.path.exists(self.path("other")))

    def test_what_is_told(self):
        self.clip("in.mkv", "-c:v", "libx264", sound=False, seconds=1)
        status, out, _ = self.run_program("--json", "--seed", "5", "in.mkv", "out.mkv", FAKE_STEP_MILLISECONDS="30")
        self.assertEqual(status, 0)
        events = [json.loads(line) for line in out.splitlines()]
        self.assertEqual((events[0]["event"], events[-1]["event"], events[-1]["seed"]), ("begin", "done", 5))
        progress = [event for event in events if event["event"] == "progress"]
        self.assertEqual((progress[-1]["frames"], progress[-1]["of"]), (25, 25))
        self.assertEqual([event["frames"] for event in progress], sorted(event["frames"] for event in progress))
        status, out, err = self.run_program("--quiet", "--overwrite", "in.mkv", "out.mkv")
        self.assertEqual((status, out, err), (0, "", ""))
        status, out, _ = self.run_program("--json", "in.mkv", "out.mkv")
        self.assertEqual((status, json.loads(out.splitlines()[-1])["event"]), (1, "error"))
        _, out, _ = self.run_program("--help")
        for option in re.findall(r'[{(]"([a-z-]+)", (?:"[A-Z]|.?.?.?0, )', open(os.environ["OPTIONS_SOURCE"], encoding="utf-8").read()):
            self.assertIn("--" + option, out)

    def test_time_left(self):
        self.clip("in.mkv", "-c:v", "libx264", sound=False, seconds=4)
        _, out, _ = self.run_program("--json", "in.mkv", "out.mkv", FAKE_STEP_MILLISECONDS="50")
        events = [json.loads(line) for line in out.splitlines()]
        told = [event for event in events if event["event"] == "progress" and 5 <= event["frames"] < 100 and "seconds_left" in event]
        whole = 100 * 0.05
        self.assertGreater(len(told), 10)
        for event in told:
            # Of an engine that takes 50 ms a frame, and what encoding adds on a busy machine.
            self.assertGreater(event["seconds_left"], (100 - event["frames"]) * 0.05 * 0.9)
        print(f"told {told[0]['seconds_left']:.1f} s at 5 %, of {whole:.1f} s in all")


if __name__ == "__main__":
    unittest.main(verbosity=2)
