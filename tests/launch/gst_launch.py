"""gst-launch as a user runs it who gives it something that it cannot do."""
import os
import signal
import subprocess
import threading

TIMEOUT = 600


def run(*command, **env):
    """The exit status and all output of a command, with these variables in its environment."""
    log = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          env={**os.environ, **env}) as process:
        kill = threading.Timer(TIMEOUT, process.kill)
        # gst-launch 1.22 forgets an error that comes before its main loop runs, and waits for ever;
        # interrupted it leaves, with the same exit code.
        interrupt = threading.Timer(30, process.send_signal, [signal.SIGINT])
        kill.start()
        for text in process.stdout:
            if text.startswith("ERROR") and "ERROR" not in log:
                interrupt.start()
            log += text
    for timer in (kill, interrupt):
        timer.cancel()
    return process.returncode, log
