"""The tables with which Alicat devices describe themselves, column for column."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

Kind: TypeAlias = Literal["flow", "pressure", "meter"]

WORDS: Final = ("ADC", "OPL", "POV", "P2O", "TOV", "VOV", "MOV", "TMF", "OVR", "COM", "HLD", "EXH", "GTA", "LCK")
"""Words of status, in the order in which devices write them."""
OLD_WORDS: Final = ("ADC", "LCK", "OVR", "POV", "TOV", "VOV", "MOV")
"""Those of firmware before 6v."""


def maker(unit: str, kind: Kind, scale: str, serial: str, firmware: str) -> list[str]:
    """The table of the maker."""
    letters = {"flow": "MC", "pressure": "PC", "meter": "M"}[kind]
    rows = (
        "ALICAT SCIENTIFIC",
        "www.alicat.com",
        "Ph   520-290-6060",
        "info@alicat.com",
        f"Model Number {letters}-{scale}-D",
        f"Serial Number {serial}",
        "Date Manufactured 03/02/2025",
        "Date Calibrated   03/02/2025",
        "Calibrated By     BL",
        f"Software Revision {firmware}",
    )
    return [f"{unit}  M{number:02d} {row}" for number, row in enumerate(rows)]


def layout(unit: str, kind: Kind, label: str, code: str) -> list[str]:
    """The table of the data frame, from firmware 6v on."""
    volume = label.replace("S", "", 1)
    columns = [("700", "Unit ID", "string", "1", ""), ("002", "Abs Press", "s decimal", "7/2", "010 02 PSIA")]
    if kind == "pressure":
        columns.append(("034", "Abs Press Setpt", "s decimal", "7/2", "010 02 PSIA"))
    else:
        columns += [
            ("003", "Flow Temp", "s decimal", "7/2", "002 02 `C"),
            ("004", "Volu Flow", "s decimal", "7/2", f"0{code} 02 {volume}"),
            ("005", "Mass Flow", "s decimal", "7/2", f"0{code} 02 {label}"),
        ]
        if kind == "flow":
            columns.append(("037", "Mass Flow Setpt", "s decimal", "7/2", f"0{code} 02 {label}"))
        columns.append(("703", "Gas", "string", "6", ""))
    for word in WORDS:
        columns.append(
            ("701", "*Error", "string", "3", word) if word == "ADC" else ("702", "*Status", "string", "3", word)
        )
    rows = [f"{unit} D00 ID_ NAME______________________ TYPE_______ WIDTH NOTES___________________"]
    for number, (statistic, title, form, width, notes) in enumerate(columns, start=1):
        rows.append(f"{unit} D{number:02d} {statistic} {title:<26} {form:<11} {width:>5} {notes}".rstrip())
    return [*rows, ""]


def old_layout(unit: str, kind: Kind, label: str, full_scale: float) -> list[str]:
    """The table of the data frame of firmware before 6v."""
    rows = ["Unit ID     char         A         Z         na"]
    if kind == "pressure":
        scale = f"+{full_scale:06.2f}"
        rows += [f"{title:<11} signed    +000.00  {scale}     PSIA" for title in ("Pressure", "SetPoint")]
    else:
        scale, volume = f"+{full_scale:06.1f}", label.replace("S", "", 1)
        rows += [
            "Pressure    signed    +000.00  +160.00     PSIA",
            "Temperature signed    -010.00  +050.00        C",
            f"Volumetric  signed    +0000.0  {scale} {volume:>8}",
            f"Mass        signed    +0000.0  {scale} {label:>8}",
        ]
        if kind == "flow":
            rows.append(f"SetPoint    signed    +0000.0  {scale} {label:>8}")
        rows.append("Gas         string        Air       D2       na")
    for word in OLD_WORDS:
        rows.append(f"{'Error' if word == 'ADC' else 'Status':<11} string         na      {word}       na")
    head = f"{unit}  D00 NAME_______ TYPE_____ MinVal_  MaxVal_  UNITS__"
    return [head, *(f"{unit}  D{number:02d} {row}" for number, row in enumerate(rows, start=1))]
