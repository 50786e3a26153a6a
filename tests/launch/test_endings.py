#!/usr/bin/env python3
"""How gst-launch ends with bad input and when it is interrupted: an exit code, one error that names the thing
and says what to do, and neither a hang nor a crash.

usage: test_endings.py SOURCE_ROOT
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

from gst_launch import TIMEOUT, run

ROOT = os.path.abspath(sys.argv.pop(1))
SAMPLE = os.path.join(ROOT, "examples/samples/cat.png")
SOURCE = "videotestsrc num-buffers=2 ! video/x-raw,format=RGB,width=64,height=48 !"
UPSCALE = "livepeerupscale safety-check=false"


def embedded_model(folder):
    """A copy of the embedded model that may be damaged."""
    return shutil.copytree(os.path.join(ROOT, "models/default"), os.path.join(folder, "model"))


class BadInput(unittest.TestCase):
    def refused(self, line, *said):
        status, log = run("gst-launch-1.0", "-q", *line.split())
        self.assertGreater(status, 0, log)
        ours = re.findall(r"^(?:ERROR: from element \S*livepeerupscale0|WARNING: erroneous pipeline): (.*)",
                          log, re.M)
        self.assertEqual(len(ours), 1, log)
        for text in said:
            self.assertIn(text, ours[0])

    def test_missing_model(self):
        self.refused(f"{SOURCE} {UPSCALE} model=/nonexistent ! fakesink", "/nonexistent", "give a folder")

    def test_truncated_weights(self):
        with tempfile.TemporaryDirectory() as folder:
            model = embedded_model(folder)
            os.truncate(os.path.join(model, "unet/diffusion_pytorch_model.safetensors"), 1000)
            self.refused(f"{SOURCE} {UPSCALE} model={model} ! fakesink", model, "truncated", "Fetch it again")

    def test_unknown_class(self):
        with tempfile.TemporaryDirectory() as folder:
            model = embedded_model(folder)
            path = os.path.join(model, "model_index.json")
            with open(path, encoding="utf-8") as file:
                index = json.load(file)
            index["unet"][1] = "NoSuchDenoiser"
            with open(path, "w", encoding="utf-8") as file:
                json.dump(index, file)
            self.refused(f"{SOURCE} {UPSCALE} model={model} ! fakesink", "NoSuchDenoiser", "supported there")

    def test_frame_too_large(self):
        self.refused(f"filesrc location={SAMPLE} ! decodebin ! videoscale ! video/x-raw,width=4000,height=4000 "
                     f"! videoconvert ! {UPSCALE} ! fakesink", "too large", "max-pixels")

    def test_encoded_stream(self):
        self.refused(f"filesrc location={SAMPLE} ! {UPSCALE} ! fakesink", "not decoded video", "decodebin")

    def test_interlaced_stream(self):
        interlaced = SOURCE.replace("width", "interlace-mode=interleaved,width")
        self.refused(f"{interlaced} {UPSCALE} ! fakesink", "put deinterlace in front")

    def test_interlaced_file(self):
        """What a decoder makes of a file that was encoded as interlaced."""
        for encode in ("avenc_mpeg4 flags=ildct+ilme ! qtmux", "avenc_prores_ks flags=ildct+ilme ! qtmux"):
            with self.subTest(encode), tempfile.TemporaryDirectory() as folder:
                file = os.path.join(folder, "interlaced")
                subprocess.run(["gst-launch-1.0", "-q", *(
                    "videotestsrc num-buffers=5 ! video/x-raw,interlace-mode=interleaved,"
                    "field-order=top-field-first,width=320,height=240 ! videoconvert "
                    f"! {encode} ! filesink location={file}").split()], check=True, timeout=TIMEOUT)
                for between in ("videoconvert", "queue ! videoscale ! videoconvert"):
                    self.refused(f"filesrc location={file} ! decodebin ! {between} ! {UPSCALE} ! fakesink",
                                 "put deinterlace in front")

    def test_wrong_property_values(self):
        self.refused(f"{SOURCE} {UPSCALE} device=tpu ! fakesink", "tpu", "set device to")
        self.refused(f"{SOURCE} {UPSCALE} precision=float8 ! fakesink", "precision", "float8")


class Interruption(unittest.TestCase):
    def test_in_the_middle_of_a_frame(self):
        process = subprocess.Popen(
            ["gst-launch-1.0", "-m",
             *("videotestsrc ! video/x-raw,format=RGB,width=320,height=180 ! " + UPSCALE +
               " steps=1000 post-messages=true ! fakesink").split()],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for line in process.stdout:
            if "livepeer-upscale-step" in line:
                break
        process.send_signal(signal.SIGINT)
        log = process.communicate(timeout=TIMEOUT)[0]
        self.assertEqual(process.returncode, 0, log)
        self.assertNotRegex(log, "SIGSEGV|Spinning|ERROR")


if __name__ == "__main__":
    unittest.main()
