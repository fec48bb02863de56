"""Syringe pumps of New Era (NE-1000 family), in the basic and in the safe mode.

Source: NE-1000 user manual (publication 1200-01, firmware 3.9), chapters "RS-232 communications" and 12.5. The pump
moves in the laboratory's time; its watchdog, and the pause after which it drops half a packet, are real seconds.
"""

from __future__ import annotations

import binascii
import re
import time
from collections.abc import Callable, Mapping
from threading import RLock
from typing import ClassVar, Final

from simulators.emulators._plunger import PHASES, RATES, Memory, Phase, Plunger
from simulators.emulators.alone import Settable
from simulators.emulators.pace import Pace
from simulators.emulators.roles import Flow
from simulators.emulators.wire import Session, StreamEmulator, Wire

STX, ETX, CR = 0x02, 0x03, 0x0D
BETWEEN_BYTES: Final = 0.5
"""After which half a packet is dropped, s."""
TICK: Final = 0.01
"""Between looks at plunger and watchdog, s."""
_FLOAT: Final = re.compile(r"(?=.)\d*\.?\d{0,3}")


class NewEraEmulator(StreamEmulator):
    """One pump.

    Args:
        name: of the device in its rig.
        flow: the line that it pumps into, mL min-1; below zero where it withdraws.
        pump: its address.
        model: number after ``NE``.
        firmware: after ``V``.
        powered: whether it was on before; else the first answer is the alarm of power-on.
        pace: of the laboratory.
        wire: what it listens on.
        host: address to listen on, for TCP.
        port: for TCP; 0 takes a free one.
    """

    terminator: ClassVar[bytes] = b""
    own_faults: ClassVar[Mapping[str, str]] = {
        "stall": "the motor stalls, as soon as it moves",
        "power_cycle": "power fails for a moment: the program stops, the counters are lost",
        "damaged": "the next command reaches the pump damaged",
        "runs_on": "it acknowledges to stop, and goes on",
        "deaf_run": "it does not hear the command to run, and says nothing",
    }

    def __init__(
        self,
        name: str,
        *,
        flow: Flow | None = None,
        pump: int = 0,
        model: str = "1000",
        firmware: str = "3.923",
        powered: bool = False,
        pace: Pace | None = None,
        wire: Wire = "tcp",
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        super().__init__(name, wire=wire, host=host, port=port)
        self.pace = pace or Pace()
        self.pump, self.model, self.firmware = pump, model, firmware
        self.plunger = Plunger(flow or Settable(), self.pace, lambda: self.faults.take("stall") is not None)
        self.alarm = "" if powered else "R"
        self.heard: list[str] = []
        self._selected = 1
        self._watched = False
        self._last_packet = self._last_byte = 0.0
        self._holding = RLock()

    # Life

    def start(self) -> None:
        """Begin to listen, and to move."""
        super().start()
        self._run(lambda _: self._live(), None)

    def _live(self) -> None:
        while not self.stopping.wait(TICK):
            with self._holding:
                self._look()

    @property
    def flow(self) -> Flow:
        """The line that it pumps into."""
        return self.plunger.flow

    @property
    def _memory(self) -> Memory:
        return self.plunger.memory

    def _look(self) -> None:
        self._advance()
        if self.faults.take("power_cycle"):
            self.plunger.clear()
            self._selected, self._watched = 1, False
            self._raise("R")
        late = time.monotonic() - self._last_packet > self._memory.watchdog
        if self._watched and self._memory.watchdog and late:
            self._watched = False
            self._raise("T")

    def _advance(self) -> None:
        if alarm := self.plunger.advance():
            self._raise(alarm)

    def _raise(self, alarm: str) -> None:
        """Stop, and in the safe mode say so unasked."""
        self.plunger.halt()
        self.alarm = alarm
        if self._memory.watchdog:
            for session in list(self.sessions):
                session.send(self._packet(f"{self.pump:02d}A?{alarm}", safe=True))

    # On the wire

    def received(self, data: bytes, session: Session) -> None:
        """Bytes have come: packets that begin with STX, or in the basic mode lines."""
        now = time.monotonic()
        if now - self._last_byte > BETWEEN_BYTES:
            session.buffer.clear()
        self._last_byte = now
        session.buffer += data
        while (packet := self._next_packet(session.buffer)) is not None:
            answer = self.answer(packet, session)
            if answer is not None:
                session.reply(answer)

    def _next_packet(self, buffer: bytearray) -> bytes | None:
        if not buffer:
            return None
        if buffer[0] == STX:
            if len(buffer) < 2 or len(buffer) < buffer[1] + 1:
                return None
            end = max(buffer[1] + 1, 2)
        else:
            end = buffer.find(CR) + 1
            if end == 0:
                return None
        packet = bytes(buffer[:end])
        del buffer[:end]
        return packet

    def answer(self, frame: bytes, session: Session) -> bytes | None:  # noqa: ARG002  the same for every host
        """The answer to one packet; those for other pumps are passed over, and lines in the safe mode."""
        with self._holding:
            if frame[0] == STX:
                text = self._unpacked(frame)
                if text is None or self.faults.take("damaged"):
                    return self._packet(f"{self.pump:02d}{self._prompt}?COM", safe=self._memory.watchdog > 0)
            elif self._memory.watchdog:
                return None
            else:
                text = re.sub(r"[^!-~]", "", frame.decode("latin-1")).upper()
            address = re.match(r"\d{1,2}", text)
            if (int(address[0]) if address else 0) != self.pump:
                return None
            self._last_packet, self._watched = time.monotonic(), True
            said = self._hear(text[address.end() :] if address else text)
            return None if said is None else self._packet(said, safe=self._memory.watchdog > 0)

    @staticmethod
    def _unpacked(frame: bytes) -> str | None:
        data, checksum = frame[2:-3], frame[-3:-1]
        if len(frame) < 5 or frame[-1] != ETX or binascii.crc_hqx(data, 0).to_bytes(2, "big") != checksum:
            return None
        return data.decode("latin-1").upper()

    @staticmethod
    def _packet(text: str, *, safe: bool) -> bytes:
        data = text.encode("ascii")
        if not safe:
            return bytes((STX, *data, ETX))
        return bytes((STX, len(data) + 4, *data, *binascii.crc_hqx(data, 0).to_bytes(2, "big"), ETX))

    @property
    def _prompt(self) -> str:
        plunger = self.plunger
        if plunger.running:
            return "X" if plunger.purging else "I" if plunger.phase().direction == "INF" else "W"
        return "P" if plunger.paused else "S"

    def _hear(self, text: str) -> str | None:
        self._advance()
        self.heard.append(text)
        if self.alarm:
            alarm, self.alarm = self.alarm, ""
            return f"{self.pump:02d}A?{alarm}"
        if text == "RUN" and self.faults.take("deaf_run"):
            return None
        said = self._execute(text)
        return f"{self.pump:02d}{self._prompt}{said}"

    # Commands

    def _execute(self, text: str) -> str:
        verbs: Mapping[str, Callable[[str], str]] = {
            "VER": lambda _: f"NE{self.model}V{self.firmware}",
            "SAF": self._saf,
            "DIA": self._dia,
            "PHN": self._phn,
            "FUN": self._fun,
            "RAT": self._rat,
            "VOL": self._vol,
            "DIR": self._dir,
            "RUN": self._start,
            "PUR": lambda _: self._start("", purging=True),
            "STP": self._stp,
            "DIS": self._dis,
            "CLD": self._cld,
        }
        if not text:
            return ""
        verb = verbs.get(text[:3])
        return "?" if verb is None else verb(text[3:])

    def _saf(self, rest: str) -> str:
        if not rest:
            return str(self._memory.watchdog)
        if not rest.isdigit() or int(rest) > 255:
            return "?OOR"
        self._memory.watchdog = int(rest)
        return ""

    def _dia(self, rest: str) -> str:
        if not rest:
            return _digits(self._memory.diameter)
        if self.plunger.running:
            return "?NA"
        if (value := _number(rest)) is None or not 0.1 <= value <= 50.0:
            return "?OOR"
        self._memory.diameter = value
        self.plunger.clear()
        return ""

    def _phn(self, rest: str) -> str:
        if not rest:
            return f"{self._selected:02d}"
        if self.plunger.running:
            return "?NA"
        if not rest.isdigit() or not 1 <= int(rest) <= PHASES:
            return "?OOR"
        self._selected = int(rest)
        return ""

    def _fun(self, rest: str) -> str:
        phase = self.plunger.phase(self._selected)
        if not rest:
            return phase.function
        if self.plunger.running:
            return "?NA"
        if rest not in ("RAT", "STP"):
            return "?"
        phase.function = rest
        return ""

    @property
    def _edited(self) -> Phase:
        """The phase that commands are about: the present one while it moves, else the selected one."""
        return self.plunger.phase(None if self.plunger.running else self._selected)

    def _rat(self, rest: str) -> str:
        phase = self._edited
        if phase.function != "RAT":
            return "?NA"
        if not rest:
            return f"{_digits(phase.rate)}{phase.unit}"
        unit = rest[-2:] if rest[-2:] in RATES else ""
        value = _number(rest.removesuffix(unit))
        if self.plunger.running and unit and unit != phase.unit:
            return "?NA"
        slowest, fastest = self.plunger.rates
        if value is None or not slowest <= value * RATES[unit or phase.unit] <= fastest:
            return "?OOR"
        phase.rate, phase.unit = value, unit or phase.unit
        if self.plunger.running:
            self.plunger.flow_on()
        return ""

    def _vol(self, rest: str) -> str:
        phase = self.plunger.phase(self._selected)
        if not rest:
            return f"{_digits(phase.volume)}{self.plunger.unit}"
        if self.plunger.running:
            return "?NA"
        if rest in ("UL", "ML"):
            self._memory.unit = rest
            return ""
        if (value := _number(rest)) is None:
            return "?OOR"
        phase.volume = value
        return ""

    def _dir(self, rest: str) -> str:
        phase = self._edited
        if not rest:
            return phase.direction
        if self.plunger.running and phase.volume > 0.0:
            return "?NA"
        if rest == "REV":
            phase.direction = "WDR" if phase.direction == "INF" else "INF"
        elif rest in ("INF", "WDR"):
            phase.direction = "INF" if rest == "INF" else "WDR"
        else:
            return "?"
        if self.plunger.running:
            self.plunger.flow_on()
        return ""

    def _start(self, rest: str, purging: bool = False) -> str:
        if self.plunger.running or (rest and not rest.isdigit()):
            return "?NA" if self.plunger.running else "?OOR"
        self.plunger.start(int(rest or 1), purging)
        return ""

    def _stp(self, _: str) -> str:
        if not self.faults.holds("runs_on"):
            self.plunger.pause()
        return ""

    def _dis(self, _: str) -> str:
        moved, factor = self.plunger.moved, self.plunger.factor
        infused, withdrawn = _digits(moved["INF"] / factor), _digits(moved["WDR"] / factor)
        return f"I{infused}W{withdrawn}{self.plunger.unit}"

    def _cld(self, rest: str) -> str:
        if self.plunger.running:
            return "?NA"
        if rest not in ("INF", "WDR"):
            return "?"
        self.plunger.moved["INF" if rest == "INF" else "WDR"] = 0.0
        return ""

    def state(self) -> Mapping[str, object]:
        """What the plunger does, what it has moved in mL, and the pump's settings."""
        with self._holding:
            self._advance()
            plunger = self.plunger
            return {
                "running": plunger.running,
                "paused": plunger.paused,
                "rate": plunger.speed() if plunger.running else 0.0,
                "direction": plunger.phase().direction,
                "infused": plunger.moved["INF"],
                "withdrawn": plunger.moved["WDR"],
                "delivered": plunger.delivered,
                "diameter": self._memory.diameter,
                "watchdog": self._memory.watchdog,
                "alarm": self.alarm,
            }


def _number(text: str) -> float | None:
    """A number of at most four digits."""
    if not _FLOAT.fullmatch(text) or not 1 <= len(text.replace(".", "")) <= 4:
        return None
    return float(text)


def _digits(value: float) -> str:
    """Four digits, as the pump shows them."""
    for decimals in (3, 2, 1):
        text = f"{value:.{decimals}f}"
        if len(text) <= 5:
            return text
    return f"{min(value, 9999.0):.0f}."
