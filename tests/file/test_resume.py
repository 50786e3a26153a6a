#!/usr/bin/env python3
"""Jobs that are interrupted, and how they go on.

usage: test_resume.py
"""
import os
import random
import resource
import shutil
import signal
import subprocess
import time
import unittest

from upscale_file import PROGRAM, TIMEOUT, Case, frames_sum, times

FRAMES = 60
OPTIONS = ("--fragment", "10", "in.mkv", "out.mkv")
SLOW = {"FAKE_STEP_MILLISECONDS": "20"}


class Resume(Case):
    def setUp(self):
        super().setUp()
        self.clip("in.mkv", "-c:v", "libx264", "-c:a", "aac", seconds=FRAMES / 25)

    def fragments(self):
        try:
            return sorted(name for name in os.listdir(self.path("out.mkv.part")) if name.endswith(".fragment"))
        except FileNotFoundError:
            return []

    def started(self, *arguments, fragments=1, **variables):
        """A slow job that has finished so many fragments."""
        process = self.start("--seed", "7", *arguments, **{**SLOW, **variables})
        self.addCleanup(process.kill)
        until = time.monotonic() + TIMEOUT
        while len(self.fragments()) < fragments:
            self.assertIsNone(process.poll(), "ended before")
            self.assertLess(time.monotonic(), until)
            time.sleep(0.01)
        return process

    def whole(self):
        status, _, err = self.run_program("--seed", "7", "--fragment", "10", "in.mkv", "whole.mkv")
        self.assertEqual(status, 0, err)
        return frames_sum(self.path("whole.mkv"))

    def check_finished(self, whole):
        self.assertEqual(frames_sum(self.path("out.mkv")), whole)
        self.assertEqual(times(self.path("out.mkv"), "a:0"), times(self.path("whole.mkv"), "a:0"))
        self.assertFalse(os.path.exists(self.path("out.mkv.part")))

    def test_signals_finish_the_file(self):
        whole = self.whole()
        self.assertEqual(len(whole), FRAMES)
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            with self.subTest(status):
                process = self.started("--overwrite", *OPTIONS)
                began = time.monotonic()
                process.send_signal(number)
                _, err = process.communicate(timeout=TIMEOUT)
                print(f"ended {time.monotonic() - began:.2f} s after the signal")
                self.assertLess(time.monotonic() - began, 5)
                self.assertEqual(process.returncode, status, err)
                self.assertIn("--resume", err)
                part = frames_sum(self.path("out.mkv"))
                self.assertGreaterEqual(len(part), 10)
                self.assertLess(len(part), FRAMES)
                self.assertEqual(part[:10], whole[:10])
                sound = times(self.path("out.mkv"), "a:0")
                self.assertAlmostEqual(sound[-1], len(part) / 25, delta=0.1)
                status, _, err = self.run_program("--resume", "--seed", "7", *OPTIONS)
                self.assertEqual(status, 0, err)
                self.check_finished(whole)

    def test_a_frame_that_takes_long_is_cancelled(self):
        process = self.started("in.mkv", "out.mkv", fragments=0, FAKE_STEP_MILLISECONDS="60000")
        while not os.path.exists(self.path("out.mkv.part/job.json")):
            time.sleep(0.01)
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TIMEOUT)
        self.assertLess(time.monotonic() - began, 5)
        self.assertEqual(process.returncode, 130, err)
        self.assertFalse(os.path.exists(self.path("out.mkv")))

    def test_a_second_signal_ends_at_once(self):
        process = self.started(*OPTIONS)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)
        self.assertIn(process.returncode, (130, 143))
        self.assertTrue(self.fragments())
        status, _, err = self.run_program("--resume", "--seed", "7", *OPTIONS)
        self.assertEqual(status, 0, err)

    def test_killed_at_random_moments(self):
        whole = self.whole()
        chance = random.Random(23)
        resume, kills, done = [], 0, 0
        while kills < 20:
            process = self.start(*resume, "--seed", "7", *OPTIONS, **SLOW)
            try:
                process.communicate(timeout=chance.uniform(0.3, 1.8))
                self.assertEqual(process.returncode, 0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                kills += 1
            if os.path.exists(self.path("out.mkv.part/job.json")):
                # What was complete before is not made again.
                self.assertGreaterEqual(len(self.fragments()), done)
                resume, done = ["--resume"], len(self.fragments())
            else:
                if os.path.exists(self.path("out.mkv")):
                    shutil.move(self.path("out.mkv"), self.path("finished.mkv"))
                    self.assertEqual(frames_sum(self.path("finished.mkv")), whole)
                resume, done = [], 0
            print(f"kill {kills}: {done} fragments")
        status, _, err = self.run_program(*resume, "--seed", "7", *OPTIONS)
        self.assertEqual(status, 0, err)
        self.check_finished(whole)

    def test_the_drawn_seed_is_kept(self):
        process = self.start(*OPTIONS, **SLOW)
        self.addCleanup(process.kill)
        while len(self.fragments()) < 2:
            time.sleep(0.01)
        process.kill()
        process.communicate()
        status, out, err = self.run_program("--resume", "--json", *OPTIONS)
        self.assertEqual(status, 0, err)
        seed = out.split('"seed":')[1].split("}")[0]
        status, _, err = self.run_program("--seed", seed, "--fragment", "10", "in.mkv", "whole.mkv")
        self.assertEqual(status, 0, err)
        self.assertEqual(frames_sum(self.path("out.mkv")), frames_sum(self.path("whole.mkv")))

    def test_other_options_are_refused_by_name(self):
        self.started(*OPTIONS).kill()
        for other, words in ((("--prompt", "x"), "prompt"), (("--seed", "8"), "seed"), (("--scale", "2"), "--scale"),
                             (("--start", "1"), "--start"), (("--encoder", "x265enc"), "encoder"),
                             (("--fragment", "11"), "fragment"), (("--steps", "3"), "steps")):
            with self.subTest(words):
                said = self.refuse("--resume", *OPTIONS[:2], *other, *OPTIONS[2:])
                self.assertIn(words + " was", said)
        self.assertIn("an unfinished job", self.refuse(*OPTIONS))
        with open(self.path("in.mkv"), "ab") as file:
            file.write(b"more")
        self.assertIn("input has changed", self.refuse("--resume", *OPTIONS))

    def test_outputs_are_not_overwritten(self):
        self.upscale("in.mkv", "out.mkv", "--frames", "3")
        before = os.stat(self.path("out.mkv"))
        self.assertIn("--overwrite", self.refuse("in.mkv", "out.mkv"))
        self.assertIn("complete", self.refuse("--resume", "in.mkv", "out.mkv"))
        self.assertEqual(os.stat(self.path("out.mkv")).st_mtime_ns, before.st_mtime_ns)
        self.upscale("--overwrite", "in.mkv", "out.mkv", "--frames", "2")
        self.assertEqual(len(times(self.path("out.mkv"))), 2)
        self.assertIn("is an input, too", self.refuse("--overwrite", "in.mkv", "in.mkv"))

    def test_fewer_frames_than_are_done(self):
        self.started(*OPTIONS, fragments=2).kill()
        for option, value in (("--frames", "5"), ("--duration", "0.2")):
            self.assertIn("0 frames are done already", self.refuse("--resume", "--seed", "7", option, value, *OPTIONS))
            self.assertGreaterEqual(len(self.fragments()), 2)
        self.assertIn("frames are done already\n", self.upscale("--resume", "--seed", "7", *OPTIONS))
        self.assertEqual(len(times(self.path("out.mkv"))), FRAMES)

    def test_several_inputs_go_on(self):
        self.clip("b.mkv", sound=False, seconds=0.2)
        self.assertIn("nothing to resume", self.upscale("--resume", "b.mkv", "out/"))
        said = self.upscale("--resume", "b.mkv", "in.mkv", "out/")
        self.assertIn("b-x4.mkv' is complete", said)
        self.assertEqual(sorted(os.listdir(self.path("out"))), ["b-x4.mkv", "in-x4.mkv"])

    def test_an_input_that_was_cut_off(self):
        size = os.path.getsize(self.path("in.mkv"))
        os.truncate(self.path("in.mkv"), size // 3)
        said = self.refuse("--seed", "7", *OPTIONS)
        self.assertIn("cut off", said)
        self.assertTrue(self.fragments())
        self.assertFalse(os.path.exists(self.path("out.mkv")))
        frames = said.split("--frames ")[1].split()[0]
        status, _, err = self.run_program("--resume", "--frames", frames, "--seed", "7", *OPTIONS)
        self.assertEqual(status, 0, err)
        self.assertEqual(len(times(self.path("out.mkv"))), int(frames))

    def test_a_full_disk(self):
        limit = 6000

        def no_more():
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        process = subprocess.run([PROGRAM, "--seed", "7", *OPTIONS],
                                 cwd=self.folder, preexec_fn=no_more, capture_output=True, text=True, timeout=TIMEOUT)
        self.assertEqual(process.returncode, 1, process.stderr)
        self.assertIn("cannot be written", process.stderr)
        self.assertFalse(os.path.exists(self.path("out.mkv")))
        self.assertTrue(os.path.exists(self.path("out.mkv.part/job.json")))
        status, _, err = self.run_program("--resume", *OPTIONS)
        self.assertEqual(status, 0, err)
        self.assertEqual(len(times(self.path("out.mkv"))), FRAMES)

    def test_a_folder_that_cannot_be_written(self):
        with open(self.path("file"), "wb"):
            pass
        self.assertIn("cannot be", self.refuse("in.mkv", "file/out.mkv"))
        self.assertIn("cannot be", self.refuse("in.mkv", "/proc/out.mkv"))

    def test_a_folder_of_the_users_own_is_kept(self):
        os.mkdir(self.path("out.mkv.part"))
        with open(self.path("out.mkv.part/diary.txt"), "wb"):
            pass
        for option in ((), ("--overwrite",)):
            self.assertIn("'diary.txt'", self.refuse(*option, *OPTIONS))
            self.assertEqual(os.listdir(self.path("out.mkv.part")), ["diary.txt"])
        self.refuse("--prompt", "x", "--steps", "many", "in.mkv", "other.mkv")
        self.assertFalse(os.path.exists(self.path("other.mkv.part")))
        os.symlink("out.mkv.part", self.path("linked.mkv.part"))
        self.assertIn("cannot be used", self.refuse("--overwrite", "in.mkv", "linked.mkv"))

    def test_two_at_once(self):
        self.started(*OPTIONS)
        self.assertIn("another process", self.refuse("--overwrite", *OPTIONS))


if __name__ == "__main__":
    unittest.main(verbosity=2)
