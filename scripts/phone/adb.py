"""Android devices, reached by the program `adb`."""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from pocketflow.utils.errors import PocketFlowError, UsageError

START_LIMIT = 60.0
"""Seconds for short commands."""
PUSH_LIMIT = 600.0

_NOT_READY = {
    'unauthorized': 'has not allowed this computer to debug it: unlock it and confirm "Allow USB debugging"',
    'authorizing': 'is just asking whether this computer may debug it: confirm on its screen, and try again',
    'offline': 'does not answer: reconnect it, or restart it',
    'no permissions': 'may not be used by this user: add udev rules for it (Debian has them in '
    'android-sdk-platform-tools-common), and reconnect it',
    'recovery': 'is in recovery mode: start Android',
    'bootloader': 'is in the boot loader: start Android',
    'sideload': 'is in sideload mode: start Android',
}
"""State of a device, as adb lists it -> what that means."""


@dataclasses.dataclass(frozen=True)
class Finished:
    """What a command on a device printed, and its exit status (None if it is unknown)."""

    output: str
    status: int | None


class Adb:
    """The program `adb`.

    Args:
      program: its name or path.

    Raises:
      UsageError: there is none.
    """

    def __init__(self, program: str = 'adb'):
        found = shutil.which(program)
        if found is None:
            raise UsageError(
                f"{program}: not found; install Android's platform tools (Debian, Ubuntu: apt-get install adb), or "
                'give --adb=PATH'
            )
        self._program = found

    def call(self, words: Sequence[str], limit: float = START_LIMIT) -> subprocess.CompletedProcess[str]:
        """Runs adb.

        Raises:
          PocketFlowError: it takes longer than `limit` seconds.
        """
        try:
            return subprocess.run(
                [self._program, *words],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors='replace',
                timeout=limit,
            )
        except subprocess.TimeoutExpired:
            raise PocketFlowError(f'adb {words[0]}: no answer within {limit:g} seconds') from None

    def states(self) -> dict[str, str]:
        """State by serial number of all connected devices: 'device' if one is ready.

        Raises:
          PocketFlowError: adb fails.
        """
        done = self.call(['devices'])
        if done.returncode:
            raise PocketFlowError(f'adb devices: failed ({last_line(done.stderr or done.stdout)})')
        _, _, listed = done.stdout.partition('List of devices attached')
        pairs = [line.strip().split(maxsplit=1) for line in listed.splitlines() if line.strip()]
        return {pair[0]: pair[1] if len(pair) > 1 else 'unknown' for pair in pairs}


def chosen(states: dict[str, str], serials: Sequence[str]) -> list[str]:
    """The serial numbers of the devices to use: those given, or the only one.

    Raises:
      UsageError: there is none, there are several and none is given, or one is not ready.
    """
    if not states:
        raise UsageError(
            'no phone is connected: connect one by USB and turn on USB debugging (Settings, Developer options); adb '
            'devices then lists it'
        )
    unknown = [serial for serial in serials if serial not in states]
    if unknown:
        raise UsageError(f'-s {unknown[0]}: no such phone is connected; there are: {", ".join(states)}')
    if not serials and len(states) > 1:
        raise UsageError(f'{len(states)} phones are connected; choose by -s SERIAL: {", ".join(states)}')
    serials = list(dict.fromkeys(serials)) or list(states)
    for serial in serials:
        state = states[serial]
        if state != 'device':
            reason = next((text for begin, text in _NOT_READY.items() if state.startswith(begin)), f'is {state!r}')
            raise UsageError(f'phone {serial} {reason}')
    return list(serials)


class Device:
    """A device, with a folder of its own for files."""

    def __init__(self, adb: Adb, serial: str, folder: str):
        self._adb, self.serial, self.folder = adb, serial, folder

    def property(self, name: str) -> str:
        """A property of the system; empty if it has no value."""
        return self.shell(f'getprop {name}', START_LIMIT).output.strip()

    def push(self, path: Path, name: str) -> str:
        """Copies a file into the folder; returns its path there.

        Raises:
          PocketFlowError: that failed.
        """
        target = f'{self.folder}/{name}'
        done = self._adb.call(['-s', self.serial, 'push', str(path), target], PUSH_LIMIT)
        if done.returncode:
            said = last_line(done.stderr or done.stdout)
            raise PocketFlowError(f'{path}: cannot be copied to {self.serial} ({said})')
        return target

    def shell(self, command: str, limit: float) -> Finished:
        """Runs a command; its status is printed by the device, since old devices do not return it through adb.

        Raises:
          PocketFlowError: the device is gone, or the command takes longer than `limit` seconds.
        """
        done = self._adb.call(['-s', self.serial, 'shell', f'{{ {command}; }} 2>&1; echo "{_STATUS}$?"'], limit)
        output, mark, status = done.stdout.rpartition(_STATUS)
        if not mark:
            raise PocketFlowError(f'{self.serial}: connection lost ({last_line(done.stderr or done.stdout)})')
        return Finished(output.replace('\r\n', '\n'), int(status) if status.strip().isdigit() else None)


_STATUS = 'exit-status-of-the-command='


def last_line(text: str) -> str:
    """The last line that says something; of a long one, begin and end, since adb names paths before the reason."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    line = (lines or ['no reason given'])[-1]
    return line if len(line) <= 200 else f'{line[:97]} ... {line[-98:]}'
