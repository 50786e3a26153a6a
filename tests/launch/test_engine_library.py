#!/usr/bin/env python3
"""When the engine's library is opened, and what is said where it cannot be.

usage: test_engine_library.py STUB_LIBTORCH
"""
import os
import sys
import tempfile
import unittest

from gst_launch import run

STUB_LIBTORCH = sys.argv.pop(1)
PIPELINE = "videotestsrc num-buffers=1 ! video/x-raw,format=RGB,width=16,height=16 ! livepeerupscale ! fakesink"


def run_afresh(line, **env):
    """The exit status and all output, beginning with an empty registry."""
    with tempfile.TemporaryDirectory() as folder:
        return run(*line.split(), GST_REGISTRY=f"{folder}/registry", **env)


class EngineLibrary(unittest.TestCase):
    def test_looking_at_the_plugin_maps_no_libtorch(self):
        for line in "gst-inspect-1.0 fakesink", "gst-inspect-1.0 livepeerupscale":
            status, said = run_afresh(line, LD_DEBUG="files")
            self.assertEqual(status, 0, said)
            self.assertIn("libgstlivepeerupscale", said)
            self.assertNotIn("libtorch", said)
        status, said = run_afresh(f"gst-launch-1.0 -q {PIPELINE}", LD_DEBUG="files")
        self.assertEqual(status, 0)
        self.assertIn("libtorch", said)

    def refused(self, *words, **env):
        status, said = run_afresh(f"gst-launch-1.0 -q {PIPELINE}", **env)
        self.assertGreater(status, 0, said)
        self.assertEqual(said.count("ERROR: from element"), 1, said)
        for word in words:
            self.assertIn(word, said)

    def test_another_libtorch_is_refused(self):
        self.refused(STUB_LIBTORCH, "another libtorch", LD_PRELOAD=STUB_LIBTORCH)

    def test_a_missing_engine_is_named(self):
        self.refused("/nonexistent/engine.so", "set LIVEPEER_UPSCALE_ENGINE",
                     LIVEPEER_UPSCALE_ENGINE="/nonexistent/engine.so")

    def test_a_pipe_is_no_engine(self):
        with tempfile.TemporaryDirectory() as folder:
            os.mkfifo(f"{folder}/engine.so")
            self.refused(f"{folder}/engine.so", LIVEPEER_UPSCALE_ENGINE=f"{folder}/engine.so")

    def test_a_process_may_end_while_a_model_is_loaded(self):
        line = PIPELINE.replace("width=16,height=16", "width=4000,height=4000")  # more than max-pixels
        for _ in range(10):
            status, said = run_afresh(f"gst-launch-1.0 -q {line}")
            self.assertGreater(status, 0, said)
            self.assertIn("too large", said)
            self.assertNotRegex(said, "SIGSEGV|Spinning")


if __name__ == "__main__":
    unittest.main()
