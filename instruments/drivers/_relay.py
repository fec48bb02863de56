"""Relay cards, whatever their protocol: named contacts, each with its safe state.

A relay is the last thing that can disconnect a cell. Making it safe therefore tries again within bounds, opens the port
anew in between, sends even where nothing answers, and lets no contact wait for the failure of another.
"""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, TypeAlias

from pydantic import Field, field_validator

from instruments.device import Attribute, Safety, Value, Wiring
from instruments.drivers._serial import SerialDevice, SerialOptions
from instruments.electrochemistry._schema import Declared
from instruments.errors import CommunicationError, DeviceError, DeviceFault, LabError

logger = logging.getLogger(__name__)

State: TypeAlias = Literal["open", "closed"]

SAFE_ATTEMPTS: Final = 3
"""Rounds over all contacts that are not confirmed yet."""


class Contact(Declared):
    """One contact of a card.

    Attributes:
        channel: number of the relay on the card, from 0.
        safe: the state to which it goes when the card is made safe.
        rest: the state of the contact that is wired while the coil has no current: ``open`` for a normally open one.
    """

    channel: int = Field(ge=0, le=65535)
    safe: State = "open"
    rest: State = "open"

    def energised(self, state: State) -> bool:
        """Whether the coil must have current for a state."""
        return state != self.rest

    def state(self, energised: bool) -> State:
        """The state that follows from the coil."""
        other: State = "closed" if self.rest == "open" else "open"
        return other if energised else self.rest


class RelayOptions(SerialOptions):
    """A relay card.

    Attributes:
        contacts: by name, such as ``{disconnect_cell_1: {channel: 0, safe: open}}``.
    """

    contacts: Mapping[str, Contact] = Field(min_length=1)

    @field_validator("contacts")
    @classmethod
    def _once(cls, contacts: Mapping[str, Contact]) -> Mapping[str, Contact]:
        channels = [contact.channel for contact in contacts.values()]
        twice = next((channel for channel in channels if channels.count(channel) > 1), None)
        if twice is not None:
            raise LabError(
                f"two contacts are on channel {twice}.",
                field="contacts",
                mend="Give each one a channel of its own.",
            )
        return contacts


class RelayCard(SerialDevice):
    """A relay card. Each contact is an attribute that is ``open`` or ``closed``, read back from the card."""

    def __init__(self, name: str, options: RelayOptions, wiring: Wiring) -> None:
        super().__init__(name, options, wiring)
        self.contacts = options.contacts
        self._attributes = MappingProxyType(
            {key: Attribute(key, settable=True, choices=("open", "closed")) for key in options.contacts}
        )

    @abstractmethod
    def _switch(self, channel: int, on: bool, attempts: int = 2) -> None:
        """Give current to a coil or take it away; no reading back."""

    @abstractmethod
    def _shout(self, channel: int, on: bool) -> None:
        """Send the command that switches, without waiting for its answer."""

    @abstractmethod
    def _is_on(self, channel: int, attempts: int = 2) -> bool:
        """Whether the card says that a coil has current."""

    @property
    def attributes(self) -> Mapping[str, Attribute]:
        """The contacts."""
        return self._attributes

    def make_safe(self) -> Safety:
        """Bring each contact to its safe state, and read each back.

        Raises:
            DeviceError: for at least one contact no answer came in several attempts. All were told.
        """
        left = dict(self.contacts)
        problem: DeviceError | None = None
        for attempt in range(SAFE_ATTEMPTS):
            if attempt:
                self._anew()
            left, problem = self._round(left)
            if not left:
                states = ", ".join(f"{key} {contact.safe}" for key, contact in self.contacts.items())
                return Safety(True, states)
        names = ", ".join(left)
        if problem is None:
            return Safety(False, f"the card says that {names} did not switch")
        message = f"{names}: told to go to the safe state, which is not confirmed ({problem.args[0]})"
        if isinstance(problem, DeviceFault):
            raise DeviceFault(message, device=self.name, code=problem.code) from problem
        raise CommunicationError(message, device=self.name) from problem

    def _round(self, left: Mapping[str, Contact]) -> tuple[dict[str, Contact], DeviceError | None]:
        """Try each contact once; those that are not confirmed, the one that failed last, and why."""
        waiting, unconfirmed = dict(left), dict[str, Contact]()
        problem: DeviceError | None = None
        while waiting:
            key, contact = next(iter(waiting.items()))
            del waiting[key]
            on = contact.energised(contact.safe)
            try:
                self._switch(contact.channel, on, attempts=1)
                if self._is_on(contact.channel, attempts=1) == on:
                    continue
            except DeviceFault as fault:
                problem = fault  # of this contact; the card still talks
            except DeviceError as trouble:
                self._tell_all({key: contact, **waiting, **unconfirmed})
                return {**waiting, **unconfirmed, key: contact}, trouble
            unconfirmed[key] = contact
        return unconfirmed, problem

    def _tell_all(self, contacts: Mapping[str, Contact]) -> None:
        """The card is silent or garbled: perhaps it hears. Where there is no connection, nobody does."""
        for contact in contacts.values() if self.stream.is_open else ():
            try:
                self._shout(contact.channel, contact.energised(contact.safe))
            except DeviceError as problem:
                logger.warning("%s", problem)  # the caller raises what came before
                return

    def _anew(self) -> None:
        """Close the port, so that the next exchange opens it."""
        with self._held():
            self.close()

    def _read(self, attribute: Attribute) -> Value:
        contact = self.contacts[attribute.name]
        return contact.state(self._is_on(contact.channel))

    def _write(self, attribute: Attribute, value: Value) -> None:
        contact = self.contacts[attribute.name]
        on = contact.energised("closed" if value == "closed" else "open")
        self._switch(contact.channel, on)
        if self._is_on(contact.channel) != on:
            raise DeviceFault(
                f"{attribute.name} did not go {value}.", device=self.name, code="stuck", mend="Exchange the card."
            )
