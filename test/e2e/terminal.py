"""terminal: a program on a pseudo terminal: what it shows, whether it echoes, what is typed."""
import fcntl
import os
import pty
import select
import subprocess
import termios
import time

import lab

WAIT_S = 20


class Terminal:
    def __init__(self, *argv, env=None, cwd=None):
        self.master, self.slave = pty.openpty()
        self.seen = ""
        env = {"TERM": "xterm", **(env or {})}
        self.proc = subprocess.Popen(argv, stdin=self.slave, stdout=self.slave, stderr=self.slave, env=lab.clean_env(env), cwd=cwd,
                                     start_new_session=True, preexec_fn=self.take)  # pylint: disable=subprocess-popen-preexec-fn

    @staticmethod
    def take():
        """In the child: the terminal sends its signals there."""
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    def __enter__(self):
        return self

    def __exit__(self, *args):
        if self.proc.poll() is None:
            self.proc.kill()
            self.proc.wait()
        os.close(self.master)
        os.close(self.slave)

    def echoes(self):
        return bool(termios.tcgetattr(self.slave)[3] & termios.ECHO)

    def read(self, seconds=0.05):
        while select.select([self.master], [], [], seconds)[0]:
            self.seen += os.read(self.master, 65536).decode("utf-8", "replace").replace("\r\n", "\n")
            seconds = 0.02
        return self.seen

    def expect(self, text):
        deadline = time.monotonic() + WAIT_S
        while text not in self.read():
            assert time.monotonic() < deadline and (self.proc.poll() is None or text in self.read()), "%r is not in %r" % (text, self.seen)
        return self

    def type(self, text):
        os.write(self.master, text.encode())
        return self

    def end(self):
        """(exit code, all that was shown)"""
        code = self.proc.wait(WAIT_S)
        return code, self.read()
